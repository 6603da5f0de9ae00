"""Blobs made of blocks, sent by us or copied by the service; nobody sees them before the list of them is written.

The names of the blocks carry that of their session, so that two who write the same blob never mix their bytes. Writing
one's list throws away the blocks of everybody else. What nobody lists the service throws away after a week.

Source: "Put Block", "Put Block From URL" and "Put Block List" of Azure's documentation of the Blob service.
"""

import asyncio
import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.azure.answers import NO_BLOCKS, code_of, error_of
from moorage.storage.azure.blob_keys import BlobKeys
from moorage.storage.azure.container import ContainerLine, Pace
from moorage.storage.azure.objects import BLOCK_BLOB, ContainerBlobs
from moorage.storage.azure.shared_key import AccountKey
from moorage.storage.base import ObjectContent, PartsWriter, size_of
from moorage.storage.remote.exchange import StoreAnswer
from moorage.storage.remote.remote_driver import PASSING_AT_ONCE, each
from moorage.telemetry import get_log

LARGEST_COPY = 100 << 20
"""Bytes of a block that the service copies: a part of what one may have, so that several are copied at once."""
PART_BYTES = 16 << 20
PASSED_BYTES = 8 << 20
"""Bytes of a block that passes through this process when the service does not copy it."""
_MOST_BLOCKS = 50_000
_COPIES_AT_ONCE = 8
_IN_FLIGHT = 2
_CREATED = 201
_BAD_REQUEST = 400
_FORBIDDEN = 403
_NOT_IMPLEMENTED = 501
_COPY_URL_S = 3600

_log = get_log("storage")


class BlockSession:
    """The blocks of one blob, by their numbers."""

    def __init__(self, line: ContainerLine, keys: BlobKeys, path: str) -> None:
        self.name = secrets.token_hex(8)
        self.path = path
        self.size_bytes = 0
        self._line = line
        self._key = keys.new_key(path)
        self._keys = keys
        self._blobs = ContainerBlobs(line, keys)
        self._count = 0

    def block_id(self, number: int) -> str:
        """Return the name of a block; all names have one length, which the service wants."""
        return base64.b64encode(f"{self.name}-{number:07d}".encode()).decode("ascii")

    def take_number(self, size_bytes: int) -> int:
        """Return the number of the next block, which has so many bytes."""
        if self._count >= _MOST_BLOCKS:
            msg = f"{self.path}: more than {_MOST_BLOCKS} parts"
            raise StorageUnavailable(msg)
        self._count += 1
        self.size_bytes += size_bytes
        return self._count - 1

    async def send(self, number: int, content: ObjectContent) -> None:
        """Send a block."""
        query = {"comp": "block", "blockid": self.block_id(number)}

        async def put() -> StoreAnswer:
            return await self._line.ask("PutBlock", "PUT", self._key, query=query, body=content, pace=Pace.BULK)

        answer = await self._blobs.replacing(self.path, put)
        if answer.status != _CREATED:
            raise error_of(answer, self.path, what="PutBlock")

    async def copy(self, number: int, source: str, *, start: int, end: int) -> bool:
        """Have the service copy a block from the bytes of *source*; return False if it cannot do that.

        Raises:
            PathUnknown: there is no such source.
        """
        access = self._line.signer.access
        headers = {"x-ms-source-range": f"bytes={start}-{end - 1}"}
        if isinstance(access, AccountKey):
            headers["x-ms-copy-source"] = await self._line.signed_url(self._keys.key(source), expires_s=_COPY_URL_S)
        else:
            headers["x-ms-copy-source"] = self._line.url(self._keys.key(source))
            headers["x-ms-copy-source-authorization"] = f"Bearer {await access.current()}"
        query = {"comp": "block", "blockid": self.block_id(number)}

        async def put() -> StoreAnswer:
            return await self._line.ask(
                "PutBlockFromURL", "PUT", self._key, query=query, headers=headers, pace=Pace.SLOW
            )

        answer = await self._blobs.replacing(self.path, put)
        if answer.status in {_BAD_REQUEST, _FORBIDDEN, _NOT_IMPLEMENTED}:
            return False
        if answer.status != _CREATED:
            raise error_of(answer, source, what="PutBlockFromURL")
        return True

    async def complete(self) -> None:
        """Make the blocks the blob.

        Raises:
            StorageUnavailable: they are gone, and the blob is not the one that they would have made.
        """
        blocks = "".join(f"<Latest>{self.block_id(number)}</Latest>" for number in range(self._count))
        body = f"<?xml version='1.0' encoding='utf-8'?><BlockList>{blocks}</BlockList>".encode()
        headers = {"Content-Type": "application/xml", "x-ms-blob-content-type": "application/octet-stream"}

        async def put() -> StoreAnswer:
            query = {"comp": "blocklist"}
            return await self._line.ask(
                "PutBlockList", "PUT", self._key, query=query, headers=headers, body=body, pace=Pace.SLOW
            )

        answer = await self._blobs.replacing(self.path, put)
        if answer.status == _CREATED:
            return
        if code_of(answer) in NO_BLOCKS and await self._is_there():
            return  # The same blob was written by another process meanwhile, which has thrown our blocks away.
        raise error_of(answer, self.path, what="PutBlockList")

    async def _is_there(self) -> bool:
        try:
            headers = (await self._blobs.head(self.path)).headers
        except PathUnknown:
            return False
        is_block_blob = headers.get("x-ms-blob-type") == BLOCK_BLOB
        return is_block_blob and headers.get("Content-Length") == str(self.size_bytes)


