"""The end of an upload session: what was said of its bytes, and what is known of them."""

import asyncio
from dataclasses import dataclass

from moorage.metadata.base import UNEXPLAINED, Cause
from moorage.oci.digests import Algorithm, Digest, Hasher
from moorage.oci.names import RepositoryName
from moorage.storage.uploads import UploadWriter


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload session and how many bytes it has."""

    id: str
    offset_bytes: int
    digest: Digest | None = None
    """The digest of these bytes; None if it is not known here."""


@dataclass(frozen=True, slots=True)
class UploadEnding:
    """A session that is about to become a blob of a repository, and the digest that its bytes are said to have."""

    name: RepositoryName
    session: str
    digest: Digest
    known: UploadState | None = None
    """The state that the last append has told, here or in another worker."""
    cause: Cause = UNEXPLAINED

    def known_digest(self, hasher: Hasher | None, size_bytes: int) -> Digest | None:
        """Return the digest of all bytes, if it is known without reading them again.

        *hasher*: has seen all of them; None: there is none that has.
        """
        known, algorithm = self.known, self.digest.algorithm
        if hasher is not None and hasher.size_bytes == size_bytes and hasher.algorithm == algorithm:
            return hasher.digest()
        if known is not None and known.digest is not None and known.offset_bytes == size_bytes:
            return known.digest if known.digest.algorithm == algorithm else None
        return None


async def read_again(writer: UploadWriter, algorithm: Algorithm) -> Digest:
    """Hash an upload from its beginning: the price of one that went through several workers."""
    hasher = Hasher(algorithm)
    async for chunk in writer.read():
        await asyncio.to_thread(hasher.update, chunk)
    return hasher.digest()
