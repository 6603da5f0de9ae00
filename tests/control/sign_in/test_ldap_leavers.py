"""People whom a directory no longer has, has disabled, moved or made administrators."""

import pytest
from django.test import Client
from django.utils import timezone

from control.sign_in.directory_sign_in import HOUR, Configure, checked, said_of
from moorage.control.accounts.changes import block_user
from moorage.control.accounts.models import ExternalIdentity, User, UserState
from moorage.control.audit.actors import COMMAND_LINE
from support.control_rows import new_token, new_user
from support.control_tokens import ask
from support.sign_in_pages import is_signed_in, sign_in
from support.slapd import BASE, GROUPS, PASSWORD, PEOPLE, People


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


def test_the_last_administrator_who_is_gone_is_blocked_once_there_is_another(
    client: Client, people: People, configure: Configure
) -> None:
    configure(group_base=GROUPS, admin_group="admins")
    people.add("bob")
    people.set_group("admins", ["ada"])
    sign_in(client, "ada", PASSWORD)
    people.remove("ada")
    checked()
    assert User.objects.get(username="ada").is_active
    new_user(is_admin=True)
    checked(timezone.now() + 2 * HOUR)
    assert User.objects.get(username="ada").state == UserState.LDAP_BLOCKED


@pytest.mark.parametrize(
    ("attribute", "value", "is_over"),
    [
        ("nsAccountLock", "true", True),
        ("nsAccountLock", "false", False),
        ("pwdAccountLockedTime", "000001010000Z", True),
        ("pwdAccountLockedTime", "20260101000000Z", False),
    ],
)
def test_whom_openldap_or_389_has_locked_for_good_is_out_with_tokens_and_whom_it_locks_for_a_while_is_not(
    people: People, configure: Configure, attribute: str, value: str, *, is_over: bool
) -> None:
    configure(active_directory=False)
    client = Client()
    people.add("bob")
    sign_in(client, "ada", PASSWORD)
    secret = new_token(User.objects.get(username="ada")).secret
    people.change("ada", **{attribute: value})
    assert said_of(Client())[0] == (303 if value == "false" else 401)
    checked()
    assert ask(client, given=("ada", secret)).status_code == (401 if is_over else 200)
    assert is_signed_in(client) is not is_over
    people.clear_attribute("ada", attribute)
    assert said_of(Client())[0] == 303
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


def test_without_directories_nothing_of_them_is_said(client: Client) -> None:
    assert "is taken here too" not in client.get("/-/sign-in").content.decode()
    assert checked() == 0
