"""The last steps of a push: the bytes get their place among blobs, and the blob its row or link.

Two ways, so that a crash between the two leaves nothing that nobody knows:

* *Under two names.* Where storage can give the bytes a second name, they keep that of the upload until they are linked.
  What a crash leaves is an upload, and whoever purges it puts its blob before garbage collection.
* *Expected first.* Elsewhere, and if garbage collection has been at work meanwhile, what is to come is noted first.

Source: ADR 0002, ADR 0146.
"""

import asyncio

from moorage.core.upload_endings import UploadEnding
from moorage.errors import StorageUnavailable
from moorage.metadata.base import Expectation, LinkStore, RemovalWatch
from moorage.oci.digests import ALGORITHMS, Digest, Hasher
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.uploads import UploadSink, UploadWriter


class BlobPlacing:
    """Makes blobs of uploads, and leaves it to the caller to remove these."""

    def __init__(self, storage: StorageDriver, links: LinkStore, sink: UploadSink) -> None:
        self._storage = storage
        self._links = links
        self._sink = sink

    async def put(self, ending: UploadEnding, writer: UploadWriter) -> None:
        """Make a blob of the repository of an upload whose bytes were found to be right; durable on return.

        Raises:
            BeingRemoved: garbage collection is at the same digest, and stays at it.
            StorageUnavailable: the bytes went before the blob was in the repository. The client has to push again.
        """
        if await self._is_placed(ending, writer):
            return
        digest = ending.digest
        expectation = await self._links.expect(digest)
        await writer.commit(paths.blob(digest))
        while not await self._link(ending, writer, expectation):
            expectation = await self._expect_again(digest)

    async def trace(self, name: RepositoryName, session: str) -> None:
        """See that a blob is known that has its place, and whose upload *session* is about to be removed."""
        reader = await self._sink.open_placed(paths.upload(name, session))
        if reader is None:
            return
        hashers = [Hasher(algorithm) for algorithm in ALGORITHMS]
        with reader:
            async for chunk in reader.chunks():
                for hasher in hashers:
                    await asyncio.to_thread(hasher.update, chunk)
        for digest in [hasher.digest() for hasher in hashers]:
            if await self._storage.exists(paths.blob(digest), folder=False):
                await self._links.expect(digest)

    async def _is_placed(self, ending: UploadEnding, writer: UploadWriter) -> bool:
        """Give the bytes a second name and link the blob, if both can be done without having expected it."""
        watch = await self._links.watch()
        if watch is None or not await writer.place(paths.blob(ending.digest)):
            return False
        return await self._link(ending, writer, watch)

    async def _link(self, ending: UploadEnding, writer: UploadWriter, expectation: Expectation | RemovalWatch) -> bool:
        size_bytes, cause = writer.size_bytes, ending.cause
        return await self._links.link(ending.name, ending.digest, expectation, size_bytes=size_bytes, cause=cause)

    async def _expect_again(self, digest: Digest) -> Expectation:
        """Expect a blob whose bytes have their place already, and that garbage collection has come to meanwhile.

        That takes a move that lasts longer than the review delay.
        """
        expectation = await self._links.expect(digest)
        if not await self._storage.exists(paths.blob(digest), folder=False):
            msg = "garbage collection removed the blob before it was in the repository: gc.reviewafter is too short"
            raise StorageUnavailable(msg)
        return expectation
