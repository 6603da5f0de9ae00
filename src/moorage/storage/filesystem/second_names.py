"""A second name for a file whose bytes are whole: the blob that an upload is going to be, while it still is one.

Each call of the system lets other threads have the interpreter, and to have it back costs more than most of the calls.
So what a thread does here is little more than to wait for the disk: the folder is made, opened and closed where the
event loop runs, as an upload is. Source: ADR 0146.
"""
# ruff: noqa: PTH108, PTH116 - system calls on strings are the hot path: a Path costs more than the call

import contextlib
import errno
import os

from moorage.storage.filesystem.files import OpenFile, rename_or_remove, sync_open
from moorage.storage.filesystem.folders import FOLDER, SettledFolders, make_new, sync_names, temporary_in

_CANNOT = frozenset({errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV})
"""Answers of a file system that has no hard links, or none for this file."""
_ATTEMPTS = 64


class SecondNames:
    """Gives files a second name, where the file system can do that and counts names."""

    def __init__(self, settled: SettledFolders, *, sync: bool) -> None:
        self._settled = settled
        self._sync = sync
        self._are_counted: bool | None = None
        """None: nobody knows yet."""

    async def give(self, file: OpenFile, source: str, target: str) -> bool:
        """Name the open *file*, which is *source*, also *target*, replacing; durable on return. False: that cannot be.

        The bytes are durable before they have the name. If they cannot be made so *source* goes: see
        ``filesystem_driver.py``. Everybody has to be able to tell such a file by its number of names.

        Raises:
            FileNotFoundError: there is no *source*.
        """
        if self._are_counted is False:
            return False
        folder = target.rpartition("/")[0]
        for _ in range(_ATTEMPTS):
            make_new(folder)
            try:
                folder_fd = os.open(folder, FOLDER)
            except FileNotFoundError:  # It went again.
                continue
            try:
                return await file.in_thread(self._give, file.fd, folder_fd, source, target)
            except FileNotFoundError:
                os.stat(source)
            except OSError as exc:
                if exc.errno in _CANNOT:
                    return False
                raise
            finally:
                os.close(folder_fd)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)

    def _give(self, fd: int, folder_fd: int, source: str, target: str) -> bool:
        if self._sync:
            sync_open(fd, source)
        folder, _, name = target.rpartition("/")
        _name(fd, source, name, folder=folder, folder_fd=folder_fd)
        if self._are_counted is None and not self._count(fd, target):
            return False
        if self._sync:
            sync_names(folder_fd)
            # Whoever made the folder may not have synced its name, and may never.
            self._settled.settle(folder.rpartition("/")[0], is_new=False)
        return True

    def _count(self, fd: int, target: str) -> bool:
        """Find out whether names are counted here; if not, take the new one away again."""
        if os.fstat(fd).st_nlink > 1:
            self._are_counted = True
            return True
        with contextlib.suppress(FileNotFoundError):  # Others may have been quicker.
            if os.path.samestat(os.fstat(fd), os.stat(target)):
                self._are_counted = False
                os.unlink(target)
        return False


def _name(fd: int, source: str, name: str, *, folder: str, folder_fd: int) -> None:
    try:
        os.link(source, name, dst_dir_fd=folder_fd)
    except FileExistsError:
        if os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=folder_fd)):
            return
        # What is there may be damaged: the bytes that were just compared take its place.
        temporary = temporary_in(folder)
        os.link(source, temporary)
        rename_or_remove(temporary, f"{folder}/{name}")
