"""Stops pushes while there is still room for deletions: a full disk is emptied by what writes to it, too.

Room is bytes, and on many file systems also a number of files (inodes).
"""

import errno
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from moorage.errors import StorageFull

MIB: Final = 1 << 20
STORAGE_FLOOR_BYTES: Final = MIB
"""Bytes that are kept free where blobs are. A deletion writes next to nothing there."""
DATABASE_FLOOR_BYTES: Final = 16 * MIB
"""Bytes to keep free for an SQLite file: 4 MiB for its log until that is used again from its beginning, as many for the
longest transaction beside it, and the rest for what the file itself grows by while deletions note what they took."""

NAMES_FLOOR: Final = 64
"""Files that may still be made where there is a fixed number of them: a deletion notes what it takes away."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the system that mean a full disk: a quota is one, and so is a limit on a file's size."""

_FRESH_S = 1.0
_FRESH_BYTES = MIB // 4
"""Seconds, and bytes of pieces, for which one look holds: a crowd of uploads is stopped near the floor."""


class Room:
    """Some folders, and how much has to stay free where they are."""

    def __init__(self, floors: Mapping[Path, int]) -> None:
        """*floors*: bytes for each folder; of two on one file system the larger counts."""
        self._floors = {str(folder): floor for folder, floor in floors.items()}
        self._looked_at = float("-inf")
        self._left_bytes = 0
        self._closed = ""

    def close(self, reason: str) -> None:
        """Have no room from now on, whatever the file systems say."""
        self._closed, self._left_bytes = reason, 0

    def open(self) -> None:
        """End what :meth:`close` began."""
        self._closed = ""

    def take(self, size_bytes: int) -> None:
        """Ask for room for a piece that is to be added; only now and then the file systems are asked.

        Raises:
            StorageFull: what is left is kept for deletions.
        """
        now = time.monotonic()
        if self._left_bytes < size_bytes or now - self._looked_at > _FRESH_S:
            self.check()
            self._looked_at, self._left_bytes = now, _FRESH_BYTES
        self._left_bytes -= size_bytes

    def check(self) -> None:
        """Ask the file systems at once.

        Raises:
            StorageFull: one has less than its floor, or it is closed.
        """
        if self._closed:
            raise StorageFull(self._closed)
        for folder, floor_bytes in self._floors.items():
            left_bytes = free_bytes(folder)
            if left_bytes is not None and left_bytes < floor_bytes:
                self._left_bytes = 0
                msg = f"{folder}: {left_bytes} bytes are left, and the last {floor_bytes} are kept for deletions"
                raise StorageFull(msg)
            left_names = free_names(folder)
            if left_names is not None and left_names < NAMES_FLOOR:
                self._left_bytes = 0
                msg = (
                    f"{folder}: {left_names} more files can be made, and the last {NAMES_FLOOR} are kept for deletions"
                )
                raise StorageFull(msg)


def free_bytes(folder: str | os.PathLike[str]) -> int | None:
    """Return how much may still be written below a folder; None: the file system does not say.

    One without a size of its own, such as some FUSE mounts, says 0 of 0.
    """
    found = _asked(folder)
    return found.f_bavail * found.f_frsize if found is not None and found.f_blocks else None


def free_names(folder: str | os.PathLike[str]) -> int | None:
    """Return how many files may still be made below a folder (inodes); None: as many as there is room for.

    Only where their number was fixed when the file system was made is one counted, as on ext4.
    """
    found = _asked(folder)
    return found.f_favail if found is not None and found.f_files else None


def _asked(folder: str | os.PathLike[str]) -> os.statvfs_result | None:
    try:
        return os.statvfs(folder)
    except OSError as exc:
        # What is wrong there the write itself finds out, and says better.
        if exc.errno in {errno.ENOSYS, errno.ENOENT, errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTDIR}:
            return None
        raise
