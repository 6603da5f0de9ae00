"""Guards: who gets in, and what the others are told."""

import re

import pytest

from moorage.auth.access import CATALOGUE, EVERYTHING, Access, Action
from moorage.auth.guards import ClosedGuard, Guard, OpenGuard, SillyGuard, bearer_challenge
from moorage.errors import Unauthorized
from moorage.oci.names import RepositoryName

PUSH = Access.repository(RepositoryName("group/app"), Action.PULL, Action.PUSH)
MOUNT = PUSH + Access.repository(RepositoryName("other"), Action.PULL)
REALM, SERVICE = "https://auth.example/token", "registry"
CLOSED = [ClosedGuard(scheme="Bearer", realm=REALM, service=SERVICE), ClosedGuard(scheme="Basic", realm=REALM)]


def challenge_of(guard: Guard, headers: dict[str, str], wanted: tuple[Access, ...]) -> str:
    with pytest.raises(Unauthorized) as caught:
        guard.check(headers, wanted)
    return caught.value.challenge.header


@pytest.mark.parametrize(
    ("wanted", "scope"),
    [
        ((), None),
        (PUSH, "repository:group/app:pull,push"),
        (MOUNT, "repository:group/app:pull,push repository:other:pull"),
        ((CATALOGUE,), "registry:catalog:*"),
        (Access.repository(RepositoryName("a"), Action.DELETE), "repository:a:delete"),
    ],
)
def test_a_bearer_challenge_asks_for_what_is_wanted(wanted: tuple[Access, ...], scope: str | None) -> None:
    header = bearer_challenge(REALM, SERVICE, wanted).header
    assert header.startswith("Bearer ")
    pairs = dict(re.findall(r'(\w+)="([^"]*)"', header))
    assert pairs == {"realm": REALM, "service": SERVICE} | ({} if scope is None else {"scope": scope})
    assert header == "Bearer " + ",".join(f'{key}="{value}"' for key, value in pairs.items())


@pytest.mark.parametrize(
    ("text", "quoted"), [('a"b', r'"a\"b"'), ("a\\b", r'"a\\b"'), ('\\"', r'"\\\""'), ('",realm="x', r'"\",realm=\"x"')]
)
def test_a_quote_does_not_end_a_value(text: str, quoted: str) -> None:
    assert bearer_challenge(text, text, ()).header == f"Bearer realm={quoted},service={quoted}"
    assert challenge_of(ClosedGuard(scheme="Basic", realm=text), {}, ()) == f"Basic realm={quoted}"


@pytest.mark.parametrize("guard", CLOSED, ids=["Bearer", "Basic"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic YTpi"}])
@pytest.mark.parametrize("wanted", [(), PUSH, (CATALOGUE,)])
def test_a_closed_guard_lets_nobody_in(guard: Guard, headers: dict[str, str], wanted: tuple[Access, ...]) -> None:
    assert REALM in challenge_of(guard, headers, wanted)


def test_a_silly_guard_asks_for_a_header_and_takes_any() -> None:
    guard = SillyGuard(REALM, SERVICE)
    assert challenge_of(guard, {}, PUSH) == bearer_challenge(REALM, SERVICE, PUSH).header
    assert guard.check({"Authorization": ""}, PUSH) is EVERYTHING


def test_a_refusal_lists_what_was_wanted() -> None:
    with pytest.raises(Unauthorized) as caught:
        SillyGuard(REALM, SERVICE).check({}, PUSH)
    assert caught.value.detail == {
        "access": [
            {"Type": "repository", "Class": "", "Name": "group/app", "Action": "pull"},
            {"Type": "repository", "Class": "", "Name": "group/app", "Action": "push"},
        ]
    }


def test_an_open_guard_lets_everybody_in() -> None:
    assert OpenGuard().check({}, PUSH) is EVERYTHING
