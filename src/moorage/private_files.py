"""Database files that only their owner can read."""

import contextlib
import os
from pathlib import Path

_PRIVATE = 0o600
_OTHERS = 0o007


def make_private(path: Path) -> None:
    """Make the file if it is not there, and let only its owner use it; SQLite gives what it puts beside it the same.

    A file that every user of the machine may use was made so by a umask, and becomes private; one that a group may
    use, and nobody else, was made so by its administrator, and stays. What cannot be changed is left: whoever opens
    it then says what is wrong.
    """
    if str(path) == ":memory:":  # SQLite's name for no file at all.
        return
    with contextlib.suppress(OSError):
        # Never a file that is there: to close a descriptor of it ends all locks that SQLite has in this process.
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE))
    for suffix in ("", "-wal", "-shm", "-journal"):
        file = path.with_name(path.name + suffix)
        with contextlib.suppress(OSError):
            if file.stat().st_mode & _OTHERS:
                file.chmod(_PRIVATE)
