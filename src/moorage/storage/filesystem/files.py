"""Single files for the file system driver: open ones, new ones, and what an error of the system becomes.

The order of these calls, and what is durable then, stands in ``filesystem_driver.py``.
"""
# ruff: noqa: PTH104, PTH108, PTH116 - system calls on strings are the hot path: a Path costs more than the call

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from moorage.errors import StorageBusy, StorageUnavailable
from moorage.room import STORAGE_FLOOR_BYTES, Room
from moorage.storage.base import Incoming, Observer, Reader, Writer
from moorage.storage.filesystem.folders import temporary_in
from moorage.storage.filesystem.opening import FILE_MODE, open_file, open_now, open_to_read, read_whole
from moorage.storage.streams import Arriving
from moorage.storage.system_calls import as_storage_error
from moorage.work.buffers import BUFFERS, LARGE_BYTES
from moorage.work.call_threads import CallThreads, ThreadCall

INLINE_BYTES = 128 << 10
"""Up to here the call itself is cheaper than handing it to a thread (40 to 60 us of CPU)."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_NO_NODES = frozenset({errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""Answers to ``mknod`` where only an administrator may make a file by it, or nobody."""
_PIECE_BYTES = 1 << 20

_WRITE_BYTES = 128 << 10
"""Bytes of one write.

For more at once the kernel takes larger blocks of memory, which a virtual machine may have given back to its host: to
have them again costs up to three times as much as the copy. Source: ADR 0137.
"""
_BLOCK_BYTES = 4 << 10
"""Multiple at which a write ends unless all is written: else the next one has the same page to fill up."""

_LOCK_ATTEMPTS = 8
_P = ParamSpec("_P")
_T = TypeVar("_T")


def write_new(target: str, content: bytes, *, sync: bool) -> None:
    """Make a file that is not there yet. On failure there is still none."""
    fd = os.open(target, _NEW, FILE_MODE)
    try:
        try:
            _write_all(fd, content, 0)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        remove_quietly(target)
        raise


def make_empty(target: str) -> None:
    """Make a file without bytes that is not there yet, in one call where the system lets anybody do that."""
    try:
        os.mknod(target, stat.S_IFREG | FILE_MODE)
    except OSError as exc:
        if exc.errno not in _NO_NODES:
            raise
        write_new(target, b"", sync=False)


def sync_bytes(source: str, *, sync: bool) -> None:
    """Make the bytes of a file durable, with *sync*. Without success it goes: see ``filesystem_driver.py``."""
    fd = open_to_read(source)
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if sync:
            sync_open(fd, source)
    finally:
        os.close(fd)


def sync_open(fd: int, source: str) -> None:
    """Do the same for one that is open."""
    try:
        os.fsync(fd)
    except OSError:
        remove_quietly(source)  # These bytes cannot be trusted again.
        raise


def link_new(target: str, content: bytes, *, sync: bool) -> None:
    """Make a small file whole, in one step.

    Raises:
        FileExistsError: there is something of that name.
    """
    temporary = temporary_in(target.rpartition("/")[0])
    write_new(temporary, content, sync=sync)
    try:
        os.link(temporary, target)
    finally:
        remove_quietly(temporary)


def write_joined(target: str, files: Sequence[str], *, sync: bool) -> None:
    """Make a file that is not there yet, of the bytes of others. On failure there is still none."""
    try:
        with open(target, "xb", buffering=0) as joined:  # noqa: PTH123 - as above
            for file in files:
                with open_file(file) as part:
                    shutil.copyfileobj(part, joined, _PIECE_BYTES)
            if sync:
                os.fsync(joined.fileno())
    except BaseException:
        remove_quietly(target)
        raise


def rename_or_remove(temporary: str, target: str) -> None:
    """Give a temporary file its name; without success it goes."""
    try:
        os.rename(temporary, target)
    except BaseException:
        remove_quietly(temporary)
        raise


