"""Uploads whose place is known before their bytes: no copy, nothing to be seen before all is there, nothing left."""

import random
from collections.abc import Callable

import pytest

from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.byte_budget import ByteBudget
from moorage.storage.memory import MemoryDriver
from moorage.storage.piece_sink import PieceSink
from moorage.storage.streams import part_bytes_at
from moorage.storage.uploads import UploadWriter
from support.arriving import ArrivingBytes
from support.bucket import Bucket

FOLDER = "/uploads/one"
TARGET = "/blobs/aa/data"
STARTED = b"2024-01-01T00:00:00Z"
PART_BYTES = 100


class Small(Bucket):
    """A bucket whose parts are small."""

    part_bytes = PART_BYTES
    part_min_bytes = PART_BYTES


class Partless(Bucket):
    """A bucket that writes whole objects only."""

    capabilities = Bucket.capabilities - {Capability.PARTS}


def sink_of(storage: StorageDriver, budget: ByteBudget | None = None) -> PieceSink:
    return PieceSink(storage, piece_bytes=PART_BYTES, budget=budget)


async def send(writer: UploadWriter, content: bytes, step: int = 30) -> None:
    for at in range(0, len(content), step):
        await writer.write(bytearray(content[at : at + step]))


@pytest.mark.parametrize("make", [Small, Partless, MemoryDriver])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 201, 1000])
@pytest.mark.parametrize("is_known", [True, False], ids=["a session", "one request"])
async def test_the_bytes_come_to_their_place_and_nothing_else_is_left(
    make: Callable[[], StorageDriver], size: int, *, is_known: bool
) -> None:
    storage, content = make(), random.Random(size).randbytes(size)
    sink = sink_of(storage)
    if is_known:
        await sink.start(FOLDER, STARTED)
        writer = await sink.append(FOLDER, target=TARGET)
    else:
        writer = await sink.begin(FOLDER, STARTED, target=TARGET)
    async with writer:
        await send(writer, content)
        assert writer.size_bytes == size
        with pytest.raises(PathUnknown):
            await storage.stat(TARGET)
        await writer.commit(TARGET)
        assert writer.size_bytes == size
        await writer.remove()
    assert await storage.get(TARGET) == content
    if isinstance(storage, Bucket):
        assert list(storage.all_keys()) == [TARGET]
        assert not storage.parts


async def test_what_is_arriving_comes_to_its_place() -> None:
    storage, content = Small(), random.Random(148).randbytes(1000)
    body = ArrivingBytes(content, [30, 0, 7, 0, 250])
    async with await sink_of(storage).begin(FOLDER, STARTED, target=TARGET) as writer:
        while body.rest:
            await writer.write(body)
        await writer.commit(TARGET)
    assert await storage.get(TARGET) == content


async def test_what_fits_in_a_part_is_one_request() -> None:
    bucket = Small()
    async with await sink_of(bucket).begin(FOLDER, STARTED, target=TARGET) as writer:
        await send(writer, bytes(PART_BYTES))
        await writer.commit(TARGET)
        await writer.remove()
    assert bucket.requests == [f"put {TARGET}"]


async def test_more_is_written_in_parts_that_are_noted_before_the_first_of_them() -> None:
    bucket = Small()
    async with await sink_of(bucket).begin(FOLDER, STARTED, target=TARGET) as writer:
        await send(writer, bytes(250))
        await writer.commit(TARGET)
        await writer.remove()
    words = [request.split()[0] for request in bucket.requests]
    assert words == ["put", "begin_parts", "put", *["add_part"] * 3, "complete_parts", "remove"]
    assert bucket.requests[2].startswith(f"put {FOLDER}/multipart-")


async def test_pieces_are_handed_over_as_they_were_received() -> None:
    class Watching(Small):
        seen: list[int]

        async def put(self, path: str, content: object, *, durable: bool = True) -> None:
            assert not isinstance(content, bytes)
            assert isinstance(content, list)
            self.seen = [id(piece) for piece in content]
            await super().put(path, content, durable=durable)

    bucket, chunks = Watching(), [bytearray(30), bytearray(30)]
    async with await sink_of(bucket).begin(FOLDER, STARTED, target=TARGET) as writer:
        for chunk in chunks:
            await writer.write(chunk)
        await writer.commit(TARGET)
    assert bucket.seen == [id(chunk) for chunk in chunks]


@pytest.mark.parametrize("size", [50, 250])
async def test_what_turns_out_wrong_is_removed_and_nothing_was_seen(size: int) -> None:
    bucket = Small()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    async with await sink.append(FOLDER, target=TARGET) as writer:
        await send(writer, bytes(size))
        await writer.remove()
    assert list(bucket.all_keys()) == []
    assert not bucket.parts


