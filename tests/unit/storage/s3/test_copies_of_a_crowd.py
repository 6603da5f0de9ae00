"""Copies of many uploads at once whose pieces are too small for parts: they are read and joined, a few at a time."""

import asyncio

from moorage.storage.base import ObjectContent, size_of
from moorage.storage.s3.copying import BucketCopies, CopyLimits
from moorage.storage.s3.multipart import LEAST_PART_BYTES, BucketParts, PartsUpload, SentPart
from moorage.storage.s3.objects import BucketObjects

MIB = 1 << 20


class Held:
    """Bytes that a service has given and has not been given back."""

    def __init__(self) -> None:
        self.bytes = 0
        self.most_bytes = 0

    def add(self, count: int) -> None:
        self.bytes += count
        self.most_bytes = max(self.most_bytes, self.bytes)


class Objects(BucketObjects):
    def __init__(self, held: Held) -> None:
        self._held = held

    async def get(self, key: str, *, limit_bytes: int, start: int = 0, end: int | None = None) -> bytes:
        assert end is not None, key
        assert end - start <= limit_bytes
        await asyncio.sleep(0)
        self._held.add(end - start)
        return bytes(end - start)


class Parts(BucketParts):
    def __init__(self, held: Held) -> None:
        self._held = held
        self.sent = 0

    async def begin(self, key: str) -> PartsUpload:
        return PartsUpload(key, "id")

    async def send(self, upload: PartsUpload, number: int, content: ObjectContent) -> SentPart:
        assert upload.upload_id == "id"
        for _ in range(5):
            await asyncio.sleep(0)
        self._held.add(-size_of(content))
        self.sent += size_of(content)
        return SentPart(number, "", size_of(content))

    async def complete(self, upload: PartsUpload, parts: object) -> None:
        """Take them as they are."""


async def test_what_passes_through_this_process_is_a_few_parts_however_many_copies_there_are() -> None:
    held = Held()
    parts = Parts(held)
    limits = CopyLimits(chunk_bytes=32 * MIB, threshold_bytes=32 * MIB, at_once=100)
    copies = BucketCopies(Objects(held), parts, limits)
    pieces = [f"p{number}" for number in range(6)]
    await asyncio.gather(*(copies.copy(pieces, f"t{number}", sizes=[2 * MIB] * 6) for number in range(20)))
    assert parts.sent == 20 * 6 * 2 * MIB
    assert held.bytes == 0
    assert held.most_bytes <= 4 * LEAST_PART_BYTES
