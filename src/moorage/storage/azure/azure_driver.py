"""The driver of Azure Blob Storage. See ``docs/adr/0053-azure-over-rest.md``."""

from collections.abc import AsyncIterator, Mapping, Sequence

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.azure.blob_keys import BlobKeys
from moorage.storage.azure.blocks import PART_BYTES, BlockCopy, BlockSession, BlockWriter
from moorage.storage.azure.container import ContainerLine
from moorage.storage.azure.examination import examine
from moorage.storage.azure.listing import BlobList, ListedBlob
from moorage.storage.azure.objects import ContainerBlobs, moment_of
from moorage.storage.base import Capability, FolderEntry, ObjectContent, PartsWriter, Reader, Stat, clock, too_late
from moorage.storage.egress import UNTOLD, Egress, in_query
from moorage.storage.remote.exchange import Exchange
from moorage.storage.remote.keys import is_marker, is_never_a_folder
from moorage.storage.remote.paging import names_in
from moorage.storage.remote.remote_driver import RemoteDriver, each
from moorage.telemetry import get_log

_REMOVED_AT_ONCE = 32
_SIGNS_AGAIN_S = 60.0
_CURRENT = "/current/link"

_log = get_log("storage")


class AzureDriver(RemoteDriver):
    """Blobs of a container.

    Args:
        line: asks the service.
        keys: of the registry in the container.
        where: its path in the configuration, for what is said at a start.
    """

    name = "azure"
    capabilities = RemoteDriver.capabilities | {Capability.CONDITIONAL_DELETE}
    chunk_min_bytes = 5 << 20
    part_bytes = PART_BYTES

    def __init__(self, line: ContainerLine, keys: BlobKeys, *, where: str = "storage.azure") -> None:
        self._line = line
        self._keys = keys
        self._where = where
        self._blobs = ContainerBlobs(line, keys)
        self._list = BlobList(line)
        self._copy = BlockCopy(line, keys)
        self._signs_from = 0.0

    @property
    def exchange(self) -> Exchange:
        """See the interface."""
        return self._line.exchange

    async def examine(self, *, can_write: bool = True) -> None:
        """See the interface."""
        await examine(self, self._line, self._keys, where=self._where, can_write=can_write)

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """See the interface. A folder's time is that of the first blob in it."""
        try:
            return await self._blobs.stat(path)
        except PathUnknown:
            can_be = folder and not is_never_a_folder(path)
            first = await self._list.first(self._keys.prefix(path)) if can_be else None
            if first is None:
                raise
        return Stat(0, moment_of(first.modified), is_folder=True)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the interface."""
        return (await self._blobs.get(path, limit_bytes=limit_bytes)).body

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """See the interface."""
        del durable  # What is acknowledged is.
        await self._blobs.put(path, content)

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """See the interface."""
        return await self._blobs.put_if_absent(path, content)

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """See the interface."""
        return await self._blobs.open(path, is_whole=is_whole)

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        try:
            return await names_in(self._list, self._keys.prefix(path), after=after, limit=limit)
        except PathUnknown:
            raise PathUnknown(path) from None

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        """See the interface."""
        async for page in self._list.below(self._keys.prefix(path)):
            yield [
                (self._keys.path(blob.key), Stat(blob.size_bytes, moment_of(blob.modified), version=blob.etag))
                for blob in page
                if not is_marker(blob.key)
            ]

    async def delete(self, path: str, *, durable: bool = True) -> None:
        """See the interface. Of a folder the links go first that others look at first."""
        del durable
        if await self._blobs.delete(path):
            return
        if is_never_a_folder(path) or not await self._delete_below(self._keys.prefix(path)):
            raise PathUnknown(path)

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See the interface."""
        await self._copy.copy(sources, target, sizes=sizes)

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface."""
        del rest  # It is the service that works.
        failures: dict[str, BackendError] = {}

        async def remove(path: str) -> None:
            try:
                if clock() >= until:
                    raise too_late(path)
                await self._blobs.delete(path, until=until)
            except PathUnknown:
                pass  # No blob can have that name.
            except BackendError as exc:
                failures[path] = exc

        await each(paths, remove, at_once=_REMOVED_AT_ONCE)
        return failures

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        """See the interface."""
        return bool(seen.version) and await self._blobs.delete(path, etag=seen.version)

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        """See the interface. What was written meanwhile has another version, and stays."""
        listed = [blob async for page in self._list.below(self._keys.prefix(path)) for blob in page]
        try:
            answer = await self._blobs.get(where, limit_bytes=4 << 20)
        except PathUnknown:
            return False
        if answer.body != content or not await self._blobs.delete(where, etag=answer.headers.get("ETag", "")):
            return False
        key = self._keys.key(where)
        await self._delete_all([blob for blob in listed if blob.key != key], is_exact=True)
        return True

    async def begin_parts(self, path: str) -> PartsWriter:
        """See the interface."""
        return BlockWriter(BlockSession(self._line, self._keys, path))

    async def abort_parts(self, path: str, note: str) -> None:
        """See the interface. The service throws blocks away by itself that nobody has listed for a week."""
        del path, note

    async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
        """See the interface. None, too, for a while after the service has given no key for signing; that is logged."""
        if clock() < self._signs_from:
            return None
        await self.exchange.be_sure()
        try:
            url = await self._line.signed_url(self._keys.key(path), expires_s=expires_s)
        except StorageUnavailable as exc:
            if not self._signs_from:
                _log.warning("blobs are sent through this process, as URLs cannot be signed", error=str(exc))
            self._signs_from = clock() + _SIGNS_AGAIN_S
            return None
        # A signature of Azure is of the fields that it has, and not of what else the query has.
        told = in_query(egress.ours())
        return f"{url}&{told}" if told else url

    async def close(self) -> None:
        """See the interface."""
        await self._line.close()
        await self.exchange.close()

    async def _delete_below(self, prefix: str) -> bool:
        """Delete all blobs whose keys begin with *prefix*; return whether any was removed by us."""
        has_removed = False
        first: Sequence[ListedBlob] = ()
        pages = 0
        async for page in self._list.below(prefix):
            pages += bool(page)
            first = first or page
            has_removed |= await self._delete_all([blob for blob in page if blob.key.endswith(_CURRENT)])
        if pages <= 1:
            return await self._delete_all([blob for blob in first if not blob.key.endswith(_CURRENT)]) or has_removed
        async for page in self._list.below(prefix):
            has_removed |= await self._delete_all(page)
        return has_removed

    async def _delete_all(self, blobs: Sequence[ListedBlob], *, is_exact: bool = False) -> bool:
        """Delete blobs (*is_exact*: in the version that was listed); return whether any of them was there."""

        async def delete(blob: ListedBlob) -> bool:
            return await self._blobs.delete_key(blob.key, etag=f'"{blob.etag.strip(chr(34))}"' if is_exact else "")

        return any(await each(blobs, delete, at_once=_REMOVED_AT_ONCE))
