"""Folders for the file system driver: made, listed, removed, and when a name in one is on the disk."""
# ruff: noqa: PTH102, PTH103, PTH106, PTH108 - system calls on strings are the hot path: a Path costs more than the call

import contextlib
import errno
import heapq
import itertools
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from moorage.cache.remembered import Remembered
from moorage.storage.base import FolderEntry, is_name

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SMALL_BYTES = 64 << 10
_ATTEMPTS = 64
"""More than anybody deletes a folder while something is put into it; enough to end if that was not the reason."""


class SettledFolders:
    """Makes names durable, and knows of some folders that their own, and those of all above them, already are.

    A path alone tells too little to know that: another process may delete a folder and make it anew, and a file
    system is quick to give the old number to the new one. So each folder known is held open: as long as it is, no
    other one gets its number.

    Args:
        root: the folder at which durability is taken for granted.
        limit: how many are held open; the one that was asked for longest ago goes first. There are 256 folders of
            blobs, and those above them.
    """

    def __init__(self, root: str, *, limit: int = 320) -> None:
        self._root = root
        self._held: Remembered[str, _Held] = Remembered(limit, is_kept_by_use=True)
        self._lock = threading.Lock()

    def settle(self, folder: str, *, is_new: bool) -> None:
        """Sync *folder*, in which a name has changed, and those above until one that is known.

        That a folder was there before us says nothing: its maker may not have synced it yet, and may never.
        So only those are known that were synced here, with all above them, and are still the same.

        A folder made for its first object (*is_new*) is not kept: most never get a second one.
        """
        opened: list[tuple[str, int]] = []
        try:
            while not self._sync(folder, opened) and folder != self._root:
                folder = folder.rpartition("/")[0]
        except BaseException:
            for _, fd in opened:
                os.close(fd)
            raise
        if is_new and opened:
            os.close(opened.pop(0)[1])
        for path, fd in reversed(opened):
            self._hold(path, fd)

    def close(self) -> None:
        """Let go of all folders."""
        with self._lock:
            _forget(self._held.clear())

    def _sync(self, folder: str, opened: list[tuple[str, int]]) -> bool:
        """Sync one folder, and say whether that is enough: its own name is known to be durable; else it is *opened*."""
        if self._sync_held(folder):
            return True
        try:
            fd = os.open(folder or "/", _FOLDER)  # The root of all is "" here, so that a path can follow it.
        except FileNotFoundError:
            return True  # Deleted meanwhile, and the object with it.
        opened.append((folder, fd))
        _sync_names(fd)
        return False

    def _sync_held(self, folder: str) -> bool:
        """Sync a folder that is held open; False if none is, or another one is there by now."""
        with self._lock:
            held = self._held.get(folder)
            if held is None:
                return False
            held.users += 1
        try:
            is_there = held.is_at(folder)
            if is_there:
                _sync_names(held.fd)
            return is_there
        finally:
            with self._lock:
                held.users -= 1
                held.close_unused()

    def _hold(self, folder: str, fd: int) -> None:
        held = _Held(fd)
        with self._lock:
            _forget(self._held.put(folder, held))


