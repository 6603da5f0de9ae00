"""Lock files in storage: they say where the metadata of its images is, so that nobody serves it from elsewhere.

Nobody serves before its own lock is there and the other one was not found afterwards. So of two that start at once, at
least one sees the other. No start takes a lock back: a third process may have relied on it meanwhile.

Source: GitLab ``registry/storage/locks.go``; features IMP-019 to IMP-023.
"""

import os
from dataclasses import dataclass
from enum import Enum

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage import paths
from moorage.storage.base import StorageDriver

ENFORCEMENT_VARIABLE = "REGISTRY_FF_ENFORCE_LOCKFILES"

_CONTENT = b'{"version":1}'


class Lock(Enum):
    """The two lock files, which say where the metadata is; the value is the file's name."""

    FILESYSTEM = "filesystem-in-use"
    """The metadata is in link files beside the blobs."""
    DATABASE = "database-in-use"
    """The metadata is in a database."""

    @property
    def path(self) -> str:
        """The lock file's path in storage."""
        return paths.lock_file(self.value)


@dataclass(frozen=True, slots=True)
class Locks:
    """The lock files' presence: for each of the two, True if it is there."""

    filesystem: bool
    database: bool


def are_enforced() -> bool:
    """Return True if what storage says of itself keeps a registry from starting; if not, it is only warned."""
    return os.environ.get(ENFORCEMENT_VARIABLE) != "false"


async def read(storage: StorageDriver) -> Locks:
    """Find out which lock files are there.

    Raises:
        StorageUnavailable: that cannot be found out.
    """
    return Locks(await _is_there(storage, Lock.FILESYSTEM), await _is_there(storage, Lock.DATABASE))


async def write(storage: StorageDriver, lock: Lock) -> None:
    """Write a lock file unless it is there; durable on return. Afterwards look for the other one.

    Raises:
        StorageFull, StorageUnavailable: it could not be written.
    """
    if not await _is_there(storage, lock):
        await storage.put(lock.path, _CONTENT)


async def remove(storage: StorageDriver, lock: Lock) -> None:
    """Remove a lock file if it is there; durable on return. Only while nobody serves the storage.

    Raises:
        StorageUnavailable: it could not be removed.
    """
    try:
        await storage.delete(lock.path)
    except PathUnknown:
        return


async def watch_layout(storage: StorageDriver) -> None:
    """Take a storage that is no longer marked as one of link files for another one, from now on."""
    storage.watch(Lock.FILESYSTEM.path, await storage.get(Lock.FILESYSTEM.path))


class FilesystemClaim:
    """Writes ``filesystem-in-use`` when a registry that started without images is about to have its first one."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage
        self._is_held = False

    async def hold(self) -> None:
        """Make sure of the lock; from the second time on at no cost.

        Raises:
            StorageFull: there is no room for it.
            StorageUnavailable: it could not be written, or the images of this storage are in a database by now.
        """
        if self._is_held:
            return
        await write(self._storage, Lock.FILESYSTEM)
        if await _is_there(self._storage, Lock.DATABASE):
            msg = "another registry has begun to use this storage with a database; restart this one"
            raise StorageUnavailable(msg)
        self._is_held = True
        await watch_layout(self._storage)


async def _is_there(storage: StorageDriver, lock: Lock) -> bool:
    return await storage.exists(lock.path, folder=False)