def probe(root: str, *, sync: bool) -> None:
    """Write a small file, read it and remove it.

    Raises:
        StorageFull: less than 1 MiB is left.
        StorageUnavailable: what was read is something else.
    """
    Room({Path(root or "/"): STORAGE_FLOOR_BYTES}).check()
    temporary, content = temporary_in(root), secrets.token_bytes(64)
    write_new(temporary, content, sync=sync)
    try:
        found = read_whole(temporary, len(content))
    finally:
        os.unlink(temporary)
    if found != content:
        msg = f"{root}: what was read is not what was written"
        raise StorageUnavailable(msg)


def remove_quietly(target: str) -> None:
    """Remove a file after a failure, which is the one to be told of."""
    with contextlib.suppress(OSError):
        os.unlink(target)


def open_to_write(target: str, path: str, threads: CallThreads, *, append: bool = False) -> Writer:
    """Lock the file *target* and open it: from its end, or emptied or new.

    Raises:
        StorageBusy: somebody else has the lock.
        OSError: what the system says; ENOENT with *append* if there is no file.
    """
    flags = os.O_WRONLY | os.O_CLOEXEC | (0 if append else os.O_CREAT)
    for _ in range(_LOCK_ATTEMPTS):
        file = OpenFile(open_now(target, flags), threads)
        try:
            fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            opened = os.fstat(file.fd)
            if _is_at(opened, target):
                if not append and opened.st_size:
                    os.ftruncate(file.fd, 0)
                return FileWriter(file, path, opened.st_size if append else 0, has_place=opened.st_nlink > 1)
        except BlockingIOError as exc:
            file.close()
            raise StorageBusy(path) from exc
        except BaseException:
            file.close()
            raise
        file.close()
    raise StorageBusy(path)


def delete_abandoned(target: str) -> bool:
    """Remove the file *target* unless a writer has locked it; return whether none had.

    A shared lock tells as well as the writers' own, and can be had by whoever may only read the file: on NFS, where
    it is one of fcntl's, an exclusive one cannot. And those who ask at once do not take each other for writers.

    Raises:
        OSError: what the system says; ENOENT if there is no file, EACCES if it may not be read.
    """
    for _ in range(_LOCK_ATTEMPTS):
        fd = open_to_read(target)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if _is_at(os.fstat(fd), target):
                remove_quietly(target)
                return True
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
    return False