class _Held:
    """A folder that is held open."""

    __slots__ = ("_device", "_inode", "fd", "is_forgotten", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0
        """Counts the threads that sync it just now: its number may not become another file's meanwhile."""
        self.is_forgotten = False
        found = os.fstat(fd)
        self._device, self._inode = found.st_dev, found.st_ino  # What it is known by, and no more of it.

    def is_at(self, folder: str) -> bool:
        """Return whether it still has that name."""
        try:
            found = os.stat(folder or "/")  # noqa: PTH116 - see above
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (self._device, self._inode)

    def close_unused(self) -> None:
        """Close it, if it is forgotten and nobody uses it."""
        if self.is_forgotten and not self.users:
            os.close(self.fd)


def _forget(some: Iterable[_Held]) -> None:
    for held in some:
        held.is_forgotten = True
        held.close_unused()


def make_root(root: Path, *, sync: bool) -> None:
    """Make a folder with those above it; with *sync*, the new names are on the disk on return."""
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), (root, *root.parents)))
    root.mkdir(parents=True, exist_ok=True)
    for folder in missing if sync else ():
        sync_folder(str(folder.parent))


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable; if it has gone itself, then that."""
    while True:
        try:
            fd = os.open(folder or "/", _FOLDER)
            break
        except FileNotFoundError:
            folder = folder.rpartition("/")[0]
    try:
        _sync_names(fd)
    finally:
        os.close(fd)


def in_folder(folder: str, act: Callable[[], object]) -> bool:
    """Do *act*, for which *folder* has to be there, and return whether that had to be made.

    A folder may go at any moment, because another request deletes it. So it is made again, a few times.

    Raises:
        FileNotFoundError: *act* still does not find what it needs.
        OSError: *act* or the making of the folder failed in another way.
    """
    is_new = False
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            act()
            return is_new
        _make(folder)
        is_new = True
    act()
    return is_new


def in_new_folder(folder: str, act: Callable[[], object]) -> bool:
    """As :func:`in_folder`, for a *folder* that is most likely not there: it is made first."""
    is_new = False
    with contextlib.suppress(FileNotFoundError, FileExistsError):  # The one above may not be there either.
        os.mkdir(folder)
        is_new = True
    return in_folder(folder, act) or is_new


def _make(folder: str) -> None:
    """Make a folder that is most likely missing alone; one that goes again meanwhile is not there."""
    # It "exists" for makedirs if it went between two of its calls. If a file has the name, whoever uses it says so.
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        try:
            os.mkdir(folder)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)


def list_folder(
    folder: str, after: str, limit: int | None, *, names_at_most: int | None = None
) -> list[FolderEntry] | None:
    """The entries with a proper name, in order; None if the folder has more than *names_at_most* names."""
    with os.scandir(folder) as scan:
        found: Iterable[os.DirEntry[str]] = scan
        if names_at_most is not None:
            found = list(itertools.islice(scan, names_at_most + 1))
            if len(found) > names_at_most:
                return None
        wanted = (entry for entry in found if entry.name > after and is_name(entry.name))
        if limit is None or (names_at_most is not None and limit >= names_at_most):
            chosen = sorted(wanted, key=_name_of)[:limit]
        else:
            chosen = heapq.nsmallest(limit, wanted, key=_name_of)
        return [FolderEntry(entry.name, _is_folder(entry)) for entry in chosen]


def temporary_in(folder: str) -> str:
    """A name that is not taken, and that no storage path has."""
    return f"{folder}/.~{secrets.token_hex(8)}"


def remove_tree(folder: str) -> None:
    """Remove a folder that nobody can ask for any more.

    Whoever had found it before may just be making a file in it, so it may take more than one round.
    """
    for _ in range(_ATTEMPTS):
        try:
            shutil.rmtree(folder)
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
        else:
            return
    shutil.rmtree(folder)


def remove_small(target: str) -> bool:
    """Remove an empty folder, or a file that is small or has another name, without a thread; False: something else.

    That a folder is empty is found out by removing it: to list one first may have to wait for the disk.
    """
    try:
        found = os.lstat(target)
        if stat.S_ISDIR(found.st_mode):
            os.rmdir(target)
        elif found.st_size <= _SMALL_BYTES or found.st_nlink > 1:
            os.unlink(target)
        else:
            return False
    except OSError:
        return False  # The thorough way finds out what it is.
    return True


def remove_with_folder(target: str) -> str:
    """Remove a file that may be there, then its folder if nothing else is in it; return the folder that changed.

    Raises:
        OSError: the file is still there.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(target)
    folder = target.rpartition("/")[0]
    try:
        os.rmdir(folder)
    except OSError:
        return folder  # There is more in it, or it went before.
    return folder.rpartition("/")[0]


def _sync_names(fd: int) -> None:
    """Sync a folder. A file system that cannot (CIFS) is taken as it is."""
    try:
        os.fsync(fd)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir() and not (entry.is_symlink() and _leads_back(entry))
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.EACCES):
            return False  # A symbolic link that leads nowhere, or where we may not look.
        raise


def _leads_back(link: os.DirEntry[str]) -> bool:
    """Return whether a link leads to a folder through which it was reached: to follow it would never end."""
    try:
        target = link.stat()
        above = link.path.rpartition("/")[0]
        while not os.path.samestat(target, os.stat(above or "/")):  # noqa: PTH116 - see above
            if not above:
                return False
            above = above.rpartition("/")[0]
    except FileNotFoundError:
        return False  # Deleted meanwhile, it or what is above it.
    return True


def _name_of(entry: os.DirEntry[str]) -> str:
    return entry.name
