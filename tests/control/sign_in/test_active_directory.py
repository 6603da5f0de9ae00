"""Sign-in and docker login by a real domain controller: what Active Directory does otherwise than other directories.

Samba makes a domain in 20 seconds, once for all of the file.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from typer.testing import CliRunner

from control.sign_in.directory_sign_in import HOUR, Configure, checked
from moorage.cli.app import app
from moorage.control.accounts.models import User, UserState
from moorage.control.configured_ldap import LDAPKeys, LDAPServer
from moorage.control.ldap.directories import person_of_password
from support.active_directory import (
    ADDRESS,
    BASE,
    DISABLED,
    ELSEWHERE,
    GROUPS,
    NORMAL,
    PASSWORD,
    PEOPLE,
    SEARCHER,
    SEARCHER_PASSWORD,
    Domain,
    active_directory,
    dn_of,
)
from support.control_rows import new_token, new_user
from support.control_tokens import ask
from support.sign_in_pages import configured, is_signed_in, sign_in

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("configure", "time_stands_still")]

LAST_YEAR = int((datetime(2025, 1, 1, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10**7
"""As Active Directory counts time."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    """One domain for all tests of this file."""
    with active_directory(tmp_path_factory.mktemp("domain")) as domain:
        yield domain


@pytest.fixture
def domain(running: Domain) -> Iterator[Domain]:
    """The domain, with Ada alone in it."""
    running.add_user("ada", mail="ada@company.example")
    yield running
    running.clear()


@pytest.fixture
def configure(domain: Domain) -> Iterator[Configure]:
    """Configure sign-in as the how-to says, with other keys if they are given."""
    stack = ExitStack()

    def with_keys(**values: Any) -> None:  # noqa: ANN401 - keys of any kind
        keys: dict[str, Any] = {
            "label": "Company",
            "host": ADDRESS,
            "uid": "sAMAccountName",
            "encryption": "simple_tls",
            "tls_options": {"ca_file": str(domain.ca_file)},
            "bind_dn": SEARCHER,
            "password": SEARCHER_PASSWORD,
            "base": BASE,
        }
        servers = {"company": LDAPServer.model_validate(keys | values)}
        stack.enter_context(configured(ldap=LDAPKeys(enabled=True, servers=servers)))

    with stack:
        with_keys()
        yield with_keys


def said_of(login: str, password: str = PASSWORD) -> tuple[int, str]:
    answer = sign_in(Client(), login, password)
    return answer.status_code, answer.content.decode()


def docker_login(client: Client, name: str, secret: str = PASSWORD) -> tuple[int, str]:
    answer = ask(client, given=(name, secret))
    return answer.status_code, answer.content.decode()


def test_people_sign_in_and_log_in_by_their_account_name_whatever_they_put_before_it(client: Client) -> None:
    for login in ("ada", "ADA", "COMPANY\\ada", "company\\Ada"):
        assert said_of(login)[0] == 303, login
        assert docker_login(client, login)[0] == 200, login
    for wrong in ("", PASSWORD + " "):
        assert said_of("ada", wrong)[0] in (200, 401)
        assert docker_login(client, "ada", wrong)[0] == 401
    user = User.objects.get(username="ada")
    assert (user.email, user.name) == ("ada@company.example", "Ada Lovelace")
    identity = user.identities.get()
    assert (identity.provider, identity.uid) == ("ldapcompany", dn_of("ada").lower())
    assert identity.stable_id.startswith("objectGUID:")


def test_people_sign_in_by_their_principal_name(client: Client, domain: Domain, configure: Configure) -> None:
    domain.add_user("bob", userPrincipalName="b.lovelace@other.example")
    configure(uid="userPrincipalName")
    assert said_of("b.lovelace@other.example")[0] == 303
    assert docker_login(client, "b.lovelace@other.example")[0] == 200
    user = User.objects.get(username="bob")
    assert user.email == "b.lovelace@other.example"  # There is no mail.
    assert said_of("bob")[0] == 401
    configure(allow_username_or_email_login=True)
    assert said_of("ada@company.example")[0] == 303


@pytest.mark.parametrize("name", [f"CN=Moorage,CN=Users,{BASE}", "COMPANY\\moorage"])
def test_it_searches_by_each_name_that_active_directory_takes(configure: Configure, name: str) -> None:
    configure(bind_dn=name)
    assert said_of("ada")[0] == 303


@pytest.mark.parametrize("encryption", ["start_tls", "simple_tls"])
def test_certificates_are_checked(domain: Domain, configure: Configure, encryption: str) -> None:
    configure(encryption=encryption, tls_options={})
    assert said_of("ada")[0] == 503
    configure(encryption=encryption)
    assert said_of("ada")[0] == 303


def test_a_domain_that_wants_tls_is_told_of_by_the_command(
    domain: Domain, configure: Configure, tmp_path: Path
) -> None:
    configure(encryption="plain")
    assert said_of("ada")[0] == 503
    status, said = command(tmp_path, "encryption: plain")
    assert (status, "takes no password without TLS" in said) == (1, True)


def test_groups_within_groups_make_administrators(domain: Domain, configure: Configure) -> None:
    new_user(is_admin=True)
    domain.add(f"CN=Platform,{GROUPS}", "group", sAMAccountName="Platform", member=dn_of("ada"))
    domain.add(f"CN=Operations,{GROUPS}", "group", sAMAccountName="Operations", member=f"CN=Platform,{GROUPS}")
    domain.add(f"CN=Admins,{GROUPS}", "group", sAMAccountName="Admins", member=f"CN=Operations,{GROUPS}")
    domain.add_user("bob")
    configure(group_base=GROUPS, admin_group="Admins")
    for name, expected in (("ada", True), ("bob", False)):
        assert said_of(name)[0] == 303
        assert User.objects.get(username=name).is_admin is expected
    configure(user_filter=f"(memberOf:1.2.840.113556.1.4.1941:=CN=Admins,{GROUPS})")
    assert (said_of("ada")[0], said_of("bob")[0]) == (303, 401)
    configure(group_base=GROUPS, admin_group="Admins")
    domain.remove(f"CN=Operations,{GROUPS}")
    checked()
    assert not User.objects.get(username="ada").is_admin


@pytest.mark.parametrize(
    "change", [{"userAccountControl": NORMAL | DISABLED}, {"accountExpires": LAST_YEAR}], ids=["disabled", "expired"]
)
def test_an_account_that_is_disabled_or_has_expired_is_out_with_its_tokens_until_it_is_let_in(
    client: Client, domain: Domain, change: dict[str, int]
) -> None:
    sign_in(client, "ada", PASSWORD)
    secret = new_token(User.objects.get(username="ada")).secret
    checked()
    domain.change(dn_of("ada"), **change)
    assert said_of("ada")[0] == 401
    assert docker_login(client, "ada")[0] == 401
    assert checked(timezone.now() + HOUR) == 1
    assert User.objects.get(username="ada").state == UserState.LDAP_BLOCKED
    assert docker_login(client, "ada", secret)[0] == 401
    assert not is_signed_in(client)
    domain.change(dn_of("ada"), userAccountControl=NORMAL, accountExpires=0)
    checked(timezone.now() + 3 * HOUR)
    assert docker_login(client, "ada", secret)[0] == 200


@pytest.mark.parametrize("why", ["must change", "too old"])
def test_whose_password_has_to_be_changed_stays_out_and_is_told_so(client: Client, domain: Domain, why: str) -> None:
    assert said_of("ada")[0] == 303
    if why == "must change":
        domain.change(dn_of("ada"), pwdLastSet=0)
    else:
        domain.age_password("ada")
    for _ in range(20):  # They count as no guesses.
        status, page = said_of("ada")
        assert (status, "has to be changed in the directory" in page) == (403, True)
        status, message = docker_login(client, "ada")
        assert (status, "has to be changed in the directory" in message) == (401, True)
    status, page = said_of("ada", "wrong")
    assert (status, "has to be changed" in page) == (401, False)
    domain.set_password("ada", "An0ther of the domain")
    assert said_of("ada")[0] == 401
    assert said_of("ada", "An0ther of the domain")[0] == 303


def test_why_the_domain_refuses_a_right_password_is_in_the_log(
    domain: Domain, capsys: pytest.CaptureFixture[str]
) -> None:
    with domain.lockout_after(2):
        for _ in range(3):
            assert person_of_password("ada", "wrong", ["ldapcompany"]) is None
        assert said_of("ada")[0] == 401
    assert "the account is locked" in "".join(capsys.readouterr())


def test_machines_and_groups_are_no_people(domain: Domain, configure: Configure, tmp_path: Path) -> None:
    domain.add_machine("HOST1")
    domain.add(f"CN=Staff,{PEOPLE}", "group", sAMAccountName="Staff")
    for name in ("HOST1$", "Staff"):
        assert said_of(name)[0] == 401
    assert not User.objects.exists()
    configure(active_directory=False)
    assert said_of("HOST1$")[0] == 303
    configure()
    checked()  # One that came in before goes.
    assert User.objects.get().state == UserState.LDAP_BLOCKED
    status, said = command(tmp_path, "encryption: simple_tls", f"tls_options: {{ca_file: {domain.ca_file}}}")
    names = {row["username"] for row in json.loads(said)}
    assert (status, {"ada", "moorage", "Administrator"} <= names) == (0, True)
    assert not names & {"HOST1$", "DC1$", "Staff", "Domain Admins"}


def test_whoever_moves_keeps_the_account_and_whoever_is_deleted_is_out(domain: Domain) -> None:
    assert said_of("ada")[0] == 303
    domain.move("ada", ELSEWHERE)
    checked()
    user = User.objects.get(username="ada")
    assert (user.is_active, user.identities.get().uid) == (True, dn_of("ada", at=ELSEWHERE).lower())
    assert said_of("ada")[0] == 303
    domain.remove(dn_of("ada", at=ELSEWHERE))
    checked(timezone.now() + HOUR)
    user.refresh_from_db()
    assert user.state == UserState.LDAP_BLOCKED


def command(folder: Path, *keys: str) -> tuple[int, str]:
    """``moorage control ldap check`` with these keys and those that are needed besides."""
    (folder / "secret").write_text(SEARCHER_PASSWORD)
    needed = ["label: Company", f"host: {ADDRESS}", "uid: sAMAccountName", f"bind_dn: '{SEARCHER}'"]
    lines = "".join(f"      {key}\n" for key in (*needed, "passwordfile: secret", f"base: '{BASE}'", *keys))
    file = folder / "control.yml"
    file.write_text(f"secret: {'x' * 40}\nldap:\n  enabled: true\n  servers:\n    company:\n{lines}")
    found = CliRunner().invoke(app, ["control", "ldap", "check", "--json", "--config", str(file)])
    return found.exit_code, f"{found.output}{found.exception or ''}"
