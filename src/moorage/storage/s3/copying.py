"""Copies within the bucket: which bytes of which source become which part.

A part has at least 5 MiB, but for the last. So what is smaller is read, joined with what comes behind it, and sent;
everything else the service copies by itself.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.remote.remote_driver import PASSING_AT_ONCE, each
from moorage.storage.s3.answers import S3Refused
from moorage.storage.s3.multipart import LEAST_PART_BYTES, MOST_PARTS, BucketParts, PartsUpload, SentPart
from moorage.storage.s3.objects import BucketObjects
from moorage.telemetry import get_log

_GIB = 1 << 30
_READ_AT_ONCE = 2
MOST_COPY_BYTES = 5 * _GIB
"""More than this the service does not copy in one go."""

_log = get_log("storage")


@dataclass(frozen=True, slots=True)
class ObjectSlice:
    """Bytes of an object, from *start* up to and without *end*."""

    key: str
    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        """The number of them."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyLimits:
    """Bounds of copies, as configured."""

    chunk_bytes: int
    threshold_bytes: int
    at_once: int


def plan(sources: Sequence[ObjectSlice], chunk_bytes: int) -> list[list[ObjectSlice]]:
    """Divide *sources* into parts: one slice is copied by the service, several (or a small one) are read and joined."""
    total = sum(source.size_bytes for source in sources)
    # As many parts as there may be, and half of them left for the edges of sources.
    chunk = max(chunk_bytes, -(-total * 2 // MOST_PARTS), LEAST_PART_BYTES)
    parts: list[list[ObjectSlice]] = []
    joined: list[ObjectSlice] = []
    missing = 0
    for source in sources:
        at = source.start
        if missing:
            taken = min(missing, source.end - at)
            joined.append(ObjectSlice(source.key, at, at + taken))
            at, missing = at + taken, missing - taken
            if not missing:
                joined = []
        for slice_ in _slices(ObjectSlice(source.key, at, source.end), chunk):
            parts.append([slice_])
            if slice_.size_bytes < LEAST_PART_BYTES:
                joined, missing = parts[-1], LEAST_PART_BYTES - slice_.size_bytes
    return parts


def _slices(source: ObjectSlice, chunk: int) -> list[ObjectSlice]:
    """Slices of *chunk* bytes; the last takes a rest that would be too small for a part of its own."""
    found: list[ObjectSlice] = []
    at = source.start
    while at < source.end:
        end = min(at + chunk, source.end)
        if source.end - end < LEAST_PART_BYTES and source.end - at <= MOST_COPY_BYTES:
            end = source.end
        found.append(ObjectSlice(source.key, at, end))
        at = end
    return found


class BucketCopies:
    """Copies of objects of a bucket."""

    def __init__(self, objects: BucketObjects, parts: BucketParts, limits: CopyLimits) -> None:
        self._objects = objects
        self._parts = parts
        self._limits = limits
        self._passing = asyncio.Semaphore(PASSING_AT_ONCE)
        self._has_copies = True

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """Make *target* the bytes of all *sources*, one after another; without their *sizes* they are asked for.

        Raises:
            PathUnknown: one of the sources is not there.
        """
        sizes = sizes or await each(sources, self._size)
        slices = [ObjectSlice(key, 0, size) for key, size in zip(sources, sizes, strict=True) if size]
        if self._has_copies:
            try:
                await self._copy(slices, target)
            except S3Refused as exc:
                if not exc.is_missing:
                    raise
                _log.warning("the service does not copy by itself: what is pushed is read and sent again")
                self._has_copies = False
            else:
                return
        await self._copy(slices, target)

    async def _copy(self, slices: Sequence[ObjectSlice], target: str) -> None:
        total = sum(slice_.size_bytes for slice_ in slices)
        if self._has_copies and len(slices) == 1 and total <= min(self._limits.threshold_bytes, MOST_COPY_BYTES):
            await self._parts.copy_whole(slices[0].key, target)
        elif total < LEAST_PART_BYTES:
            async with self._passing:
                await self._objects.put(target, await self._read(slices))
        else:
            await self._copy_in_parts(slices, target)

    async def _copy_in_parts(self, slices: Sequence[ObjectSlice], target: str) -> None:
        planned = plan(slices, self._limits.chunk_bytes if self._has_copies else LEAST_PART_BYTES)
        if len(planned) > MOST_PARTS:
            msg = f"{target}: {len(planned)} parts are needed, and there may be {MOST_PARTS}"
            raise StorageUnavailable(msg)
        upload = await self._parts.begin(target)

        async def make(numbered: tuple[int, Sequence[ObjectSlice]]) -> SentPart:
            return await self._make(upload, *numbered)

        try:
            sent = await each(
                list(enumerate(planned, 1)), make, at_once=self._limits.at_once if self._has_copies else _READ_AT_ONCE
            )
            await self._parts.complete(upload, sent)
        except BaseException:
            await self._parts.abort(upload)
            raise

    async def _make(self, upload: PartsUpload, number: int, slices: Sequence[ObjectSlice]) -> SentPart:
        first = slices[0]
        if self._has_copies and len(slices) == 1 and first.size_bytes >= LEAST_PART_BYTES:
            return await self._parts.copy(upload, number, source=first.key, start=first.start, end=first.end)
        async with self._passing:
            return await self._parts.send(upload, number, await self._read(slices))

    async def _read(self, slices: Sequence[ObjectSlice]) -> list[bytes]:
        return [
            await self._objects.get(each_.key, limit_bytes=each_.size_bytes, start=each_.start, end=each_.end)
            for each_ in slices
        ]

    async def _size(self, key: str) -> int:
        facts = await self._objects.head(key)
        if facts is None:
            raise PathUnknown(key)
        return facts.size_bytes
