"""Who is at work on a storage: a file that is held open as long as the work lasts, so that others can find out.

``open_writer`` keeps other writers out, in this process and in others, until it is closed or the process is gone,
whatever ended it. So a file ``writing-<random>`` that somebody else can open is left from one that was killed, and is
removed; one that is busy has its owner alive.

Everybody announces first and looks then: of two that begin at once, at least one sees the other. On a file system,
processes that are forked afterwards hold the file too, until the last of them is gone.
"""

import asyncio
import contextlib
import os
import secrets
import socket
from dataclasses import dataclass
from enum import Enum
from typing import Self

from moorage.errors import PathUnknown, StorageBusy, StorageFull
from moorage.storage import paths
from moorage.storage.base import StorageDriver, Writer

_SECOND_LOOK_S = 0.2
"""Whoever looks opens the file too, for a moment: another one who looks then takes it for busy."""


class Work(Enum):
    """What somebody does with a storage; its value begins the file's name."""

    WRITING = "writing"
    """Serving it, pushes and deletes included."""
    COLLECTING = "collecting"
    """Collecting garbage offline, relying on nobody to write."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """Somebody who is at work: the file, and the machine and process that it names."""

    path: str
    who: str

    def __str__(self) -> str:
        return f"{self.who} ({self.path.lstrip('/')})"


class Announcement:
    """Our own file. It ends with :meth:`close`, with the last reference to it, or with the process."""

    def __init__(self, storage: StorageDriver, path: str, writer: Writer) -> None:
        self._storage = storage
        self._writer = writer
        self.path = path

    @classmethod
    async def make(cls, storage: StorageDriver, work: Work) -> Self:
        """Let others know. Afterwards look for those who must not be there.

        Raises:
            StorageFull, StorageUnavailable: the file cannot be written.
        """
        while True:
            path = paths.lock_file(f"{work.value}-{secrets.token_hex(8)}")
            try:
                writer = await storage.open_writer(path)
            except StorageBusy:
                continue  # Somebody looked at it before it was locked, and takes it for left over.
            with contextlib.suppress(StorageFull):  # Who it is can be left unsaid: room may be what is to be made.
                await writer.write(f"{socket.gethostname()} process {os.getpid()}".encode())
            return cls(storage, path, writer)

    async def close(self) -> None:
        """Be done; the file goes."""
        try:
            await self._storage.delete(self.path, durable=False)
        except PathUnknown:
            pass
        finally:
            await self._writer.close()


async def others_at_work(storage: StorageDriver, work: Work, *, but: Announcement | None = None) -> list[AtWork]:
    """Who else does *work*. What the dead left behind is removed, of every kind of work.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    found = await _look(storage, work, but)
    if found:
        await asyncio.sleep(_SECOND_LOOK_S)
        found = await _look(storage, work, but)
    return found


async def _look(storage: StorageDriver, work: Work, but: Announcement | None) -> list[AtWork]:
    try:
        entries = await storage.list(paths.LOCK_FILES)
    except PathUnknown:
        return []
    kinds = tuple(f"{kind.value}-" for kind in Work)
    found = []
    for entry in entries:
        path = paths.lock_file(entry.name)
        if not entry.name.startswith(kinds) or (but is not None and path == but.path):
            continue
        is_alive = await _is_held(storage, path)
        if is_alive and entry.name.startswith(f"{work.value}-"):
            found.append(AtWork(path, await _who(storage, path)))
    return found


async def _is_held(storage: StorageDriver, path: str) -> bool:
    """Whether somebody holds the file; if not, it is removed while we do."""
    try:
        writer = await storage.open_writer(path, append=True)
    except StorageBusy:
        return True
    except PathUnknown:
        return False
    try:
        await storage.delete(path, durable=False)
    except PathUnknown:
        pass
    finally:
        await writer.close()
    return False


async def _who(storage: StorageDriver, path: str) -> str:
    try:
        return (await storage.get(path)).decode("utf-8", "replace")[:200] or "somebody"
    except PathUnknown:
        return "somebody"
