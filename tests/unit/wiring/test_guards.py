"""From the configuration to what checks credentials; and what is told before anybody else finds out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from moorage.auth.basic import PasswordGuard
from moorage.auth.bearer import TokenGuard
from moorage.auth.guards import Guard, OpenGuard, SillyGuard
from moorage.config import Config
from moorage.config.load import load
from moorage.errors import ConfigurationError
from moorage.wiring.guards import concerns, guard
from support.tokens import Issuer, certificate, pem, rsa_key
from unit.auth.test_passwords import hashed

JWKS = b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'
WHOLE = pem(certificate(rsa_key("whole")))
DER = certificate(rsa_key("whole")).public_bytes(Encoding.DER)
KEY = rsa_key("whole").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
LOOPBACK = ["127.0.0.1:5000", "localhost:5000", "[::1]:5000", "127.5.5.5:1"]
ELSEWHERE = [":5000", "0.0.0.0:5000", "[::]:5000", "192.0.2.1:5000", "registry.example:5000", "localhost.example:1"]


def read(auth: str, *, http: str = "addr: '127.0.0.1:5000'") -> Config:
    return load(f"version: 0.1\nstorage: inmemory\nhttp: {{{http}}}\nauth: {auth}\n", {}).config


def token(**keys: Path) -> str:
    files = "".join(f", {name}: '{path}'" for name, path in keys.items())
    return f"{{token: {{realm: 'https://r/t', service: s, issuer: i{files}}}}}"


def htpasswd(path: Path) -> str:
    return f"{{htpasswd: {{realm: r, path: '{path}'}}}}"


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(content: bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return make


def test_each_scheme_has_its_guard(tmp_path: Path, file: Callable[[bytes], Path]) -> None:
    bundle, jwks = Issuer(tmp_path).bundle, tmp_path / "jwks"
    jwks.write_bytes(JWKS)
    found: list[tuple[str, type[Guard]]] = [
        ("none", OpenGuard),
        ("~", OpenGuard),
        ("{silly: {realm: r, service: s}}", SillyGuard),
        (token(rootcertbundle=bundle), TokenGuard),
        (token(jwks=jwks), TokenGuard),
        (token(rootcertbundle=bundle, jwks=jwks), TokenGuard),
        (htpasswd(file(f"ada:{hashed('x')}".encode())), PasswordGuard),
    ]
    for auth, kind in found:
        assert type(guard(read(auth))) is kind, auth


@pytest.mark.parametrize(
    ("auth", "content", "said"),
    [
        (lambda path: token(rootcertbundle=path), None, "auth.token.rootcertbundle: * cannot be read: No such file"),
        (
            lambda path: token(rootcertbundle=path),
            b"",
            "auth.token.rootcertbundle: the file cannot be used: it is empty",
        ),
        (
            lambda path: token(rootcertbundle=path),
            DER,
            "auth.token.rootcertbundle: the file cannot be used: it is DER, not PEM; openssl x509",
        ),
        (
            lambda path: token(rootcertbundle=path),
            KEY,
            "it has no certificate, but PRIVATE KEY; at least one is needed, in PEM",
        ),
        (
            lambda path: token(rootcertbundle=path),
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "it is damaged: a certificate in it cannot be read; write it anew",
        ),
        (
            lambda path: token(rootcertbundle=path),
            WHOLE.rstrip() + WHOLE,
            "it has two blocks on one line, line",
        ),
        (lambda path: token(rootcertbundle=path), WHOLE[:-30], "it ends in the middle of a block"),
        (lambda path: token(rootcertbundle=path), b"x" * (2 << 20), "it has more than 1048576 bytes"),
        (
            lambda path: token(rootcertbundle=path),
            pem(certificate(rsa_key("short", 1024))),
            "an RSA key of 1024 bits is too short; 2048 are needed",
        ),
        (lambda path: token(jwks=path), None, "auth.token.jwks: * cannot be read: No such file"),
        (lambda path: token(jwks=path), b"[]", "auth.token.jwks: the file cannot be used: it is no JWK set"),
        (htpasswd, None, "auth.htpasswd.path: * cannot be read: No such file"),
        (htpasswd, b"ada", "auth.htpasswd.path: the file cannot be used: line 1 is no user and hash"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_start(
    tmp_path: Path, auth: Callable[[Path], str], content: bytes | None, said: str
) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    for check in (guard, lambda config: list(concerns(config))):
        with pytest.raises(ConfigurationError) as caught:
            check(read(auth(path)))
        assert said.replace("*", str(path)) in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        (lambda path: token(rootcertbundle=path), "auth.token.rootcertbundle"),
        (lambda path: token(jwks=path), "auth.token.jwks"),
        (htpasswd, "auth.htpasswd.path"),
    ],
)
def test_the_text_of_a_file_is_no_path_and_is_not_shown(auth: Callable[[Path], str], key: str) -> None:
    config = read(auth(Path("-----BEGIN PRIVATE KEY----- MIIEvSECRET")))
    for check in (guard, lambda config: list(concerns(config))):
        with pytest.raises(ConfigurationError) as caught:
            check(config)
        assert f"{key}: is the text of a PEM file; a path is needed" in str(caught.value)
        assert "SECRET" not in str(caught.value)


class TestConcerns:
    @pytest.mark.parametrize("auth", ["none", "~"])
    def test_no_authentication_is_told_unless_only_this_machine_can_reach_it(self, auth: str) -> None:
        for addr in LOOPBACK:
            assert list(concerns(read(auth, http=f"addr: '{addr}'"))) == []
        assert list(concerns(read(auth, http="net: unix, addr: /run/socket"))) == []
        for addr in ELSEWHERE:
            (said,) = concerns(read(auth, http=f"addr: '{addr}'"))
            assert said.startswith("NO AUTHENTICATION is configured")

    def test_who_names_no_address_is_reached_from_this_machine_only(self) -> None:
        assert list(concerns(read("none", http=""))) == []

    def test_silly_is_told_everywhere(self) -> None:
        (said,) = concerns(read("{silly: {realm: r, service: s}}"))
        assert "for trying out only" in said

    def test_passwords_in_the_clear_are_told(self, file: Callable[[bytes], Path]) -> None:
        auth = htpasswd(file(b""))
        assert list(concerns(read(auth))) == []
        (said,) = concerns(read(auth, http="addr: ':5000'"))
        assert "without TLS" in said
        assert list(concerns(read(auth, http="addr: ':5000', tls: {certificate: c, key: k}"))) == []

    def test_users_who_cannot_log_in_are_told(self, file: Callable[[bytes], Path]) -> None:
        (said,) = concerns(read(htpasswd(file(b"ada:$apr1$x$y\nbob:secret\n"))))
        assert said.startswith("2 users of ")
        assert "secret" not in said

    def test_a_good_start_is_quiet(self, tmp_path: Path) -> None:
        assert list(concerns(read(token(rootcertbundle=Issuer(tmp_path).bundle), http="addr: ':5000'"))) == []
