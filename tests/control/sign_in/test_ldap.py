"""Sign-in by LDAP, at the pages and by docker's way, against OpenLDAP's own server."""

import pytest
from django.test import Client

from control.sign_in.directory_sign_in import Configure, said_of
from moorage.control.accounts.changes import change_password, unblock_user
from moorage.control.accounts.models import ExternalIdentity, User
from moorage.control.audit.actors import COMMAND_LINE
from support.control_rows import PASSWORD as OURS
from support.control_rows import new_user
from support.control_tokens import ask
from support.rude_directory import rude_directory
from support.sign_in_pages import code_of, is_signed_in, sign_in, with_authenticator
from support.slapd import PASSWORD, PEOPLE, People


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
    spellings = ["ada", "ADA", " ada", "ada ", "Main\\ada"]  # Each finds her: none has tries of its own.
    statuses = [
        ask(Client(), given=(spellings[number % 5], f"wrong {number}"), address=f"10.{number}.0.1").status_code
        for number in range(11)
    ]
    assert statuses == [401] * 10 + [429]
    assert ask(Client(), given=("ada", PASSWORD), address="10.99.0.1").status_code == 429


def test_a_user_of_a_directory_may_have_a_password_of_ours_besides(client: Client, configure: Configure) -> None:
    sign_in(client, "ada", PASSWORD)
    change_password(User.objects.get(username="ada"), OURS, by=COMMAND_LINE)
    for password, status in ((OURS, 303), (PASSWORD, 303), ("wrong", 401)):
        assert said_of(Client(), password=password)[0] == status
    for number in range(20):  # None of them counts as a guess.
        assert ask(client, given=("ada", PASSWORD), address=f"10.7.7.{number}").status_code == 200
