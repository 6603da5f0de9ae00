"""Sign-in by LDAP, at the pages and by docker's way, against OpenLDAP's own server."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone
from typer.testing import CliRunner

from moorage.cli.app import app
from moorage.control.accounts.changes import block_user, change_password, unblock_user
from moorage.control.accounts.models import ExternalIdentity, User, UserState
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.configured_ldap import LDAPKeys, LDAPServer
from moorage.control.jobs.loop import Turn, run_until_idle
from moorage.control.ldap.directories import person_of_password
from moorage.control.ldap.people import DirectoryUnavailable
from moorage.control.sign_in.directory_users import DirectoryChecks
from moorage.errors import TooManyRequests
from support.control_rows import PASSWORD as OURS
from support.control_rows import new_token, new_user
from support.control_tokens import ask
from support.rude_directory import Manner, rude_directory
from support.sign_in_pages import code_of, is_signed_in, sign_in, with_authenticator
from support.slapd import BASE, GROUPS, PASSWORD, PEOPLE, SEARCHER, SEARCHER_PASSWORD, Directory, People, slapd

Configure = Callable[..., None]
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    """One server for all tests here."""
    with slapd(tmp_path_factory.mktemp("slapd") / "server") as directory:
        yield directory


@pytest.fixture
def people(running: Directory) -> Iterator[People]:
    """The people of the directory: Ada alone."""
    with running.people() as people:
        people.add("ada")
        yield people


@pytest.fixture
def configure(running: Directory, people: People) -> Iterator[Configure]:
    """Configure sign-in by the directory, with other keys if they are given."""
    changed: list[Any] = []

    def with_keys(**values: Any) -> None:  # noqa: ANN401 - keys of any kind
        keys: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": running.port,
            "uid": "uid",
            "encryption": "plain",
            "bind_dn": SEARCHER,
            "password": SEARCHER_PASSWORD,
            "base": PEOPLE,
            "label": "Company",
        }
        others = values.pop("others", {})
        servers = {"main": LDAPServer.model_validate(keys | values)}
        servers |= {name: LDAPServer.model_validate(keys | more) for name, more in others.items()}
        loaded = settings.MOORAGE
        ldap = LDAPKeys(enabled=True, servers=servers)
        configuration = loaded.configuration.model_copy(update={"ldap": ldap})
        one = override_settings(MOORAGE=replace(loaded, configuration=configuration))
        one.enable()
        changed.append(one)

    with_keys()
    yield with_keys
    for one in reversed(changed):
        one.disable()


def checked(at: datetime | None = None) -> int:
    """Do what is due of the checks, now or at another moment."""
    return run_until_idle([DirectoryChecks()], Turn(clock=lambda: at or timezone.now()))


def said_of(client: Client, login: str = "ada", password: str = PASSWORD) -> tuple[int, str]:
    answer = sign_in(client, login, password)
    return answer.status_code, answer.content.decode()


@pytest.mark.usefixtures("configure")
def test_a_first_sign_in_makes_the_account_and_the_next_finds_it(client: Client) -> None:
    assert "Your account of Company is taken here too" in client.get("/-/sign-in").content.decode()
    assert sign_in(client, "ada", PASSWORD, next="/-/me/tokens").headers["Location"] == "/-/me/tokens"
    assert is_signed_in(client)
    user = User.objects.get(username="ada")
    assert (user.name, user.email, user.is_admin) == ("Ada Lovelace", "ada@company.example", False)
    assert not user.has_usable_password()
    identity = user.identities.get()
    assert (identity.provider, identity.uid) == ("ldapmain", f"uid=ada,{PEOPLE}")
    other = Client()
    for login in ("ADA", "ada@company.example"):
        sign_in(other, login, PASSWORD)
    assert is_signed_in(other)
    assert User.objects.humans().count() == 1


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("password", ["wrong", "", " ", "\0", PASSWORD + "\0", "x" * 5000])
def test_a_wrong_or_empty_password_signs_nobody_in_here_nor_at_the_registry(client: Client, password: str) -> None:
    assert said_of(client, password=password)[0] in (200, 401)
    assert not User.objects.exists()
    sign_in(client, "ada", PASSWORD)
    assert ask(client, given=("ada", password)).status_code == 401


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("login", ["*", "a*", "ada)(uid=*", "*)(|(uid=*", "ada\\2a", "\\ada", "a\0da", "älter"])
def test_a_name_is_never_part_of_the_filter(client: Client, login: str) -> None:
    assert said_of(client, login)[0] in (200, 401)
    assert not User.objects.exists()
    assert ask(client, given=(login, PASSWORD)).status_code == 401


@pytest.mark.parametrize("encryption", ["start_tls", "simple_tls"])
def test_certificates_are_checked(client: Client, running: Directory, configure: Configure, encryption: str) -> None:
    port = running.tls_port if encryption == "simple_tls" else running.port
    configure(encryption=encryption, port=port)
    assert said_of(client)[0] == 503
    trusted = {"ca_file": str(running.ca_file)}
    configure(encryption=encryption, port=port, host="127.0.0.2", tls_options=trusted)
    assert said_of(client)[0] == 503  # The certificate is for 127.0.0.1.
    configure(encryption=encryption, port=port, tls_options=trusted)
    assert said_of(client)[0] == 303
    configure(encryption=encryption, port=port, verify_certificates=False)
    assert said_of(client)[0] == 303


def test_a_copy_is_asked_where_the_first_is_refused_cut_or_silent(
    client: Client, running: Directory, configure: Configure
) -> None:
    with rude_directory("cut") as cut, rude_directory("silent") as silent:
        hosts = [("127.0.0.1", port) for port in (1, cut.port, silent.port, running.port)]
        configure(hosts=hosts, host="", timeout=1)
        assert said_of(client)[0] == 303
        assert (len(cut.connections), len(silent.connections)) == (1, 1)


@pytest.mark.parametrize("manner", ["cut", "dripping"])
def test_a_directory_that_does_not_answer_is_said_and_passwords_of_ours_and_tokens_go_on(
    client: Client, configure: Configure, manner: Manner
) -> None:
    sign_in(client, "ada", PASSWORD)
    ada, root = User.objects.get(username="ada"), new_user(password=OURS)
    with rude_directory(manner) as rude:
        configure(port=rude.port, timeout=1)
        other = Client()
        status, text = said_of(other)
        assert (status, is_signed_in(other)) == (503, False)
        assert "The directory that knows your password does not answer" in text
        refused = ask(client, given=("ada", PASSWORD))
        assert (refused.status_code, refused["Retry-After"]) == (503, "5")
        asked = len(rude.connections)
        assert sign_in(other, root, OURS).status_code == 303
        assert ask(client, given=("ada", new_token(ada).secret)).status_code == 200
        assert len(rude.connections) == asked
        checked()  # Nobody is blocked by a silence.
        assert User.objects.get(username="ada").is_active
        assert len(rude.connections) == asked + 1


def test_a_directory_that_stalls_holds_up_half_of_the_threads_at_most(configure: Configure) -> None:
    with rude_directory("silent") as silent:
        configure(port=silent.port, timeout=60)
        limit = settings.MOORAGE.configuration.http.threads // 2
        failures: list[Exception] = []

        def wait() -> None:
            try:
                person_of_password("ada", PASSWORD, ["ldapmain"])
            except DirectoryUnavailable as exc:
                failures.append(exc)

        threads = [threading.Thread(target=wait, daemon=True) for _ in range(limit)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert silent.arrived.acquire(timeout=60)
        with pytest.raises(TooManyRequests):
            person_of_password("ada", PASSWORD, ["ldapmain"])
        silent.hang_up()
        for thread in threads:
            thread.join(60)
        assert len(failures) == limit


def test_a_referral_is_not_followed(client: Client, people: People, configure: Configure) -> None:
    with rude_directory("silent") as elsewhere:
        people.refer("eve", f"ldap://127.0.0.1:{elsewhere.port}/uid=eve,{PEOPLE}")
        assert said_of(client, "eve")[0] == 401
        assert said_of(client)[0] == 303
        configure(base=f"uid=eve,{PEOPLE}")
        assert said_of(Client(), "bob")[0] == 503
        assert elsewhere.connections == []


def test_a_filter_and_a_base_say_who_may_come(client: Client, people: People, configure: Configure) -> None:
    people.add("bob", employeeType="staff")
    configure(user_filter="(employeeType=staff)")
    assert said_of(client)[0] == 401
    assert said_of(client, "bob")[0] == 303
    configure(base=f"ou=nowhere,{BASE}")
    assert said_of(Client())[0] == 503


@pytest.mark.usefixtures("configure")
def test_of_two_people_of_one_name_nobody_comes_in(client: Client, people: People, configure: Configure) -> None:
    configure(base=BASE)
    people.add("ada", at=GROUPS)
    assert said_of(client)[0] == 401


def test_accounts_that_active_directory_has_disabled_stay_out(
    client: Client, people: People, configure: Configure
) -> None:
    people.change("ada", userAccountControl="514")
    assert said_of(client)[0] == 401
    configure(active_directory=False)
    assert said_of(client)[0] == 303
    configure()
    people.change("ada", userAccountControl="512")
    assert said_of(Client())[0] == 303


def test_a_password_of_ours_goes_to_no_directory(client: Client, configure: Configure) -> None:
    new_user("ada", password=OURS)
    with rude_directory("cut") as rude:
        configure(port=rude.port)
        assert said_of(client, password="a password of ours, mistyped")[0] == 401
        assert said_of(client, password=OURS)[0] == 303
        assert rude.connections == []


def test_whoever_is_called_like_a_user_of_ours_names_the_directory(client: Client, configure: Configure) -> None:
    local = new_user("ada", password=OURS)
    assert said_of(client)[0] == 401
    assert said_of(client, "main\\ada")[0] == 303
    user = ExternalIdentity.objects.get(provider="ldapmain").user
    assert (user.username, local.identities.exists()) == ("ada2", False)
    assert ask(client, given=("main\\ada", PASSWORD)).status_code == 200
    assert ask(client, given=("ada2", PASSWORD)).status_code == 401  # The directory has no such name.


def test_an_account_of_the_same_address_is_taken_only_where_that_is_allowed(
    client: Client, people: People, configure: Configure
) -> None:
    user = new_user("mira")
    people.change("ada", mail=user.email)
    status, text = said_of(client)
    assert (status, "another account has your e-mail address" in text) == (403, True)
    configure(link_by_email=True)
    assert said_of(client)[0] == 303
    assert user.identities.get().uid == f"uid=ada,{PEOPLE}"


def test_new_accounts_wait_for_an_administrator_where_that_is_said(client: Client, configure: Configure) -> None:
    configure(block_auto_created_users=True, lowercase_usernames=True)
    status, text = said_of(client)
    assert (status, "an administrator has to let you in first" in text) == (403, True)
    unblock_user(User.objects.get(username="ada"), by=COMMAND_LINE)
    assert said_of(client)[0] == 303


def test_members_of_the_group_are_administrators_and_no_others(
    client: Client, people: People, configure: Configure
) -> None:
    new_user(is_admin=True)
    configure(group_base=GROUPS, admin_group="admins")
    for members, expected in ((["ada"], True), (["bob"], False), (["bob", "ada"], True)):
        people.set_group("admins", members)
        assert said_of(client)[0] == 303
        assert User.objects.get(username="ada").is_admin is expected
    people.set_group("admins", ["bob"])
    checked()
    assert not User.objects.get(username="ada").is_admin


@pytest.mark.usefixtures("configure")
def test_docker_logs_in_by_the_directorys_password_once_there_is_an_account(client: Client) -> None:
    refused = ask(client, given=("ada", PASSWORD))
    assert refused.status_code == 401
    assert "no account for you here yet" in refused.json()["errors"][0]["message"]
    assert not User.objects.exists()
    sign_in(client, "ada", PASSWORD)
    assert ask(client, given=("ada", PASSWORD)).status_code == 200
    with_authenticator(User.objects.get(username="ada"))
    refused = ask(client, given=("ada", PASSWORD))
    assert refused.status_code == 401
    assert "personal access token" in refused.json()["errors"][0]["message"]
    other = Client()
    assert sign_in(other, "ada", PASSWORD).headers["Location"] == "/-/sign-in/second-factor"
    other.post("/-/sign-in/second-factor", {"code": code_of()})
    assert is_signed_in(other)


@pytest.mark.usefixtures("configure", "time_stands_still")
def test_guesses_are_counted_as_for_passwords_of_ours(client: Client) -> None:
    sign_in(client, "ada", PASSWORD)
    spellings = ["ada", "ADA", " ada", "ada ", "main\\ada"]  # Each finds her: none has tries of its own.
    statuses = [
        ask(Client(), given=(spellings[number % 5], f"wrong {number}"), address=f"10.{number}.0.1").status_code
        for number in range(11)
    ]
    assert statuses == [401] * 10 + [429]
    assert ask(Client(), given=("ada", PASSWORD), address="10.99.0.1").status_code == 429


@pytest.mark.usefixtures("configure")
def test_a_blocked_user_stays_out_whatever_the_directory_says(client: Client) -> None:
    sign_in(client, "ada", PASSWORD)
    block_user(User.objects.get(username="ada"), by=COMMAND_LINE)
    status, text = said_of(Client())
    assert (status, "this account is blocked" in text) == (403, True)
    assert ask(client, given=("ada", PASSWORD)).status_code == 401
    checked()
    assert User.objects.get(username="ada").state == UserState.BLOCKED


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("way", ["gone", "disabled"])
def test_whoever_is_gone_or_disabled_is_out_with_tokens_and_sessions_until_they_are_back(
    client: Client, people: People, way: str
) -> None:
    people.add("bob")
    sign_in(client, "ada", PASSWORD)
    secret = new_token(User.objects.get(username="ada")).secret
    assert checked() == 2  # The row is made, and then looked at.
    assert checked() == 0
    before = people.read("ada")
    if way == "gone":
        people.remove("ada")
    else:
        people.change("ada", userAccountControl="514")
    assert said_of(Client())[0] == 401
    assert ask(client, given=("ada", secret)).status_code == 200
    assert checked(timezone.now() + HOUR) == 1
    assert User.objects.get(username="ada").state == UserState.LDAP_BLOCKED
    assert ask(client, given=("ada", secret)).status_code == 401
    assert not is_signed_in(client)
    client.force_login(new_user(is_admin=True))
    assert "blocked by the directory" in client.get("/admin/users").content.decode()
    if way == "gone":
        people.restore("ada", before)
    else:
        people.change("ada", userAccountControl="512")
    assert checked(timezone.now() + 3 * HOUR) == 1
    assert ask(client, given=("ada", secret)).status_code == 200


@pytest.mark.usefixtures("configure")
def test_whoever_is_back_comes_in_at_once_by_signing_in(client: Client, people: People) -> None:
    sign_in(client, "ada", PASSWORD)
    people.change("ada", userAccountControl="514")
    checked()
    assert not is_signed_in(client)
    people.change("ada", userAccountControl="512")
    assert said_of(client)[0] == 303
    assert is_signed_in(client)


def test_a_directory_that_shows_nobody_any_more_blocks_nobody(
    client: Client, people: People, configure: Configure
) -> None:
    people.add("bob")
    sign_in(client, "ada", PASSWORD)
    configure(user_filter="(employeeType=mistyped)")
    checked()
    assert User.objects.get(username="ada").is_active


def test_whoever_has_moved_keeps_the_account_and_whoever_has_their_old_name_does_not_get_it(
    client: Client, people: People, configure: Configure
) -> None:
    configure(base=BASE)
    sign_in(client, "ada", PASSWORD)
    people.rename("ada", "uid=countess", GROUPS)
    checked()
    identity = ExternalIdentity.objects.get(user__username="ada")
    assert identity.uid == f"uid=countess,{GROUPS}"
    assert said_of(client, "main\\countess")[0] == 303
    people.rename("countess", "uid=ada", PEOPLE, at=GROUPS)
    checked(timezone.now() + HOUR)
    people.remove("ada")
    people.add("ada", mail="another@company.example")
    status, text = said_of(Client())
    assert (status, "ask an administrator to delete that account" in text) == (403, True)
    assert ask(client, given=("ada", PASSWORD)).status_code == 401


def test_a_second_directory_is_asked_about_whom_the_first_has_not(
    client: Client, people: People, configure: Configure
) -> None:
    people.add("bob", at=GROUPS)
    configure(others={"branch": {"base": GROUPS, "label": "Branch"}})
    assert "Company, Branch" in client.get("/-/sign-in").content.decode()
    assert said_of(client, "bob")[0] == 303
    assert User.objects.get(username="bob").identities.get().provider == "ldapbranch"
    configure(others={"branch": {"base": GROUPS, "label": "Branch", "port": 1}})
    assert said_of(Client())[0] == 303
    assert said_of(Client(), "carol")[0] == 503  # The second may have her.


def test_a_user_of_a_directory_may_have_a_password_of_ours_besides(client: Client, configure: Configure) -> None:
    sign_in(client, "ada", PASSWORD)
    change_password(User.objects.get(username="ada"), OURS, by=COMMAND_LINE)
    for password, status in ((OURS, 303), (PASSWORD, 303), ("wrong", 401)):
        assert said_of(Client(), password=password)[0] == status
    for number in range(20):  # None of them counts as a guess.
        assert ask(client, given=("ada", PASSWORD), address=f"10.7.7.{number}").status_code == 200


def test_the_command_shows_whom_a_directory_has_and_never_the_password(
    running: Directory, people: People, tmp_path: Path
) -> None:
    people.add("bob")
    (tmp_path / "secret").write_text(f"{SEARCHER_PASSWORD}\n")
    main = f"""\
      host: 127.0.0.1
      port: {running.port}
      encryption: start_tls
      tls_options: {{ca_file: {running.ca_file}}}
      uid: uid
      bind_dn: '{SEARCHER}'
      passwordfile: secret
      base: '{PEOPLE}'
