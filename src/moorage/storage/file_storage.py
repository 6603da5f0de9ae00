"""The part of the interface to storage that only file systems can keep: one writer at a time, and renaming.

Callers ask with :func:`keeps_files` and have another way for the others: ``lease_files.py``, ``piece_sink.py``.
"""

import contextlib
from abc import abstractmethod
from typing import TypeGuard

from moorage.errors import BackendError, StorageBusy
from moorage.storage.base import Capability, StorageDriver, Writer


class FileStorage(StorageDriver):
    """Storage with ``EXCLUSIVE_WRITERS`` and ``RENAME``."""

    capabilities = frozenset({Capability.EXCLUSIVE_WRITERS, Capability.CONDITIONAL_PUT, Capability.RENAME})

    @abstractmethod
    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        """Open an object for writing from its end (*append*) or anew, and keep other writers out until it is closed.

        Raises:
            PathUnknown: *append*, and there is no object.
            StorageBusy: another writer has it open, in this process or another.
        """

    async def make_empty(self, path: str) -> None:
        """Make an object without bytes, of a name that nobody else has; not durable."""
        await (await self.open_writer(path)).close()

    @abstractmethod
    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        """Make the finished object at *source* the one at *target*: durable on return, atomic, replacing.

        On a file system it is a rename, whatever the size. A *writer* may have *source* open, and does if somebody
        else might add to it until then; it is closed afterwards, without another write.

        If the bytes cannot be made durable *source* may be gone too: they cannot be trusted any more.

        Raises:
            PathUnknown: there is no object at *source*.
        """

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        """Do as :meth:`move`, but leave the bytes the name *source* besides; whatever had the name *target* loses it.

        *writer* has *source* open. Once it is closed, :meth:`open_writer` says of *source* that ``has_place``. It may
        be done again. False: storage cannot, and *target* is as it was.
        """
        del source, target, writer
        return False

    async def delete_abandoned(self, path: str) -> bool:
        """Remove the object unless a writer has it open; return whether none had. Not durable.

        Every user that may read the object can ask. Where it cannot be removed it stays.

        Raises:
            PathUnknown: there is none.
            StorageUnavailable: nobody knows, as it may not be read, for one.
        """
        try:
            writer = await self.open_writer(path, append=True)
        except StorageBusy:
            return False
        try:
            with contextlib.suppress(BackendError):
                await self.delete(path, durable=False)
        finally:
            await writer.close()
        return True


def keeps_files(storage: StorageDriver) -> TypeGuard[FileStorage]:
    """Return whether *storage* has exclusive writers and renames."""
    return {Capability.EXCLUSIVE_WRITERS, Capability.RENAME} <= storage.capabilities
