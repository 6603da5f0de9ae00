"""Errors of SQLite, told apart in one place."""

import sqlite3
from typing import NoReturn

from moorage.errors import DatabaseConflict, DatabaseUnavailable, StorageFull

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)


def code_of(exc: sqlite3.Error) -> int:
    """The primary result code, see https://www.sqlite.org/rescode.html."""
    return getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def is_writing(exc: Exception) -> bool:
    """Return whether the system refused to write, for whatever reason: SQLite tells only ENOSPC from the others."""
    return getattr(exc.__cause__, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_WRITE


def fail(exc: sqlite3.Error, reason: str = "") -> NoReturn:
    """Raise SQLite's error as one of ours, with a *reason* that says more if there is one.

    One that is a mistake in our statements stays what it is.
    """
    code = code_of(exc)
    if code == sqlite3.SQLITE_FULL:
        msg = f"no room for the database: {exc}"
        raise StorageFull(msg) from exc
    if code == sqlite3.SQLITE_CONSTRAINT:
        raise DatabaseConflict(str(exc)) from exc
    if code in _UNAVAILABLE:
        msg = f"the database cannot be used: {reason or exc}"
        raise DatabaseUnavailable(msg) from exc
    raise exc