"""
    file = tmp_path / "control.yml"

    def said(servers: str, *words: str, enabled: str = "true") -> tuple[int, str]:
        file.write_text(f"secret: {'x' * 40}\nldap:\n  enabled: {enabled}\n  servers:\n{servers}")
        found = CliRunner().invoke(app, ["control", "ldap", "check", *words, "--config", str(file)])
        text = f"{found.output}{found.exception or ''}"
        assert SEARCHER_PASSWORD not in text
        return found.exit_code, text

    status, text = said(f"    main:\n{main}", "--json")
    assert status == 0
    assert {(row["server"], row["username"]) for row in json.loads(text)} == {("ldapmain", "ada"), ("ldapmain", "bob")}
    assert said(f"    main:\n{main}", "1")[1].count("ldapmain") == 1
    (tmp_path / "secret").write_text("another")
    status, text = said(f"    main:\n{main}")
    assert (status, "ldapmain: 127.0.0.1" in text, "refused bind_dn" in text) == (1, True, True)
    untrusted = main.replace(str(running.ca_file), "''")
    status, text = said(f"    main:\n{untrusted}")
    assert (status, "error: [SSL: CERTIFICATE_VERIFY_FAILED]" in text) == (1, True)
    assert "nobody signs in by LDAP" in said(f"    main:\n{main}", enabled="false")[1]


def test_without_directories_nothing_of_them_is_said(client: Client) -> None:
    assert "is taken here too" not in client.get("/-/sign-in").content.decode()
    assert checked() == 0
