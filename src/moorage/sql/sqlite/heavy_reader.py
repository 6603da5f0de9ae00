"""A connection for reads that take long: they run in a thread of their own, and end when the database is closed."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from moorage.sql.sqlite.sqlite_errors import fail

_T = TypeVar("_T")
_INTERRUPTED_AGAIN_S = 0.05
"""Seconds after which a read that was to end, and may only have begun since, is interrupted again."""


class HeavyReader:
    """One connection and its thread; both come with the first read."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-heavy")
        # Opened for the first that needs it, in its thread: each connection takes some 170 KiB, in every process.
        self._connection: sqlite3.Connection | None = None

    async def run(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do a read, and return what it found.

        Raises:
            DatabaseUnavailable: there can be no connection; else what *read* raises.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, read)

    async def close(self) -> None:
        """End what goes on, and close the connection."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # It was closed before.
            self._interrupt()
            ended = asyncio.ensure_future(asyncio.to_thread(self._thread.shutdown))
            while not (await asyncio.wait([ended], timeout=_INTERRUPTED_AGAIN_S))[0]:
                self._interrupt()  # What met no statement has done nothing.
            if self._connection is not None:
                # Or else an interruption that met no statement keeps the log from being brought into the file.
                self._connection.execute("SELECT 1").close()
                self._connection.close()

    def _run(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except sqlite3.Error as exc:
                fail(exc)
        return read(self._connection)

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._connection.interrupt()
