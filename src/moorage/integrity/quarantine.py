"""Moving bytes that are not what their digest says out of the way: kept to be looked at, never served."""

from collections.abc import Callable
from datetime import UTC, datetime

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.integrity.hashing import Hashing
from moorage.integrity.sightings import read
from moorage.integrity.walking import stat_of
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import Capability, Stat, StorageDriver
from moorage.storage.file_storage import keeps_files


class Quarantine:
    """Takes blobs away from where blobs lie."""

    def __init__(
        self, storage: StorageDriver, hashing: Hashing, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._storage = storage
        self._hashing = hashing
        self._now = now

    async def take(self, digest: Digest, seen: Stat) -> str | None:
        """Move the bytes that were seen to be wrong away, and return where they are.

        None: somebody has pushed the blob since, and what lies there now stays there. A push may come between the
        look and the move: then it is the right bytes that were moved, and they go back.

        Raises:
            StorageUnavailable: storage failed, or can neither rename nor remove on a condition: then what was pushed
                meanwhile could be what is removed.
        """
        if await stat_of(self._storage, digest) != seen:
            return None
        storage = self._storage
        if Capability.CONDITIONAL_DELETE in storage.capabilities:
            return await self._copy_away(digest, seen)
        if not keeps_files(storage):
            msg = f"{paths.blob(digest)}: storage of this kind cannot take bytes away without losing what comes instead"
            raise StorageUnavailable(msg)
        path, target = paths.blob(digest), paths.quarantined(digest, self._now())
        try:
            await storage.move(path, target)
        except PathUnknown:
            return None
        if await storage.stat(target) == seen:
            return target
        if await self._hashing.digest(target, digest.algorithm) != digest:
            return target
        await storage.move(target, path)
        return None

    async def _copy_away(self, digest: Digest, seen: Stat) -> str | None:
        """Copy the bytes, and remove them from their place only if they still are those that were seen."""
        path, target = paths.blob(digest), paths.quarantined(digest, self._now())
        try:
            await self._storage.copy([path], target)
        except PathUnknown:
            return None
        if await self._storage.delete_if_same(path, seen):
            return target
        await self._storage.delete(target)
        return None

    async def is_right(self, digest: Digest) -> bool:
        """Return whether the bytes that are in their place now are what their digest says."""
        return await read(self._hashing, digest) == digest
