"""SQLite's write-ahead mode: switched on without a quarrel, and at the end one file again."""

import contextlib
import sqlite3
import time
from pathlib import Path

from moorage.errors import DatabaseUnavailable

_PAUSE_S = 0.01
_NO_LOG = "the database cannot be used: there can be no write-ahead log where it is"


def switch_on(connection: sqlite3.Connection, *, deadline_s: float) -> None:
    """Put the file into write-ahead mode, where it stays.

    Raises:
        DatabaseUnavailable: the file cannot have a write-ahead log.
        sqlite3.Error: it cannot be used, or others kept it busy for longer than *deadline_s*.
    """
    end = time.monotonic() + deadline_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = wal").fetchone()
        except sqlite3.OperationalError as exc:
            # Of two that switch at the same time SQLite refuses one at once, whatever its busy timeout.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(_PAUSE_S)
            continue
        if mode != "wal":
            raise DatabaseUnavailable(_NO_LOG)
        return


def bring_in(path: Path) -> None:
    """Make one file of a database and its log, unless it is still in use; nothing is lost where that fails.

    The last connection does so when it closes, but of two that close at the same moment each takes the other for
    somebody who stays, and a process that was killed does nothing.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"  # One that was taken away is not made again.
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(uri, uri=True, timeout=0)) as connection,
    ):
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
