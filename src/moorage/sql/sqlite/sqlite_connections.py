"""Connections to one SQLite file, set up as all of them are."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from moorage.errors import DatabaseUnavailable
from moorage.private_files import make_private
from moorage.sql.sqlite.opened_file import OpenedFile
from moorage.sql.sqlite.write_ahead import switch_on

_DEADLINE_S = 10.0
"""Seconds to wait for another process that makes the file at the same time."""


def connect(path: Path, *settings: str, is_there: bool = False) -> sqlite3.Connection:
    """Connect to the file, which is made if it is not there; *is_there*: it was made before, and is not made again."""
    if not is_there:
        make_private(path)
    place = f"{path.absolute().as_uri()}?mode=rw" if is_there else str(path)
    connection = sqlite3.connect(
        place, uri=is_there, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        _set_up(connection, settings)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_same(file: OpenedFile, path: Path, *settings: str) -> sqlite3.Connection:
    """Connect once more to *file*, which is open under that path, and to nothing that came into its place.

    Raises:
        DatabaseUnavailable: something else is there, or nothing.
    """
    file.check()
    connection = connect(path, *settings, is_there=True)
    try:
        file.check()
    except DatabaseUnavailable:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, settings: Sequence[str]) -> None:
    switch_on(connection, deadline_s=_DEADLINE_S)
    for setting in ("PRAGMA foreign_keys = on", *settings):
        connection.execute(setting)
    connection.create_function("from_hex", 1, bytes.fromhex, deterministic=True)
    connection.create_function("now_us", 0, lambda: time.time_ns() // 1000)
