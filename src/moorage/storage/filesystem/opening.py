"""Files of the file system driver as they are opened and read: what is neither file nor folder holds nobody up."""
# ruff: noqa: PTH116 - system calls on strings are the hot path: a Path costs more than the call

import errno
import os
import stat
from datetime import UTC, datetime
from io import FileIO

from moorage.storage.base import Stat

FILE_MODE = 0o666
"""Less the umask, as Distribution has it; folders have 0777."""

_READ = os.O_RDONLY | os.O_CLOEXEC


def open_now(target: str, flags: int) -> int:
    """Open a file for which *flags* are given, and wait for no other end of a pipe."""
    try:
        return os.open(target, flags | os.O_NONBLOCK, FILE_MODE)
    except BlockingIOError:  # Not a pipe: a file on which somebody has a lease, who gives it back meanwhile.
        return os.open(target, flags, FILE_MODE)


def open_to_read(target: str) -> int:
    """Open what is at *target*, whatever it is, and do not wait for whoever might write into a pipe.

    For files nothing is different: see :func:`check_file` for what is none.
    """
    return open_now(target, _READ)


def open_file(target: str) -> FileIO:
    """Open what is at *target* for reads one after the other, as :func:`open_to_read` does.

    Raises:
        IsADirectoryError: it is a folder.
    """
    return open(target, "rb", buffering=0, opener=open_now)


def check_file(found: os.stat_result) -> None:
    """Refuse what is open and neither a file nor a folder.

    Raises:
        OSError: with ENXIO, as the system says it of a socket.
    """
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise OSError(errno.ENXIO, "neither a file nor a folder")


def read_beginning(target: str, size_bytes: int) -> bytes:
    """The first bytes of a file, in one read."""
    fd = open_to_read(target)
    try:
        content = os.read(fd, size_bytes)
        if not content:  # Files that have something in them need not be asked what they are.
            check_file(os.fstat(fd))
    except BlockingIOError:
        check_file(os.fstat(fd))
        raise
    finally:
        os.close(fd)
    return content


def read_whole(target: str, limit_bytes: int) -> bytes:
    """All bytes of a file; of one with more than *limit_bytes*, one more than that."""
    with open_file(target) as file:
        pieces = bytearray()
        while len(pieces) <= limit_bytes and (piece := file.read(limit_bytes + 1 - len(pieces))):
            pieces += piece
        return bytes(pieces)


def stat_of(target: str) -> Stat:
    """Return the state of the file or folder at *target*."""
    found = os.stat(target)
    check_file(found)
    is_folder = stat.S_ISDIR(found.st_mode)
    changed_at = datetime.fromtimestamp(found.st_mtime, UTC)
    return Stat(0, changed_at, is_folder) if is_folder else Stat(found.st_size, changed_at, names=found.st_nlink)
