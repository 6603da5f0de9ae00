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


LDAP = "{label: Company, host: ldap.example.com, uid: uid, encryption: simple_tls, base: 'dc=example,dc=com'%s}"


def _ldap(more: str = "", ident: str = "main") -> str:
    return f"ldap: {{enabled: true, servers: {{{ident}: {LDAP % more}}}}}\n"


def test_directories_are_read_by_gitlabs_keys_with_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "ldap-secret").write_text("from-a-file\n")
    (tmp_path / "ca.pem").write_text("")
    more = ", bind_dn: 'cn=a', passwordfile: ldap-secret, tls_options: {ca_file: ca.pem, ciphers: ''}, sync_name: false"
    more += ", attributes: {name: displayName}, external_groups: []"
    ldap = load_control(BASE + _ldap(more), {}, folder=tmp_path).configuration.ldap
    server = ldap.used["ldapmain"]
    assert server.password == "from-a-file"
    assert "from-a-file" not in repr(ldap)
    assert server.tls_options.ca_file == str(tmp_path / "ca.pem")
    assert server.addresses == [("ldap.example.com", 636)]
    assert (server.attributes.name, server.timeout) == (["displayName"], 10)


def test_directories_that_are_not_enabled_are_not_used_and_their_mistakes_are_said_all_the_same(tmp_path: Path) -> None:
    text = _ldap().replace("enabled: true", "enabled: false")
    assert not load_control(BASE + text, {}, folder=tmp_path).configuration.ldap.used
    assert _paths(text.replace("simple_tls", "''"), tmp_path) == {"ldap.servers.main.encryption"}


def test_a_key_that_does_nothing_for_a_registry_is_refused_with_the_reason_and_a_mistyped_one_with_the_right_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_control(BASE + _ldap(", external_groups: [a], user_filtre: '(a=b)'"), {}, folder=tmp_path)
    said = {mistake.path: mistake.message for mistake in caught.value.mistakes}
    assert "there are no external users here" in said["ldap.servers.main.external_groups"]
    assert "did you mean ldap.servers.main.user_filter?" in said["ldap.servers.main.user_filtre"]


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("ldap: {enabled: true}", {"ldap.servers"}),
        (
            "ldap: {servers: {main: {label: ''}}}",
            {f"ldap.servers.main.{key}" for key in ("host", "encryption", "base", "label", "uid")},
        ),
        (_ldap(", bind_dn: 'cn=a'"), {"ldap.servers.main.password"}),
        (_ldap(", password: a"), {"ldap.servers.main.bind_dn"}),
        (_ldap(", bind_dn: 'cn=a', passwordfile: nowhere"), {"ldap.servers.main.passwordfile"}),
        (_ldap(", user_filter: 'objectClass=person'"), {"ldap.servers.main.user_filter"}),
        (_ldap(", user_filter: '(a=b)(c=d)'"), {"ldap.servers.main.user_filter"}),
        (_ldap(", user_filter: '(&(a=b)'"), {"ldap.servers.main.user_filter"}),
        (_ldap(", admin_group: admins"), {"ldap.servers.main.group_base"}),
        (_ldap(", hosts: [[a.example.com, 636]]"), {"ldap.servers.main.host"}),
        (_ldap(", tls_options: {ca_file: nowhere}"), {"ldap.servers.main.tls_options.ca_file"}),
        (_ldap(", timeout: 0"), {"ldap.servers.main.timeout"}),
        (_ldap(", attributes: {email: 'no attribute'}"), {"ldap.servers.main.attributes.email"}),
        (_ldap(ident="'A B'"), {"ldap.servers.A B"}),
        (
            _ldap(", external_groups: [a], sync_ssh_keys: true, tls_options: {ciphers: ALL}"),
            {f"ldap.servers.main.{key}" for key in ("external_groups", "sync_ssh_keys", "tls_options.ciphers")},
        ),
        (_ldap(", user_filtre: '(a=b)'"), {"ldap.servers.main.user_filtre"}),
    ],
)
def test_what_is_wrong_with_a_directory_is_named_by_its_path(tmp_path: Path, text: str, paths: set[str]) -> None:
    assert _paths(text, tmp_path) == paths
