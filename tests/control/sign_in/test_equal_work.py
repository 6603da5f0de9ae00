"""A name that exists costs as much work as one that does not, so that the time of an answer tells nothing of it."""

from collections.abc import Callable
from itertools import count

import pytest
from django.contrib.auth.hashers import check_password
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from moorage.control.accounts import passwords
from moorage.control.accounts.changes import block_user
from moorage.control.accounts.models import FactorKind, SecondFactor
from moorage.control.audit.actors import COMMAND_LINE
from support.control_rows import PASSWORD, new_user
from support.control_tokens import ask

WRONG = "not-the-pa55word-of-anybody"

Ask = Callable[[str], int]


def _at_the_login_page(login: str) -> int:
    client = Client(REMOTE_ADDR=next(ADDRESSES))
    return client.post("/-/sign-in", {"login": login, "password": WRONG}).status_code


def _at_the_token_endpoint(login: str) -> int:
    answer: int = ask(Client(), "repository:a/b:pull", given=(login, WRONG), address=next(ADDRESSES)).status_code
    return answer


ADDRESSES = (f"10.9.{number // 250}.{number % 250 + 1}" for number in count())


@pytest.fixture(name="hashes")
def _hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The encoded hashes that passwords were held against."""
    seen: list[str] = []

    def check(password: str, encoded: str) -> bool:
        seen.append(encoded)
        return bool(check_password(password, encoded))

    monkeypatch.setattr(passwords, "check_password", check)
    return seen


@pytest.mark.parametrize("at", [_at_the_login_page, _at_the_token_endpoint])
def test_a_wrong_password_costs_the_same_whoever_it_is_for(at: Ask, hashes: list[str]) -> None:
    right, blocked, with_factor = (new_user(password=PASSWORD) for _ in range(3))
    without = new_user()
    block_user(blocked, by=COMMAND_LINE)
    SecondFactor.objects.create(user=with_factor, kind=FactorKind.TOTP, name="authenticator")
    at("warm-up")
    found = {}
    for login in ("nobody-here", right.username, blocked.username, with_factor.username, without.username):
        hashes.clear()
        with CaptureQueriesContext(connection) as queries:
            status = at(login)
        found[login] = (status, len(hashes), [query["sql"].split(" WHERE ")[0] for query in queries])
    assert len(set(map(str, found.values()))) == 1, found
    assert found["nobody-here"][1] == 1
