"""Scratch folders: each is gone when its process is done with it, or by the next one if that was killed."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_YOUNG_S = 60.0
"""A folder that is younger may not be locked yet."""
_RANDOM = "[a-z0-9_]" * 8
"""Letters behind the prefix, by which somebody else's folder of a similar name is left alone."""


@contextlib.contextmanager
def scratch_folder(prefix: str, *, within: Path | None = None) -> Iterator[Path]:
    """Make a folder that is removed at the end of the block; those that killed processes have left go first.

    *within*: where it is made; None: where temporary files are.

    Raises:
        OSError: it cannot be made.
    """
    parent = within or Path(tempfile.gettempdir())
    for left in parent.glob(prefix + _RANDOM):
        _remove_if_left(left)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # Without locks nothing is taken for left, either.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            there = os.fstat(descriptor)
            if there.st_uid != os.geteuid() or time.time() - there.st_mtime < _YOUNG_S:
                return
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # Else somebody is at work there.
            shutil.rmtree(path)
        finally:
            os.close(descriptor)
