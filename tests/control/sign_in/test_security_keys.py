"""Security keys: added, used, and every answer that is not right."""

import json

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client, RequestFactory

from moorage.control.accounts.models import User
from moorage.control.accounts.second_factors import has_second_factor, renew_recovery_codes
from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.sign_in.security_keys import is_right
from support.control_rows import PASSWORD, new_user
from support.security_key import SoftKey
from support.sign_in_pages import is_signed_in, sign_in

NEW = "/-/me/second-factor/security-key"
USE = "/-/sign-in/security-key"


def _key() -> SoftKey:
    return SoftKey("http://control.test", "control.test")


def _add(client: Client, key: SoftKey, name: str = "blue key") -> int:
    options = client.post(f"{NEW}/options").json()
    return client.post(NEW, {"name": name, "answer": key.made(options)}).status_code


def _with_key(key: SoftKey) -> User:
    user, client = new_user(password=PASSWORD), Client()
    sign_in(client, user)
    assert _add(client, key) == 201
    return user


def _half(user: User) -> Client:
    client = Client()
    sign_in(client, user)
    return client


def test_a_security_key_is_added_and_signs_in() -> None:
    key = _key()
    user = _with_key(key)
    assert user.second_factors.filter(name="blue key").exists()
    for _ in range(2):
        client = _half(user)
        assert "Use a security key" in client.get("/-/sign-in/second-factor").content.decode()
        client.post(USE, {"answer": key.asked(client.post(f"{USE}/options").json())})
        assert is_signed_in(client)


def test_the_second_key_makes_no_new_recovery_codes(client: Client) -> None:
    user = new_user(password=PASSWORD)
    sign_in(client, user)
    assert [_add(client, _key(), f"key {number}") for number in range(2)] == [201, 303]
    assert user.second_factors.count() == 3


def test_another_key_and_the_key_of_another_user_are_refused() -> None:
    key, other = _key(), _key()
    user = _with_key(key)
    _with_key(other)
    for wrong in (_key(), other):
        client = _half(user)
        client.post(USE, {"answer": wrong.asked(client.post(f"{USE}/options").json())})
        assert not is_signed_in(client)


def test_a_key_that_was_touched_on_another_site_is_refused(client: Client) -> None:
    key = _key()
    user = _with_key(key)
    key.origin = "http://control.test.evil.example"
    half = _half(user)
    half.post(USE, {"answer": key.asked(half.post(f"{USE}/options").json())})
    assert not is_signed_in(half)
    sign_in(client, new_user("mallory", password=PASSWORD))
    assert _add(client, SoftKey("http://evil.example", "control.test")) == 303
    assert _add(client, SoftKey("http://control.test", "evil.example")) == 303
    assert not has_second_factor(User.objects.get(username="mallory"))


def test_an_answer_is_taken_once_and_only_for_its_own_challenge() -> None:
    key = _key()
    user = _with_key(key)
    first, second = _half(user), _half(user)
    answer = key.asked(first.post(f"{USE}/options").json())
    second.post(f"{USE}/options")
    second.post(USE, {"answer": answer})
    assert not is_signed_in(second)
    first.post(USE, {"answer": answer})
    assert is_signed_in(first)
    third = _half(user)
    third.post(USE, {"answer": answer})
    assert not is_signed_in(third)


def test_a_key_whose_counter_goes_back_may_be_a_copy_and_is_refused() -> None:
    key = _key()
    user = _with_key(key)
    client = _half(user)
    client.post(USE, {"answer": key.asked(client.post(f"{USE}/options").json())})
    key.counter = 0
    copied = _half(user)
    copied.post(USE, {"answer": key.asked(copied.post(f"{USE}/options").json())})
    assert not is_signed_in(copied)


@pytest.mark.parametrize("counts", [True, False])
def test_of_two_requests_with_the_same_answer_at_the_same_moment_one_is_taken(*, counts: bool) -> None:
    key = _key()
    key.counts = counts
    user = _with_key(key)
    client = _half(user)
    answer = json.loads(key.asked(client.post(f"{USE}/options").json()))
    requests = [RequestFactory().post(USE, headers={"host": "control.test"}) for _ in range(2)]
    for request in requests:  # Both have read the session before either of them writes it.
        request.session = SessionStore(client.cookies[settings.SESSION_COOKIE_NAME].value)
        assert request.session.get("security_key_state")
    assert [is_right(request, user, answer) for request in requests] == [True, False]


def test_a_key_that_has_counted_and_does_not_any_more_is_refused() -> None:
    key = _key()
    user = _with_key(key)
    client = _half(user)
    client.post(USE, {"answer": key.asked(client.post(f"{USE}/options").json())})
    key.counts = False
    copied = _half(user)
    copied.post(USE, {"answer": key.asked(copied.post(f"{USE}/options").json())})
    assert not is_signed_in(copied)


@pytest.mark.parametrize(
    "answer",
    ["", "null", "[]", "{}", "{", '{"id": 1}', '"x"', "[" * 5000, json.dumps({"response": {"a": 1}}), "9" * 70_000],
)
def test_an_answer_that_is_none_is_refused_in_words(answer: str) -> None:
    key = _key()
    user = _with_key(key)
    client = _half(user)
    client.post(f"{USE}/options")
    assert client.post(USE, {"answer": answer}).status_code == 303
    assert not is_signed_in(client)
    inside = Client()
    codes = renew_recovery_codes(user, by=COMMAND_LINE)
    sign_in(inside, user)
    inside.post("/-/sign-in/second-factor", {"code": codes[0]})
    inside.post(f"{NEW}/options")
    assert inside.post(NEW, {"name": "x", "answer": answer}).status_code == 303
    assert user.second_factors.count() == 2
