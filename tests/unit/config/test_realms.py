"""A token endpoint at a private address: new clients go there only if it is the registry's own."""

import pytest

from moorage.config.load import load


def warnings_of(realm: str, http: str = "addr: '10.0.0.5:5000'", more: str = "") -> tuple[str, ...]:
    token = f"{{realm: '{realm}', service: s, issuer: i, jwks: j{more}}}"
    return load(f"version: 0.1\nstorage: inmemory\nhttp: {{{http}}}\nauth: {{token: {token}}}\n", {}).warnings


@pytest.mark.parametrize(
    "realm",
    [
        "http://10.0.0.5:5001/token",
        "http://10.0.0.6:5000/token",
        "https://192.168.1.1/jwt/auth",
        "http://127.0.0.1:5001/token",
        "https://[fd00::1]:5000/token",
        "https://[::ffff:10.1.2.3]/token",
        "http://169.254.169.254/token",
        "http://ada:secret@10.0.0.7/token",
    ],
)
def test_a_private_address_that_is_not_the_registrys_own_is_told_with_what_to_do(realm: str) -> None:
    (said,) = warnings_of(realm)
    assert said.startswith("auth.token.realm: new clients ask for no token at ")
    assert "auth.token.server" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("realm", "http"),
    [
        ("http://10.0.0.5:5000/auth/token", "addr: '10.0.0.5:5000'"),
        ("http://10.0.0.5:5000/auth/token", "addr: ':5000'"),
        ("https://10.0.0.9/auth/token", "addr: '127.0.0.1:5000', host: 'https://10.0.0.9'"),
        ("https://gitlab.example/jwt/auth", "addr: ':5000'"),
        ("https://8.8.8.8/jwt/auth", "addr: ':5000'"),
        ("https://[broken/jwt", "addr: ':5000'"),
        ("https://10.0.0.1:99999/jwt", "addr: ':5000'"),
    ],
)
def test_names_public_addresses_and_the_registrys_own_are_not(realm: str, http: str) -> None:
    assert warnings_of(realm, http) == ()


def test_where_the_registry_names_the_host_that_was_asked_nothing_is_said() -> None:
    assert warnings_of("http://10.0.0.5:5001/token", more=", autoredirect: true") == ()