class BlockWriter(PartsWriter):
    """A blob that is written in blocks."""

    def __init__(self, session: BlockSession) -> None:
        self.note = session.name
        self._session = session
        self._sending: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._is_over = False

    async def add(self, part: Sequence[bytes]) -> None:
        """See the interface."""
        self._raise_failure()
        while len(self._sending) >= _IN_FLIGHT:
            await self._wait(asyncio.FIRST_COMPLETED)
        number = self._session.take_number(size_of(part))
        self._sending.add(asyncio.create_task(self._session.send(number, part)))

    async def settle(self) -> None:
        """See the interface."""
        while self._sending:
            await self._wait(asyncio.ALL_COMPLETED)

    async def complete(self) -> None:
        """See the interface."""
        await self.settle()
        await self._session.complete()
        self._is_over = True

    async def abort(self) -> None:
        """See the interface. The service itself throws the blocks away, after a week or at the next write."""
        if self._is_over:
            return
        self._is_over = True
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._sending.clear()

    async def _wait(self, until: str) -> None:
        done, self._sending = await asyncio.wait(self._sending, return_when=until)
        for task in done:
            self._failure = self._failure or task.exception()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


class BlockCopy:
    """Copies within a container, joining several blobs: by the service, or where it cannot, through this process."""

    def __init__(self, line: ContainerLine, keys: BlobKeys) -> None:
        self._line = line
        self._keys = keys
        self._blobs = ContainerBlobs(line, keys)
        self._passing = asyncio.Semaphore(PASSING_AT_ONCE)
        self._is_by_service = True

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See :meth:`~moorage.storage.base.ObjectStorage.copy`."""
        sizes = sizes or [stat.size_bytes for stat in await each(sources, self._blobs.stat)]
        extents = [_Extent(source, 0, size) for source, size in zip(sources, sizes, strict=True)]
        session = BlockSession(self._line, self._keys, target)
        if not self._is_by_service or not await self._by_service(session, _cut(extents, LARGEST_COPY)):
            session = BlockSession(self._line, self._keys, target)
            await self._through_us(session, _cut(extents, PASSED_BYTES))
        await session.complete()

    async def _by_service(self, session: BlockSession, extents: Sequence["_Extent"]) -> bool:
        blocks = [(session.take_number(extent.size_bytes), extent) for extent in extents]

        async def copy(block: tuple[int, _Extent]) -> bool:
            return await session.copy(block[0], block[1].source, start=block[1].start, end=block[1].end)

        # The first shows whether the service does it at all.
        if blocks and not await copy(blocks[0]):
            self._is_by_service = False
            _log.warning("storage does not copy blocks by itself: copies go through this process")
            return False
        if not all(await each(blocks[1:], copy, at_once=_COPIES_AT_ONCE)):
            msg = f"{session.path}: the service has copied some of its blocks, and refused others"
            raise StorageUnavailable(msg)
        return True

    async def _through_us(self, session: BlockSession, extents: Sequence["_Extent"]) -> None:
        blocks = [(session.take_number(extent.size_bytes), extent) for extent in extents]

        async def pass_on(block: tuple[int, _Extent]) -> None:
            number, extent = block
            async with self._passing:
                await send(number, extent)

        async def send(number: int, extent: _Extent) -> None:
            with await self._blobs.open(extent.source, is_whole=extent.is_whole) as reader:
                await session.send(number, [piece async for piece in reader.chunks(extent.start, extent.end)])

        await each(blocks, pass_on, at_once=_IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class _Extent:
    source: str
    start: int
    end: int
    is_whole: bool = True

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


def _cut(extents: Sequence[_Extent], size_bytes: int) -> Sequence[_Extent]:
    return [
        _Extent(extent.source, start, min(start + size_bytes, extent.end), is_whole=extent.end <= size_bytes)
        for extent in extents
        for start in range(0, extent.end, size_bytes)
    ]