async def test_parts_of_a_client_that_hung_up_are_aborted_and_the_session_stays() -> None:
    bucket = Small()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    async with await sink.append(FOLDER, target=TARGET) as writer:
        await send(writer, bytes(250))
    assert not bucket.parts
    assert [key.rpartition("/")[2] for key in bucket.all_keys()] == ["startedat"]
    assert await sink.status(FOLDER) == 0


async def test_less_than_a_part_of_a_client_that_hung_up_stays() -> None:
    bucket = Small()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    async with await sink.append(FOLDER, target=TARGET) as writer:
        await send(writer, b"a" * 50)
    assert await sink.status(FOLDER) == 50
    async with await sink.append(FOLDER, target=TARGET) as writer:
        await send(writer, b"b" * 150)
        await writer.commit(TARGET)
        await writer.remove()
    assert await bucket.get(TARGET) == b"a" * 50 + b"b" * 150
    assert list(bucket.all_keys()) == [TARGET]


async def test_parts_that_a_dead_process_has_left_are_aborted_with_their_upload() -> None:
    bucket = Small()
    sink = sink_of(bucket)
    writers = [await sink.begin(FOLDER, STARTED, target=TARGET) for _ in range(2)]
    for writer in writers:
        await send(writer, bytes(250))
    assert len(bucket.parts) == 2
    await sink_of(bucket).remove(FOLDER)
    assert not bucket.parts
    assert list(bucket.all_keys()) == []


async def test_parts_that_cannot_be_aborted_keep_their_note() -> None:
    class Stuck(Small):
        async def abort_parts(self, path: str, note: str) -> None:
            raise StorageUnavailable(path + note)

    bucket = Stuck()
    writer = await sink_of(bucket).begin(FOLDER, STARTED, target=TARGET)
    await send(writer, bytes(250))
    with pytest.raises(StorageUnavailable):
        await writer.remove()
    await writer.close()
    assert len([key for key in bucket.all_keys() if "/multipart-" in key]) == 1


async def test_a_part_that_fails_ends_the_request_and_leaves_nothing() -> None:
    class Full(Small):
        async def request(self, what: str, path: str) -> None:
            await super().request(what, path)
            if what == "add_part" and self.requests.count(self.requests[-1]) == 2:
                raise StorageFull(path)

    bucket = Full()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    writer = await sink.append(FOLDER, target=TARGET)
    with pytest.raises(StorageFull):
        await send(writer, bytes(1000))
    await writer.take_back(0)
    await writer.close()
    assert not bucket.parts
    assert [key.rpartition("/")[2] for key in bucket.all_keys()] == ["startedat"]


async def test_an_upload_of_which_a_piece_is_gone_is_unknown() -> None:
    bucket = Small()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    async with await sink.append(FOLDER) as writer:
        await send(writer, bytes(350))
    await bucket.delete(f"{FOLDER}/piece-0000000000100")
    with pytest.raises(PathUnknown):
        await sink.append(FOLDER)
    await sink.remove(FOLDER)
    assert list(bucket.all_keys()) == []


async def test_what_another_registry_left_in_an_upload_goes_with_it() -> None:
    bucket = Small()
    sink = sink_of(bucket)
    await sink.start(FOLDER, STARTED)
    await bucket.put(f"{FOLDER}/hashstates/sha256/0", b"")
    await bucket.put(f"{FOLDER}/data", b"theirs")
    await sink.remove(FOLDER)
    assert list(bucket.all_keys()) == []


def test_parts_grow_so_that_ten_thousand_are_enough_for_any_layer() -> None:
    sizes = [part_bytes_at(number, 16 << 20) for number in range(10_000)]
    assert sizes == sorted(sizes)
    mib = [sizes[number] >> 20 for number in (0, 1999, 2000, 3999, 4000, 9999)]
    assert mib == [16, 16, 32, 32, 64, 64]
    assert sum(sizes) > 480_000_000_000


@pytest.mark.parametrize("note", [b"{", b"[]", b'"text"', b'{"path": 5, "note": "x"}', b'{"path": "/a", "note": 5}'])
async def test_a_note_of_parts_that_cannot_be_read_keeps_no_upload_from_being_removed(note: bytes) -> None:
    bucket = Small()
    await sink_of(bucket).start(FOLDER, STARTED)
    await bucket.put(f"{FOLDER}/multipart-0123abcd", note)
    await sink_of(bucket).remove(FOLDER)
    assert list(bucket.all_keys()) == []
