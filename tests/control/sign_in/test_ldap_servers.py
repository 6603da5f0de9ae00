"""Directories that are asked: certificates, copies, silence, referrals, filters, several of them."""

import json
import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from typer.testing import CliRunner

from control.sign_in.directory_sign_in import Configure, checked, said_of
from moorage.cli.app import app
from moorage.control.accounts.models import User
from moorage.control.ldap.directories import person_of_password
from moorage.control.ldap.people import DirectoryUnavailable
from moorage.errors import TooManyRequests
from support.control_rows import PASSWORD as OURS
from support.control_rows import new_token, new_user
from support.control_tokens import ask
from support.rude_directory import Manner, rude_directory
from support.sign_in_pages import is_signed_in, sign_in
from support.slapd import BASE, GROUPS, PASSWORD, PEOPLE, SEARCHER, SEARCHER_PASSWORD, Directory, People


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


def test_of_two_people_and_a_machine_of_one_name_nobody_comes_in(
    client: Client, people: People, configure: Configure
) -> None:
    configure(base=BASE)
    people.become_machine("ada")  # It is found first.
    people.add("ada", at=GROUPS)
    assert said_of(client)[0] == 303
    people.add("eve", at=GROUPS, uid="ada")
    assert said_of(Client())[0] == 401


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
