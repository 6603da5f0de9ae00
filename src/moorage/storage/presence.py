"""Processes at work on a storage: each has an object that lasts as long as its work, so that others can find out.

Everybody announces first and looks then: of two that begin at once, at least one sees the other. How an announcement
ends when its process is killed depends on what storage can do.

* With exclusive writers it is a file that is held open. ``open_writer`` keeps other writers out, in this process and
  in others, until it is closed or the process is gone, whatever ended it. So a file ``writing-<random>`` that no
  writer has open is left from one that was killed, and is removed. Users may differ: to look it is enough to be able
  to read the file, and one that cannot be read is taken for open. On a file system, processes that are forked
  afterwards hold the file too, until the last of them is gone.
* Without them it is a lease: see ``lease_files.py``. A backup has a lease everywhere: one that was killed holds garbage
  collection for some minutes more, in which it can be started again.
"""

import asyncio
import contextlib
import math
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from moorage.errors import BackendError, PathUnknown, StorageBusy, StorageFull, StorageUnavailable
from moorage.storage import paths
from moorage.storage.base import StorageDriver, Writer
from moorage.storage.file_storage import FileStorage, keeps_files
from moorage.storage.lease_files import LeaseFile, LeaseTimes, is_alive, storage_time


class Activity(Enum):
    """Kinds of work on a storage; the value begins the file's name."""

    WRITING = "writing"
    """Serving it, pushes and deletes included."""
    COLLECTING = "collecting"
    """Collecting garbage offline, relying on nobody to write."""
    BACKING_UP = "backing-up"
    """Copying blobs, relying on nobody to remove them."""
    MOVING = "moving"
    """Taking images from link files into a database, or back, relying on nobody else to do so."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A process that is at work: its file, and the machine and process that the file names."""

    path: str
    who: str
    doubt: str = ""
    """The reason for which nobody knows whether the file is held; empty: it is known."""

    def __str__(self) -> str:
        doubt = f": {self.doubt}; remove it if nobody is at work" if self.doubt else ""
        return f"{self.who} ({self.path.lstrip('/')}{doubt})"


class HeldFile:
    """A file of ours that is held open. It ends with :meth:`close`, with the last reference to it, or the process."""

    def __init__(self, storage: StorageDriver, path: str, writer: Writer) -> None:
        self._storage = storage
        self._writer = writer
        self.path = path

    @classmethod
    async def make(cls, storage: FileStorage, path: str) -> Self:
        """Make the file *path* and hold it.

        Raises:
            StorageBusy: another process looked at it before it was locked, and takes it for left over.
            StorageFull, StorageUnavailable: the file cannot be written.
        """
        writer = await storage.open_writer(path)
        with contextlib.suppress(StorageFull):  # Who it is can be left unsaid: room may be what is to be made.
            await writer.write(_who())
        return cls(storage, path, writer)

    @property
    def fileno(self) -> int | None:
        """The open file that holds it, for as long as a process has it; None: the storage has no such thing."""
        return self._writer.fileno

    @property
    def known_until(self) -> float:
        """The time until which others know of us: for ever; see :meth:`check`."""
        return math.inf

    def check(self) -> None:
        """Do nothing: nobody can take it away from us."""

    async def lost(self) -> None:
        """Return never; see :meth:`check`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Be done; the file goes."""
        try:
            await self._storage.delete(self.path, durable=False)
        except PathUnknown:
            pass
        finally:
            await self._writer.close()


Announcement = HeldFile | LeaseFile
"""The object by which others see us. ``check`` before each step that relies on it."""


async def announce(storage: StorageDriver, work: Activity, *, times: LeaseTimes | None = None) -> Announcement:
    """Let others know. Afterwards look for those who must not be there.

    Raises:
        StorageFull, StorageUnavailable: it cannot be written.
    """
    while True:
        path = paths.lock_file(f"{work.value}-{secrets.token_hex(8)}")
        if not keeps_files(storage) or work is Activity.BACKING_UP:
            return await LeaseFile.make(storage, path, _who(), times=times)
        with contextlib.suppress(StorageBusy):
            return await HeldFile.make(storage, path)


async def others_at_work(storage: StorageDriver, work: Activity, *, but: Announcement | None = None) -> list[Presence]:
    """List the others that do *work*. Files left by dead processes are removed, for every kind of work.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    try:
        entries = await storage.list(paths.LOCK_FILES)
    except PathUnknown:
        return []
    kinds = tuple(f"{kind.value}-" for kind in Activity)
    found = []
    for entry in entries:
        path = paths.lock_file(entry.name)
        if not entry.name.startswith(kinds) or (but is not None and path == but.path):
            continue
        holder = await _holder(storage, path)
        if holder is not None and entry.name.startswith(f"{work.value}-"):
            found.append(holder)
    return found


async def living_others(
    storage: StorageDriver, *, but: Announcement, works: Iterable[Activity] = Activity
) -> list[Presence]:
    """List the others that do any of *works* there; what killed processes of this machine have left goes at once.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    found = [each for work in works for each in await others_at_work(storage, work, but=but)]
    return [each for each in found if not await _was_killed(storage, each)]


async def _holder(storage: StorageDriver, path: str) -> Presence | None:
    """Return the holder of the file; None: there is none, and the file is gone if it could be removed."""
    try:
        if await _is_left_over(storage, path):
            return None
        return Presence(path, (await storage.get(path)).decode("utf-8", "replace")[:200] or "somebody")
    except PathUnknown:
        return None
    except StorageUnavailable as exc:
        return Presence(path, "somebody unknown", str(exc).removeprefix(f"{path}: "))


async def _is_left_over(storage: StorageDriver, path: str) -> bool:
    if keeps_files(storage) and not _is_leased(storage, path):
        return await storage.delete_abandoned(path)
    if is_alive(await storage.stat(path, folder=False), await storage_time(storage)):
        return False
    await storage.delete(path, durable=False)
    return True


def _who() -> bytes:
    return f"{socket.gethostname()} process {os.getpid()}".encode()


def _is_leased(storage: StorageDriver, path: str) -> bool:
    return not keeps_files(storage) or path.startswith(paths.lock_file(f"{Activity.BACKING_UP.value}-"))


async def _was_killed(storage: StorageDriver, other: Presence) -> bool:
    """Return whether a lease is of a process of this machine that is gone; then it goes. An open file tells itself."""
    if not _is_leased(storage, other.path):
        return False
    host, _, number = other.who.partition(" process ")
    if host != socket.gethostname() or not number.isdecimal() or _is_running(int(number)):
        return False
    with contextlib.suppress(BackendError):
        await storage.delete(other.path, durable=False)
    return True


def _is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
