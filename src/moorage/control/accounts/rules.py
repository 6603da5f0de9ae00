"""Rules of accounts: scopes of tokens, their prefixes and how long they live. No I/O."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import StrEnum

from moorage.control.namespaces.rules import path_problem

TOKEN_DAYS_LIMIT = 365
"""Days that a token lives at most, and if nobody says."""
LAST_USE_AGE = timedelta(minutes=10)
"""The last use is written again when what is known of it is older."""

PERSONAL_PREFIX = "glpat-"
DEPLOY_PREFIX = "gldt-"
JOB_PREFIX = "glcbt-"
"""Beginnings of tokens, so that scanners for leaked secrets know them. Source: GitLab's token prefixes."""


class TokenScope(StrEnum):
    """A right that a token is given, by GitLab's word."""

    API = "api"
    READ_API = "read_api"
    READ_USER = "read_user"
    READ_REGISTRY = "read_registry"
    WRITE_REGISTRY = "write_registry"
    SELF_ROTATE = "self_rotate"


PERSONAL_SCOPES = frozenset(TokenScope)
BOT_SCOPES = frozenset(TokenScope) - {TokenScope.READ_USER}
"""Of tokens of projects and groups."""
DEPLOY_SCOPES = frozenset({TokenScope.READ_REGISTRY, TokenScope.WRITE_REGISTRY})


def scopes_problem(given: Iterable[str], possible: frozenset[TokenScope]) -> str:
    """Return what is wrong with the scopes of a new token, in words that follow ``scopes``; empty if nothing is."""
    words = list(given)
    if not words:
        return "can't be blank"
    unknown = [word for word in words if word not in possible]
    if unknown:
        return f"can only contain available scopes: {', '.join(sorted(possible))}"
    return ""


def last_day(asked: date | None, *, today: date) -> date:
    """Return the first day on which a new token is no longer taken."""
    return asked or today + timedelta(days=TOKEN_DAYS_LIMIT)


def last_day_problem(asked: date | None, *, today: date) -> str:
    """Return what is wrong with an expiry that was asked for; empty if nothing is."""
    if asked is None:
        return ""
    if asked <= today:
        return "must be after today"
    limit = today + timedelta(days=TOKEN_DAYS_LIMIT)
    return "" if asked <= limit else f"must be before {limit + timedelta(days=1)}"


def is_use_news(last_used_at: datetime | None, now: datetime) -> bool:
    """Return whether a use is worth writing down."""
    return last_used_at is None or now - last_used_at >= LAST_USE_AGE


def username_problem(username: str) -> str:
    """Return what is wrong with a user's name, which is the path of the user's projects too."""
    return path_problem(username, is_top=True)
