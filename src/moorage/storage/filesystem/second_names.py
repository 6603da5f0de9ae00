"""A second name for a file whose bytes are whole: the blob that an upload is going to be, while it still is one."""
# ruff: noqa: PTH108, PTH116 - system calls on strings are the hot path: a Path costs more than the call

import contextlib
import errno
import os

from moorage.storage.filesystem.files import rename_or_remove, sync_open
from moorage.storage.filesystem.folders import SettledFolders, in_new_folder, temporary_in

_CANNOT = frozenset({errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV})
"""Answers of a file system that has no hard links, or none for this file."""


class SecondNames:
    """Gives files a second name, where the file system can do that and counts names."""

    def __init__(self, settled: SettledFolders, *, sync: bool) -> None:
        self._settled = settled
        self._sync = sync
        self._are_counted: bool | None = None
        """None: nobody knows yet."""

    def give(self, fd: int, source: str, target: str) -> bool:
        """Name the open file *source* also *target*, replacing; durable on return. False: that cannot be done.

        The bytes are durable before they have the name. If they cannot be made so *source* goes: see
        ``filesystem_driver.py``. Everybody has to be able to tell such a file by its number of names.

        Raises:
            FileNotFoundError: there is no *source*.
        """
        if self._are_counted is False:
            return False
        if self._sync:
            sync_open(fd, source)
        folder = target.rpartition("/")[0]
        try:
            is_new = in_new_folder(folder, lambda: _name(fd, source, target))
        except OSError as exc:
            if exc.errno in _CANNOT:
                return False
            raise
        if self._are_counted is None and not self._count(fd, target):
            return False
        if self._sync:
            self._settled.settle(folder, is_new=is_new)
        return True

    def _count(self, fd: int, target: str) -> bool:
        """Find out whether names are counted here; if not, take the new one away again."""
        found = os.fstat(fd)
        if found.st_nlink > 1:
            self._are_counted = True
            return True
        with contextlib.suppress(FileNotFoundError):  # Others may have been quicker.
            if os.path.samestat(found, os.stat(target)):
                self._are_counted = False
                os.unlink(target)
        return False


def _name(fd: int, source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        if os.path.samestat(os.fstat(fd), os.stat(target)):
            return
        # What is there may be damaged: the bytes that were just compared take its place.
        temporary = temporary_in(target.rpartition("/")[0])
        os.link(source, temporary)
        rename_or_remove(temporary, target)
