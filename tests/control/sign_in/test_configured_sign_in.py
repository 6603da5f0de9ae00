"""``sign_in`` in ``control.yml``: what is wrong is said at once, with its path."""

from pathlib import Path

import pytest

from moorage.control.configuration import load_control
from moorage.errors import ConfigurationError

BASE = "secret: a-secret-of-tests-that-is-long-enough\n"
OIDC = "sign_in: {oidc: {issuer: 'https://id.example.com', client_id: moorage, client_secret: s%s}}\n"


def _paths(text: str, folder: Path) -> set[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_control(BASE + text, {}, folder=folder)
    return {mistake.path for mistake in caught.value.mistakes}


def test_a_provider_is_read_with_its_secret_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "oidc-secret").write_text("from-a-file\n")
    text = "sign_in: {oidc: {issuer: 'https://id.example.com/', client_id: moorage, client_secretfile: oidc-secret}}"
    oidc = load_control(BASE + text, {}, folder=tmp_path).configuration.sign_in.oidc
    assert (oidc.is_on, oidc.client_secret) == (True, "from-a-file")
    assert "from-a-file" not in repr(oidc)


def test_without_a_section_there_is_no_provider(tmp_path: Path) -> None:
    assert not load_control(BASE, {}, folder=tmp_path).configuration.sign_in.oidc.is_on


def test_a_variable_wins(tmp_path: Path) -> None:
    environ = {"MOORAGE_CONTROL_SIGNIN_OIDC_LABEL": "Company"}
    assert load_control(BASE + OIDC % "", environ, folder=tmp_path).configuration.sign_in.oidc.label == "Company"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        (
            "sign_in: {oidc: {issuer: 'https://id.example.com'}}",
            {"sign_in.oidc.client_id", "sign_in.oidc.client_secret"},
        ),
        ("sign_in: {oidc: {client_id: moorage}}", {"sign_in.oidc.issuer"}),
        ("sign_in: {oidc: {issuer: id.example.com, client_id: a, client_secret: b}}", {"sign_in.oidc.issuer"}),
        (OIDC % ", scopes: email", {"sign_in.oidc.scopes"}),
        (OIDC % ", label: '', groups_claim: ''", {"sign_in.oidc.label", "sign_in.oidc.groups_claim"}),
        (OIDC % ", client_secretfile: nowhere", {"sign_in.oidc.client_secretfile"}),
        (OIDC % ", create_user: true", {"sign_in.oidc.create_user"}),
        ("sign_in: {session_idle: 0}", {"sign_in.session_idle"}),
        ("sign_in: {session_idle: 100, session_limit: 50}", {"sign_in.session_idle"}),
    ],
)
def test_what_is_wrong_is_named_by_its_path(tmp_path: Path, text: str, paths: set[str]) -> None:
    assert _paths(text, tmp_path) == paths
