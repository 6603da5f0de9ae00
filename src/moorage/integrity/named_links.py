"""Link files that are named by what they refer to: those of layers and of manifests."""

from collections.abc import AsyncIterator

from moorage.oci.digests import Digest, digest_or_none
from moorage.storage.base import StorageDriver
from moorage.storage.walk import entries_of


async def named_links(storage: StorageDriver, folder: str) -> AsyncIterator[tuple[str, Digest | None]]:
    """Yield the link files below *folder*, and what they are named by; None: by no digest.

    Raises:
        StorageUnavailable: storage cannot be read.
    """
    async for algorithm in entries_of(storage, folder):
        async for entry in entries_of(storage, f"{folder}/{algorithm.name}"):
            path = f"{folder}/{algorithm.name}/{entry.name}"
            digest = digest_or_none(f"{algorithm.name}:{entry.name}")
            yield (path, None) if digest is None else (f"{path}/link", digest)
