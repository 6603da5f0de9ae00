"""The memory of all uploads: bounded, given back, never waited for in vain, whoever stalls."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import ObjectContent
from moorage.storage.byte_budget import ByteBudget
from moorage.storage.piece_sink import PieceSink
from support.bucket import Bucket, BucketParts

STARTED = b""
LIMIT_BYTES = 2000
LOW_BYTES = 150
PART_BYTES = 200
CHUNK_BYTES = 50


class Slow(Bucket):
    """A bucket that holds what is on its way for a while, and counts it."""

    part_bytes = PART_BYTES

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.coming_bytes = 0
        self.most_coming_bytes = 0

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        await self.hold(content)
        await super().put(path, content, durable=durable)

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        await self.hold(content)
        return await super().put_if_absent(path, content)

    async def begin_parts(self, path: str) -> BucketParts:
        made = await super().begin_parts(path)
        self.parts[made.note] = _SlowParts(self, path, made.note)
        return self.parts[made.note]

    async def hold(self, content: ObjectContent) -> None:
        count = len(content) if isinstance(content, bytes) else sum(map(len, content))
        self.coming_bytes += count
        self.most_coming_bytes = max(self.most_coming_bytes, self.coming_bytes)
        for _ in range(self._random.randrange(20)):
            await asyncio.sleep(0)
        self.coming_bytes -= count


class _SlowParts(BucketParts):
    async def _send(self, number: int, part: Sequence[bytes]) -> None:
        assert isinstance(self._bucket, Slow)
        await self._bucket.hold(part)
        await super()._send(number, part)


async def upload(sink: PieceSink, number: int, size: int, *, direct: bool) -> None:
    folder, content = f"/uploads/{number}", bytes([number % 251]) * size
    await sink.start(folder, STARTED)
    target = f"/blobs/{number}"
    async with await sink.append(folder, target=target if direct else None) as writer:
        for at in range(0, size, CHUNK_BYTES):
            await writer.write(content[at : at + CHUNK_BYTES])
        await writer.commit(target)
        await writer.remove()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["pieces", "direct", "both"])
async def test_of_many_uploads_at_once_all_come_whole_and_their_memory_is_bounded(kind: str, seed: int) -> None:
    bucket, budget, rng = Slow(seed), ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES), random.Random(seed)
    sink = PieceSink(bucket, budget=budget)
    sizes = [rng.randrange(3000) for _ in range(60)]
    ways = {"pieces": [False], "direct": [True], "both": [True, False]}[kind]
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(upload(sink, number, size, direct=rng.choice(ways)) for number, size in enumerate(sizes))
        )
    assert budget.most_bytes <= LIMIT_BYTES
    assert bucket.most_coming_bytes <= LIMIT_BYTES + len(sizes) * len(STARTED)
    assert budget.held_bytes == 0
    for number, size in enumerate(sizes):
        assert await bucket.get(f"/blobs/{number}") == bytes([number % 251]) * size
    assert all(key.startswith("/blobs/") for key in bucket.all_keys())
    assert not bucket.parts


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "pieces"])
async def test_clients_that_stall_keep_nobody_waiting(*, direct: bool) -> None:
    bucket, budget = Slow(1), ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES)
    sink = PieceSink(bucket, budget=budget)
    stalled = []
    for number in range(100, 140):
        await sink.start(f"/uploads/{number}", STARTED)
        writer = await sink.append(f"/uploads/{number}", target=f"/blobs/{number}" if direct else None)
        async with asyncio.timeout(30):
            for _ in range(3):
                await writer.write(bytes(CHUNK_BYTES))
        stalled.append(writer)
    async with asyncio.timeout(30):
        await upload(sink, 1, 5000, direct=direct)
    assert await bucket.get("/blobs/1") == bytes([1]) * 5000
    for writer in stalled:
        await writer.close()
    assert budget.held_bytes == 0


async def test_while_memory_is_short_a_few_write_parts_and_the_others_pieces() -> None:
    bucket, budget = Slow(2), ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES)
    sink = PieceSink(bucket, budget=budget)
    async with asyncio.timeout(30):
        await asyncio.gather(*(upload(sink, number, 2000, direct=True) for number in range(30)))
    words = {request.split()[0] for request in bucket.requests}
    assert {"begin_parts", "copy"} <= words


async def test_who_waits_and_is_cancelled_leaves_its_turn_to_the_next() -> None:
    budget = ByteBudget(100, low_bytes=0)
    first, second, third = (budget.share() for _ in range(3))
    await first.take(70)
    waiting = [asyncio.ensure_future(second.take(25)), asyncio.ensure_future(third.take(5))]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()
    async with asyncio.timeout(30):
        await asyncio.wait(waiting)
    assert (second.held_bytes, third.held_bytes) == (0, 5)
    for share in (first, second, third):
        share.end()
        share.end()
    assert budget.held_bytes == 0


async def test_what_waits_for_room_takes_memory_too_and_is_left_room() -> None:
    budget = ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES)
    shares = [budget.share() for _ in range(5)]
    waiting = [asyncio.ensure_future(share.take(CHUNK_BYTES)) for _ in range(20) for share in shares]
    await asyncio.sleep(0)
    assert budget.waiting_bytes > 0
    waiting += [asyncio.ensure_future(share.take(CHUNK_BYTES)) for share in shares]
    await asyncio.sleep(0)
    assert budget.held_bytes == LIMIT_BYTES - 2 * 5 * CHUNK_BYTES
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert budget.waiting_bytes == 0


async def test_pieces_of_a_crowd_are_as_large_as_there_is_room_and_not_what_each_has_at_hand() -> None:
    class Counting(Slow):
        def __init__(self) -> None:
            super().__init__(3)
            self.sizes: list[int] = []

        async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
            self.sizes.append(len(content) if isinstance(content, bytes) else sum(map(len, content)))
            return await super().put_if_absent(path, content)

    bucket, budget = Counting(), ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES)
    sink = PieceSink(bucket, budget=budget)
    async with asyncio.timeout(30):
        await asyncio.gather(*(upload(sink, number, 3000, direct=False) for number in range(10)))
    # Of each upload the last piece is what is left.
    assert len([size for size in bucket.sizes if size < LOW_BYTES]) <= 20


async def test_half_of_the_memory_may_be_pinned_and_no_more() -> None:
    budget = ByteBudget(100, low_bytes=0)
    first, second = budget.share(), budget.share()
    assert first.pin(30)
    assert not second.pin(30)
    assert first.pin(50)
    assert not second.pin(1)
    first.end()
    assert second.pin(50)


async def test_an_upload_that_fails_gives_back_what_it_held() -> None:
    class Broken(Bucket):
        async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
            del content
            raise StorageUnavailable(path)

    budget = ByteBudget(LIMIT_BYTES, low_bytes=LOW_BYTES)
    sink = PieceSink(Broken(), piece_bytes=PART_BYTES, budget=budget)
    await sink.start("/uploads/1", STARTED)
    writer = await sink.append("/uploads/1")
    await writer.write(bytes(250))
    with pytest.raises(StorageUnavailable):
        await writer.flush()
    await writer.close()
    assert budget.held_bytes == 0


async def test_an_upload_that_is_given_its_room_as_its_client_goes_leaves_it_to_the_next() -> None:
    budget = ByteBudget(400, low_bytes=0)
    full, gone, next_ = budget.share(), budget.share(), budget.share()
    for _ in range(3):  # A quarter is left for what others have read ahead.
        await full.take(100)
    going, waiting = asyncio.create_task(gone.take(100)), asyncio.create_task(next_.take(50))
    await asyncio.sleep(0)
    full.give_back(100)  # Its turn has come, but it does not know that yet.
    going.cancel()
    async with asyncio.timeout(30):
        await waiting
    assert going.cancelled()
    assert (gone.held_bytes, next_.held_bytes, budget.held_bytes) == (0, 50, 250)
