"""Blobs of a repository: find, read, mount, take out."""

from dataclasses import dataclass

from moorage.errors import BlobUnknown, PathUnknown
from moorage.metadata.base import Links
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import Reader, StorageDriver


@dataclass(frozen=True, slots=True)
class BlobFile:
    """A blob that is read through this process."""

    digest: Digest
    reader: Reader
    """Open; whoever got it closes it."""


@dataclass(frozen=True, slots=True)
class BlobUrl:
    """A blob that the client fetches from storage itself."""

    digest: Digest
    url: str


class Blobs:
    """The blobs of every repository."""

    def __init__(self, storage: StorageDriver, links: Links, *, url_expires_s: int | None = None) -> None:
        """With *url_expires_s*, blobs are answered by signed URLs where the storage has them."""
        self._storage = storage
        self._links = links
        self._url_expires_s = url_expires_s

    async def open(self, name: RepositoryName, digest: Digest, *, method: str) -> BlobFile | BlobUrl:
        """Find a blob for a request of *method* (GET or HEAD).

        Raises:
            BlobUnknown: it is not in the repository, or its bytes are not in storage.
        """
        if not await self._links.has(name, digest):
            raise _unknown(digest)
        path = paths.blob(digest)
        if self._url_expires_s is not None:
            url = await self._storage.url_for(path, method=method, expires_s=self._url_expires_s)
            if url is not None:
                return BlobUrl(digest, url)
        try:
            return BlobFile(digest, await self._storage.open(path))
        except PathUnknown:
            raise _unknown(digest) from None

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Whether the blob is in the repository and can be read."""
        return await self._links.has(name, digest) and await self._storage.exists(paths.blob(digest))

    async def mount(self, name: RepositoryName, digest: Digest, *, source: RepositoryName | None) -> bool:
        """Put a blob of *source* into the repository too (None: wherever it is); False if it is not there.

        Source: distribution-spec § Mounting a blob from another repository (end-11).
        """
        if source is not None and not await self._links.has(source, digest):
            return False
        if not await self._storage.exists(paths.blob(digest)):
            return False
        await self._links.link(name, digest)
        return True

    async def delete(self, name: RepositoryName, digest: Digest) -> None:
        """Take a blob out of the repository, at once. Its bytes stay for the others until garbage collection.

        Raises:
            BlobUnknown: it was not there.
        """
        await self._links.unlink(name, digest)


def _unknown(digest: Digest) -> BlobUnknown:
    return BlobUnknown("the blob is not in the repository", digest=str(digest))
