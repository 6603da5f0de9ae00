"""Guards: who gets in, and what the others are told."""

import re

import pytest

from moorage.auth.access import CATALOGUE, EVERYTHING, Access, Action
from moorage.auth.guards import Guard, OpenGuard, SillyGuard, basic_challenge, bearer_challenge
from moorage.errors import Unauthorized
from moorage.oci.names import RepositoryName
from support.tokens import Visitor

PUSH = Access.repository(RepositoryName("group/app"), Action.PULL, Action.PUSH)
MOUNT = PUSH + Access.repository(RepositoryName("other"), Action.PULL)
REALM, SERVICE = "https://auth.example/token", "registry"


async def challenge_of(guard: Guard, headers: dict[str, str], wanted: tuple[Access, ...]) -> str:
    with pytest.raises(Unauthorized) as caught:
        await guard.check(Visitor(headers), wanted)
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
    assert basic_challenge(text).header == f'Basic realm={quoted}, charset="UTF-8"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("exp is 1", "exp is 1"),
        ('aud is "x\\y"', "aud is 'x'y'"),
        ("é\r\nSet-Cookie: a=b", "'Set-Cookie: a=b"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_a_description_holds_nothing_that_ends_it(text: str, shown: str) -> None:
    """RFC 6750 § 3: characters of error_description."""
    header = bearer_challenge(REALM, SERVICE, (), error="invalid_token", description=text).header
    assert header.endswith(f',error="invalid_token",error_description="{shown}"')


async def test_a_silly_guard_asks_for_a_header_and_takes_any() -> None:
    guard = SillyGuard(REALM, SERVICE)
    assert await challenge_of(guard, {}, PUSH) == bearer_challenge(REALM, SERVICE, PUSH).header
    grant = await guard.check(Visitor({"Authorization": ""}), PUSH)
    assert grant is EVERYTHING
    guard.require(Visitor({}), grant, PUSH)


async def test_a_refusal_lists_what_was_asked_for() -> None:
    with pytest.raises(Unauthorized) as caught:
        await SillyGuard(REALM, SERVICE).check(Visitor({}), PUSH, optional=MOUNT[-1:])
    assert caught.value.detail == {
        "access": [
            {"Type": "repository", "Class": "", "Name": "group/app", "Action": "pull"},
            {"Type": "repository", "Class": "", "Name": "group/app", "Action": "push"},
            {"Type": "repository", "Class": "", "Name": "other", "Action": "pull"},
        ]
    }


async def test_an_open_guard_lets_everybody_in() -> None:
    guard = OpenGuard()
    assert await guard.check(Visitor({}), PUSH) is EVERYTHING
    guard.require(Visitor({}), EVERYTHING, PUSH)
