"""Rows that are remembered for as long as nobody has changed anything in the file. Source: ADR 0126."""

import sqlite3
from collections.abc import Hashable

from moorage.cache.remembered import Remembered
from moorage.sql.base import Row

_LIMIT_BYTES = 512 << 10
_ROW_BYTES = 768
"""Bytes that a row takes besides its values, about."""
_LARGE_BYTES = 128 << 10


class RecalledRows:
    """Rows that one connection has read, which itself writes nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._cursor = connection.cursor()
        self._rows: Remembered[Hashable, Row] = Remembered(_LIMIT_BYTES, size_of=_size_bytes)
        self._version: int | None = None

    def get(self, key: Hashable) -> Row | None:
        """Return the row of *key*, if it is the one that would be read now.

        To be asked before a row is read that is put: what is changed in between is then not taken for what was read.
        """
        # It changes with every transaction of another connection, in whatever process; SQLite itself goes by it.
        # Source: https://www.sqlite.org/pragma.html#pragma_data_version
        ((version,),) = self._cursor.execute("PRAGMA data_version").fetchall()
        if version != self._version:
            self._version = version
            self._rows.clear()
            return None
        return self._rows.get(key)

    def put(self, key: Hashable, row: Row) -> None:
        """Remember what was just read."""
        if _size_bytes(row) <= _LARGE_BYTES:
            self._rows.put(key, row)

    def forget(self) -> None:
        """Let go of all."""
        self._rows.clear()


def _size_bytes(row: Row) -> int:
    return _ROW_BYTES + sum(len(value) for value in row if isinstance(value, str | bytes))
