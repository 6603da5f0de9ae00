"""Damaged blobs, whose bytes are gone or of another length: found out, logged, and noted for health and metrics.

One that is damaged counts as absent, so that the next push brings it back. What ``moorage check`` finds is not noted
here: that is kept in the database, and in its report.
"""

from collections.abc import Callable
from dataclasses import dataclass

from moorage.metadata.base import LinkedBlob, LinkStore
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver
from moorage.telemetry import get_log

NOTED_LIMIT = 100
"""So many are remembered: each is looked at again when health is asked for."""

_log = get_log("blobs")


@dataclass(frozen=True, slots=True)
class DamageFound:
    """The damage that is left: the number of damaged blobs, and one of them."""

    count: int
    example: Digest
    is_all: bool

    def __str__(self) -> str:
        count = f"{self.count}" if self.is_all else f"{self.count} or more"
        return (
            f"degraded: {count} of the blobs that clients asked for are gone or of another length, such as "
            f"{self.example}; each counts as absent until it is pushed again, and `moorage check` finds all"
        )


class DamagedBlobs:
    """The damaged blobs that this process has met, and that were not mended since."""

    def __init__(self, storage: StorageDriver, links: LinkStore, *, observer: Callable[[], None] | None = None) -> None:
        """*observer*: is called each time that a client meets one."""
        self._storage = storage
        self._links = links
        self._observer = observer
        self._noted: dict[Digest, RepositoryName | None] = {}

    def is_whole(
        self, name: RepositoryName | None, digest: Digest, linked: LinkedBlob, *, size_bytes: int | None
    ) -> bool:
        """Return whether a blob has the bytes that it should have; if not, log it and note it.

        Args:
            name: the repository that it was asked for in; None: any.
            digest: which blob.
            linked: what the metadata knows of it.
            size_bytes: how many bytes storage has; None if there is no such blob.
        """
        if _is_whole(digest, linked, size_bytes):
            self._noted.pop(digest, None)
            return True
        # Without a database that is no damage: Distribution's collection leaves links to what it has removed.
        if size_bytes is not None or linked.size_bytes is not None:
            self._note(name, digest, linked, size_bytes)
        return False

    async def remaining(self) -> DamageFound | None:
        """Return the damage that is left; None if nothing is. Blobs pushed again meanwhile, anywhere, are forgotten."""
        is_all = len(self._noted) < NOTED_LIMIT
        for digest, name in list(self._noted.items()):
            linked = await self._links.find(name, digest)
            if linked is None or _is_whole(digest, linked, await self._storage.size_bytes(paths.blob(digest))):
                self._noted.pop(digest, None)
        return DamageFound(len(self._noted), next(iter(self._noted)), is_all) if self._noted else None

    def _note(self, name: RepositoryName | None, digest: Digest, linked: LinkedBlob, size_bytes: int | None) -> None:
        _log.error(
            "blob damaged in storage: it counts as absent until it is pushed again",
            digest=str(digest),
            size_bytes=size_bytes,
            wanted_bytes=linked.size_bytes,
        )
        if len(self._noted) < NOTED_LIMIT:
            self._noted[digest] = name
        if self._observer is not None:
            self._observer()


def size_of(stat: Stat | None) -> int | None:
    """Return the size in bytes; None if there is nothing."""
    return None if stat is None else stat.size_bytes


def _is_whole(digest: Digest, linked: LinkedBlob, size_bytes: int | None) -> bool:
    if linked.size_bytes is not None or size_bytes is None:
        return size_bytes is not None and size_bytes == linked.size_bytes
    # Without a known size only that nothing is left can be seen, as after a power cut.
    return size_bytes > 0 or Digest.of(b"", digest.algorithm) == digest
