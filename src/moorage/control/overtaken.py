"""Requests that another one has overtaken: what they found a moment ago has gone, or has changed, when they write."""

from http import HTTPStatus

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError

_GONE = frozenset({"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"})
"""A row that another one belongs to is not there."""
_FASTER = frozenset({"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY", "40P01", "40001"})
"""There is one already; or two waited for each other, and this one was ended."""


def answer_when_overtaken(exc: Exception) -> HTTPStatus | None:
    """Return the answer to a request that ended in *exc*: 404, 409; None: another request has nothing to do with it.

    Whoever looks first is told of what is not there; so a row that is missing afterwards was there a moment ago.
    """
    if isinstance(exc, ObjectDoesNotExist):
        return HTTPStatus.NOT_FOUND
    if type(exc) is DatabaseError and exc.__cause__ is None:  # Django's own: a row to change is not there.
        return HTTPStatus.NOT_FOUND
    code = _code_of(exc.__cause__) if isinstance(exc, DatabaseError) else ""
    if code in _GONE:
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.CONFLICT if code in _FASTER else None


def _code_of(cause: BaseException | None) -> str:
    """Return the name that PostgreSQL or SQLite gives an error; empty: it is not one of theirs."""
    return getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or ""
