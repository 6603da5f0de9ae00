"""Keeps some room for an SQLite file: a file of no use beside it, which goes when there is no other room.

Deletions write to the database. On a disk that somebody else has filled to the last byte they would wait for room that
only they can make.
"""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from moorage.room import DATABASE_FLOOR_BYTES, MIB, NO_ROOM, free_bytes

RESERVE_BYTES: Final = 8 * MIB
"""As much as the log takes until it is used again, and as much for the file to grow."""
_STEP_BYTES = MIB
"""So much of it goes at once: what fills the disk may take that, too. It is enough for one transaction, and below it
the next may not have its room."""
_PLENTY_BYTES = DATABASE_FLOOR_BYTES + 2 * RESERVE_BYTES
"""From here on the reserve is made again: it takes nothing away from pushes that have just begun to work."""
_AMPLE_BYTES = 4 << 30
_AMPLE_S = 0.05
"""For so long nobody looks again where so much was left: no disk is filled that quickly."""
_PROBE_BYTES = 64 << 10
_LOG_PAGES = 1000
_SHORT_LOG_PAGES = 100
"""The log is brought into the file after so many pages; earlier while room is short, so that it does not grow."""


class Reserve:
    """The file beside a database that can be done without."""

    def __init__(self, database: Path, *, is_kept: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        """*is_kept*: whether this process makes it; any lets go of it."""
        self._folder = str(database.absolute().parent)
        self._file = database.absolute().with_name(f"{database.name}-reserve")
        self._written = [database.absolute().with_name(database.name + suffix) for suffix in ("", "-wal")]
        self._is_kept = is_kept
        self._monotonic = monotonic
        self._ample_until = float("-inf")
        self.log_pages = _LOG_PAGES
        """After how many pages the log is to be brought in."""

    def look(self) -> bool:
        """Let go of a step of it where nothing else is left; return whether it is to be made, see :meth:`make`."""
        now = self._monotonic()
        if now < self._ample_until:
            return False
        left_bytes = free_bytes(self._folder)
        if left_bytes is None:
            return False
        if left_bytes < _STEP_BYTES:
            self._shrink_to(self._size_bytes() - _STEP_BYTES)
        self.log_pages = _SHORT_LOG_PAGES if left_bytes < DATABASE_FLOOR_BYTES else _LOG_PAGES
        if self._is_kept and left_bytes >= _PLENTY_BYTES and self._size_bytes() < RESERVE_BYTES:
            return True
        if left_bytes >= _AMPLE_BYTES:
            self._ample_until = now + _AMPLE_S
        return False

    def release(self) -> None:
        """Give all of its room to the database."""
        self._shrink_to(0)

    def is_refused_room(self) -> bool:
        """Say if a file beside the database, as long as that, gets no room: SQLite does not tell a quota."""
        try:
            size_bytes = max(file.stat().st_size for file in self._written if file.exists())
            # Without a name: a process that is killed here leaves nothing that would refuse the next probe.
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as probe:
                os.pwrite(probe.fileno(), secrets.token_bytes(_PROBE_BYTES), size_bytes)
                os.fsync(probe.fileno())
        except OSError as exc:
            return exc.errno in NO_ROOM
        except ValueError:  # There is no file.
            return False
        return False

    def make(self) -> None:
        """Take the room; without enough of it, take none. Slow: not for the event loop.

        The bytes are random, because some file systems give no room to a hole or to what can be compressed.
        """
        self.release()
        try:
            fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:  # Another process makes it, or nobody may.
            return
        try:
            with open(fd, "wb") as file:  # noqa: PTH123 - it is a descriptor
                file.writelines(secrets.token_bytes(MIB) for _ in range(RESERVE_BYTES // MIB))
        except OSError:
            self.release()

    def _size_bytes(self) -> int:
        try:
            return os.stat(self._file).st_size  # noqa: PTH116 - before each commit: a Path's own costs twice the call
        except OSError:
            return 0

    def _shrink_to(self, size_bytes: int) -> None:
        with contextlib.suppress(OSError):
            if size_bytes > 0:
                os.truncate(self._file, size_bytes)
            else:
                self._file.unlink()