class OpenFile:
    """A descriptor that is closed once, and never while a call in a thread still uses it.

    Its number would be given to the next file that is opened, and the call would write there. So :meth:`close` leaves
    the closing to a running call, if there is one.
    """

    __slots__ = ("__weakref__", "_is_closing", "_running", "_threads", "fd")

    def __init__(self, fd: int, threads: CallThreads) -> None:
        self.fd = fd
        self._threads = threads
        self._running: ThreadCall | None = None
        self._is_closing = False

    async def in_thread(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call in a thread, as :meth:`CallThreads.run` says."""
        self._running = self._threads.submit(call, *args, **kwargs)
        result: _T = await self._running.result()
        return result

    def close(self) -> None:
        """Close now, or as soon as the running call is done."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._running is None:
            self._release()
        else:
            self._running.at_end(self._release)

    def __del__(self) -> None:
        self.close()

    def _release(self) -> None:
        fd, self.fd = self.fd, -1
        with contextlib.suppress(OSError):  # What it could say of the bytes, the sync that makes them durable says.
            os.close(fd)


class FileReader(Reader):
    """An open file."""

    def __init__(self, file: OpenFile, path: str, size_bytes: int) -> None:
        self._file = file
        self._path = path
        self.size_bytes = size_bytes

    def fileno(self) -> int:
        """See the interface; -1 once it is closed."""
        return self._file.fd

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See the interface."""
        end = self.size_bytes if end is None else min(end, self.size_bytes)
        while start < end:
            piece = await self._read(min(end - start, _PIECE_BYTES), start)
            if not piece:
                msg = f"{self._path}: ends at {start}, had {self.size_bytes} bytes"
                raise StorageUnavailable(msg)
            yield piece
            start += len(piece)

    def close(self) -> None:
        """See the interface."""
        self._file.close()

    async def _read(self, wanted_bytes: int, start: int) -> bytes:
        try:
            if wanted_bytes <= INLINE_BYTES:
                return os.pread(self._file.fd, wanted_bytes, start)
            return await self._file.in_thread(os.pread, self._file.fd, wanted_bytes, start)
        except OSError as exc:
            raise as_storage_error(exc, self._path, must_exist=False) from exc


class FileWriter(Writer):
    """A locked file that grows. It holds a piece whole or not at all, also if the caller is cancelled in the middle."""

    def __init__(self, file: OpenFile, path: str, size_bytes: int, *, has_place: bool = False) -> None:
        self._file = file
        self._path = path
        self.size_bytes = size_bytes
        self.has_place = has_place

    @property
    def fileno(self) -> int:
        """See the interface."""
        return self._file.fd

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        """See the interface."""
        try:
            if not isinstance(data, bytes | bytearray | memoryview):
                await self._file.in_thread(self._append_arriving, data, observer)
            elif len(data) <= INLINE_BYTES:
                self._append(data, observer)
            else:
                await self._file.in_thread(self._append, data, observer)
        except OSError as exc:
            raise as_storage_error(exc, self._path, must_exist=False) from exc

    async def truncate(self, size_bytes: int) -> None:
        """See the interface."""
        try:
            await self._file.in_thread(os.ftruncate, self._file.fd, size_bytes)
        except OSError as exc:
            raise as_storage_error(exc, self._path, must_exist=False) from exc
        self.size_bytes = size_bytes

    async def close(self) -> None:
        """See the interface."""
        self._file.close()

    async def in_thread(self, call: Callable[[int], _T]) -> _T:
        """Call with the descriptor, in a thread; it is not closed before that is over."""
        return await self._file.in_thread(call, self._file.fd)

    def _append(self, data: bytes | bytearray | memoryview, observer: Observer | None) -> None:
        """Write *data*; on failure drop what of it was written."""
        if observer is not None:
            observer(data)
        start_bytes = self.size_bytes
        try:
            self.size_bytes += _write_all(self._file.fd, data, start_bytes)
        except OSError:
            self._cut_back(start_bytes)
            raise

    def _append_arriving(self, data: Arriving, observer: Observer | None) -> None:
        """Take, show and write what has come; on failure drop what of it was written."""
        fd, start_bytes = self._file.fd, self.size_bytes
        ends_bytes = start_bytes + data.most_bytes
        try:
            with BUFFERS.borrowed(LARGE_BYTES) as room:
                while self.size_bytes < ends_bytes:
                    wanted = min(len(room) - self.size_bytes % _BLOCK_BYTES, ends_bytes - self.size_bytes)
                    count = data.readinto(room[:wanted])
                    part = room[:count]
                    if observer is not None:
                        observer(part)
                    self.size_bytes += _write_all(fd, part, self.size_bytes)
                    if count < wanted:
                        break
        except OSError:
            self._cut_back(start_bytes)
            raise

    def _cut_back(self, size_bytes: int) -> None:
        with contextlib.suppress(OSError):
            os.ftruncate(self._file.fd, size_bytes)
        self.size_bytes = size_bytes
        with contextlib.suppress(OSError):
            self.size_bytes = os.fstat(self._file.fd).st_size


def _write_all(fd: int, data: bytes | bytearray | memoryview, offset: int) -> int:
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        count = _WRITE_BYTES - (offset + done) % _BLOCK_BYTES
        done += os.pwrite(fd, view[done : done + count], offset + done)
    return done


def _is_at(opened: os.stat_result, target: str) -> bool:
    """Return whether a file still has that name: it may have been moved or deleted before it was locked."""
    try:
        return os.path.samestat(opened, os.stat(target))
    except FileNotFoundError:
        return False
