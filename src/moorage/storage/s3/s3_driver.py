"""The driver of S3: paths become keys, requests become promises of the port."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.base import (
    Capability,
    FolderEntry,
    ObjectContent,
    PartsWriter,
    Reader,
    Stat,
    UnfinishedParts,
    clock,
    size_of,
    too_late,
)
from moorage.storage.egress import UNTOLD, Egress
from moorage.storage.paths import LOCK_FILES, is_of_an_upload
from moorage.storage.remote.bodies import BodyReader
from moorage.storage.remote.bucket_rules import BucketRules
from moorage.storage.remote.exchange import LOST, AnswerTooLarge, Exchange, Stream
from moorage.storage.remote.keys import is_marker, is_never_a_folder
from moorage.storage.remote.paging import names_in
from moorage.storage.remote.remote_driver import PROBES, RemoteDriver
from moorage.storage.s3.answers import S3Refused
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.examining import Examination
from moorage.storage.s3.multipart import PartsUpload
from moorage.storage.s3.objects import BATCH, ObjectFacts
from moorage.storage.s3.parts_writer import S3PartsWriter
from moorage.telemetry import get_log
from moorage.work.whole_changes import to_its_end

_BULK_BYTES = 1 << 20
_FIRST = "/current/link"
"""The end of the key that makes a folder a tag: it goes first."""
_log = get_log("storage")

_PASSING = (f"{LOCK_FILES}/", f"{PROBES}/")


class S3Driver(RemoteDriver):
    """Objects in a bucket.

    Args:
        bucket: has the requests; it is closed with the driver.
        name: as in the configuration.
    """

    capabilities = RemoteDriver.capabilities | {Capability.CONDITIONAL_DELETE}

    def __init__(self, bucket: S3Bucket, *, name: str = "s3") -> None:
        self.name = name
        self.part_bytes = bucket.part_bytes
        self.chunk_min_bytes = bucket.chunk_min_bytes
        self._bucket = bucket
        self._objects = bucket.objects
        self._keys = bucket.keys
        self._examination = Examination(bucket)

    @property
    def exchange(self) -> Exchange:
        """See the interface."""
        return self._bucket.exchange

    async def examine(self, *, can_write: bool = True) -> None:
        """See the interface."""
        await self._examination.at_start(can_write=can_write)

    async def shortcomings(self) -> Sequence[str]:
        """See the interface."""
        return await self._examination.shortcomings()

    async def rules(self) -> BucketRules:
        """See the interface."""
        return await self._bucket.rules(prefix=self._keys.prefix("/docker/registry"))

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """See the interface."""
        facts = await self._objects.head(self._keys.key(path))
        if facts is not None:
            return Stat(facts.size_bytes, facts.modified_at, version=facts.etag)
        is_folder = folder and not is_never_a_folder(path)
        modified_at = await self._objects.first_below(f"{self._keys.key(path)}/") if is_folder else None
        if modified_at is None:
            raise PathUnknown(path)
        return Stat(0, modified_at, is_folder=True)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the interface."""
        try:
            return await self._objects.get(self._keys.key(path), limit_bytes=limit_bytes)
        except PathUnknown:
            raise PathUnknown(path) from None
        except AnswerTooLarge:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg) from None

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """See the interface. What is acknowledged is durable."""
        del durable
        is_bulk = size_of(content) >= _BULK_BYTES
        await to_its_end(self._objects.put(self._keys.new_key(path), content, is_kept=_is_kept(path), is_bulk=is_bulk))

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """See the interface. Where the service knows no condition, it is looked first."""
        return await to_its_end(self._put_if_absent(path, content))

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """See the interface."""
        key, first = self._keys.key(path), None
        try:
            first = await self._objects.open(key) if is_whole else None
        except PathUnknown:
            raise PathUnknown(path) from None
        facts = await self._objects.head(key) if first is None else ObjectFacts.of(first.headers)
        if facts is None:
            raise PathUnknown(path)
        etag = facts.etag

        async def fetch(start: int, end: int) -> Stream:
            return await self._objects.open(key, start=start, end=end, etag=etag)

        return BodyReader(
            path, first, size_bytes=facts.size_bytes, fetch=fetch, attempts=self._bucket.exchange.attempts
        )

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        try:
            return await names_in(self._objects.page, f"{self._keys.key(path)}/", after=after, limit=limit)
        except PathUnknown:
            raise PathUnknown(path) from None

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        """See the interface."""
        async for page in self._objects.all_below(f"{self._keys.key(path)}/"):
            yield [
                (self._keys.path(key), Stat(facts.size_bytes, facts.modified_at, version=facts.etag))
                for key, facts in page
                if not is_marker(key)
            ]

    async def delete(self, path: str, *, durable: bool = True) -> None:
        """See the interface. Of a folder, what says that it is there goes first; of several who delete, one did it."""
        del durable
        await to_its_end(self._delete(path))

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface. Nothing is computed here that anybody would have to rest from."""
        del rest
        by_key = {self._keys.key(path): path for path in paths}
        # Some services keep a folder that has become empty; those of uploads would be counted as open ones.
        folders = {f"{key.rpartition('/')[0]}/" for key, path in by_key.items() if is_of_an_upload(path)}
        keys = [*by_key, *folders]
        failures: dict[str, BackendError] = {}
        for begin in range(0, len(keys), BATCH):
            batch = keys[begin : begin + BATCH]
            try:
                if clock() >= until:
                    failures |= {key: too_late(self._keys.path(key)) for key in batch}
                    continue
                failures |= await self._objects.delete_batch(batch, until=until)
            except BackendError as exc:
                failures |= dict.fromkeys(batch, exc)
        return {by_key[key]: failure for key, failure in failures.items() if key in by_key}

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        """See the interface."""
        if not await self._examination.has_conditional_delete():
            msg = f"{path}: this service cannot remove on a condition"
            raise StorageUnavailable(msg)
        return bool(seen.version) and await self._objects.delete(self._keys.key(path), etag=seen.version)

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        """See the interface. The object goes only as it was read, so nothing that came later is lost."""
        key, where_key = self._keys.key(path), self._keys.key(where)
        try:
            with await self._objects.open(where_key) as stream:
                etag = ObjectFacts.of(stream.headers).etag
                said = b"".join([chunk async for chunk in stream.chunks()])
        except PathUnknown:
            return False
        except LOST as exc:
            msg = f"{where}: it cannot be read: {exc}"
            raise StorageUnavailable(msg) from exc
        if said != content or not await self._delete_version(where_key, etag):
            return False
        found = await self._objects.below(f"{key}/")
        await to_its_end(self._delete_below(f"{key}/", {where_key: etag, **found}, gone=where_key))
        return True

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See the interface."""
        keys = [self._keys.key(source) for source in sources]
        try:
            await self._bucket.copies.copy(keys, self._keys.new_key(target), sizes=sizes)
        except PathUnknown as exc:
            raise PathUnknown(self._keys.path(exc.path)) from None

    async def unfinished_parts(self) -> AsyncIterator[UnfinishedParts]:
        """See the interface. Without the right to ask, or where the service does not say, there are none."""
        try:
            async for key, begun_at in self._bucket.parts.unfinished(self._keys.root):
                yield UnfinishedParts(self._keys.path(key), begun_at)
        except S3Refused as exc:
            _log.warning("the service does not tell what is written in parts and not finished", reason=str(exc))

    async def begin_parts(self, path: str) -> PartsWriter:
        """See the interface."""
        parts = self._bucket.parts
        return S3PartsWriter(parts, await parts.begin(self._keys.new_key(path)))

    async def abort_parts(self, path: str, note: str) -> None:
        """See the interface."""
        await self._bucket.parts.abort(PartsUpload(self._keys.key(path), note))

    async def url_for(self, path: str, *, expires_s: int, egress: Egress = UNTOLD) -> str | None:
        """See the interface."""
        await self.exchange.be_sure()
        return await self._bucket.signed_url(self._keys.key(path), expires_s=expires_s, query=egress.ours())

    async def close(self) -> None:
        """See the interface."""
        await self._examination.close()
        await self._bucket.close()

    async def _put_if_absent(self, path: str, content: ObjectContent) -> bool:
        key = self._keys.new_key(path)
        is_bulk = size_of(content) >= _BULK_BYTES
        if await self._examination.has_conditional_put():
            return await self._objects.put_if_absent(key, content, is_kept=_is_kept(path), is_bulk=is_bulk)
        if await self._objects.head(key) is not None:
            return False
        await self._objects.put(key, content, is_kept=_is_kept(path), is_bulk=is_bulk)
        return True

    async def _delete(self, path: str) -> None:
        key = self._keys.key(path)
        while True:
            found: Mapping[str, str] = {}
            if is_never_a_folder(path):
                facts = await self._objects.head(key)
            else:
                facts, found = await asyncio.gather(self._objects.head(key), self._objects.below(f"{key}/"))
            if facts is not None:
                found = {key: facts.etag}
            if not found:
                raise PathUnknown(path)
            first = next((each_ for each_ in found if each_.endswith(_FIRST)), next(iter(found)))
            if await self._delete_version(first, found[first]):
                if facts is None:
                    await self._delete_below(f"{key}/", found, gone=first)
                return

    async def _delete_version(self, key: str, etag: str) -> bool:
        if await self._examination.has_conditional_delete():
            return await self._objects.delete(key, etag=etag)
        facts = await self._objects.head(key)
        return facts is not None and facts.etag == etag and await self._objects.delete(key)

    async def _delete_below(self, prefix: str, found: Mapping[str, str], *, gone: str) -> None:
        """Remove what was *found* (but what has *gone*) and what else begins with *prefix*, until there is nothing."""
        while found:
            first = [key for key in found if key.endswith(_FIRST) and key != gone]
            rest = [key for key in found if not key.endswith(_FIRST) and key != gone]
            # Some services keep a folder that has become empty, as an object whose key ends in a slash.
            folders = sorted({key[: at + 1] for key in found for at in _slashes(key, len(prefix) - 1)}, key=len)
            for batch in (first, [*rest, *folders[::-1]]):
                await self._delete_all(batch)
            found = await self._objects.below(prefix) if len(found) >= BATCH else {}

    async def _delete_all(self, keys: Sequence[str]) -> None:
        for begin in range(0, len(keys), BATCH):
            failures = await self._objects.delete_batch(keys[begin : begin + BATCH])
            for key, failure in failures.items():
                if not is_marker(key):  # A folder in which there is something again stays.
                    raise failure


def _slashes(key: str, start: int) -> Iterator[int]:
    """The places of slashes in *key*, from *start* on."""
    return (at for at in range(start, len(key)) if key[at] == "/")


def _is_kept(path: str) -> bool:
    return not (is_of_an_upload(path) or path.startswith(_PASSING))
