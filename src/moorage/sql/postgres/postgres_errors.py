"""Errors of PostgreSQL, told apart in one place: for the caller, and for the connection."""

import os
from dataclasses import dataclass
from typing import Final

import asyncpg

from moorage.errors import DatabaseConflict, DatabaseContended, DatabaseUnavailable, StorageFull
from moorage.room import NO_ROOM

VENDOR_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # with it TimeoutError and every error of TLS
)
"""All that the driver raises, but for a cancellation."""

_CONSTRAINT = "23"
_CONNECTION = "08"
_OUR_MISTAKES = ("22", "42")
_DISK_FULL = "53100"
_REFUSALS = frozenset({"XX000", "58030"})
"""Of what the system refuses PostgreSQL has a code for ENOSPC only: a quota is an internal error for it."""
_NO_ROOM = tuple(os.strerror(number) for number in NO_ROOM)
"""In English, as each server says them but one whose ``lc_messages`` has another language."""
_PRIVILEGE = "42501"
_READ_ONLY = "25006"
_COLLISIONS = frozenset({"40001", "40P01"})
"""A serialization failure, a deadlock."""
_LOCK_TIMEOUT = "55P03"
_ENDED = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})
"""The server ends the connection: shutdown or terminated, crash, not up yet, idle for too long."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The meaning of one error of the driver."""

    error: Exception
    """The error that the caller gets."""
    is_lost: bool = False
    """The connection is gone, or leads to a server that does not do what is needed: others like it may be too."""
    is_undone: bool = False
    """Nothing happened, for sure: a single statement may be sent again."""
    is_answered: bool = True
    """The server has said all that it will say to the statement: it does not run any more."""
    is_outdated: bool = False
    """True if the connection's memory of statements is no longer true, as the schema has changed."""


def diagnose(exc: Exception, *, is_closed: bool) -> Fault:
    """Tell what one of :data:`VENDOR_ERRORS` means. A mistake in our statements stays the error that it is.

    *is_closed*: whether the connection is closed by now.
    """
    if isinstance(exc, TimeoutError):
        return Fault(DatabaseUnavailable("PostgreSQL did not answer in time"), is_answered=False)
    if isinstance(exc, asyncpg.InvalidCachedStatementError):
        return Fault(_unavailable(exc), is_undone=True, is_outdated=True)
    if isinstance(exc, asyncpg.OutdatedSchemaCacheError):
        return Fault(_unavailable(exc), is_outdated=True)
    if isinstance(exc, asyncpg.PostgresError):
        return _diagnose_code(exc, exc.sqlstate or "")
    if isinstance(exc, asyncpg.InterfaceError) and not is_closed:
        return Fault(exc, is_answered=False)
    return Fault(_unavailable(exc), is_lost=True)


def _diagnose_code(exc: Exception, code: str) -> Fault:
    if code.startswith(_CONSTRAINT):
        return Fault(DatabaseConflict(str(exc)))
    if code == _DISK_FULL or (code in _REFUSALS and any(reason in str(exc) for reason in _NO_ROOM)):
        return Fault(StorageFull(f"no room for the database: {exc}"))
    if code in _COLLISIONS or code == _LOCK_TIMEOUT:
        return Fault(DatabaseContended(_text(exc, code)), is_undone=True)
    if code == _READ_ONLY:
        return Fault(_unavailable(exc), is_lost=True, is_undone=True)
    if code.startswith(_OUR_MISTAKES) and code != _PRIVILEGE:
        return Fault(exc)
    return Fault(_unavailable(exc), is_lost=code in _ENDED or code.startswith(_CONNECTION))


def _unavailable(exc: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(_text(exc, getattr(exc, "sqlstate", None)))


def _text(exc: Exception, code: str | None) -> str:
    return f"PostgreSQL: {str(exc) or type(exc).__name__}" + (f" (SQLSTATE {code})" if code else "")
