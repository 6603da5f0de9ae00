"""Uploads: a file or pieces, resumed anywhere; of two requests at once neither spoils what the other wrote."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.storage.conftest import open_files_below
from moorage.errors import PathUnknown, StorageBusy, StorageUnavailable
from moorage.storage.base import (
    ObjectContent,
    StorageDriver,
)
from moorage.storage.file_sink import FileSink
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.piece_sink import PieceSink
from moorage.storage.upload_sinks import sink_of
from moorage.storage.uploads import UploadSink
from support.arriving import ArrivingBytes
from support.bucket import Bucket

FOLDER = "/uploads/one"
PIECE_BYTES = 100
TARGET = "/blobs/aa/data"
SINKS: dict[str, Callable[[Path], tuple[StorageDriver, UploadSink]]] = {
    "file-inmemory": lambda _: _files(MemoryDriver()),
    "file-filesystem": lambda folder: _files(FilesystemDriver(folder)),
    "folder-inmemory": lambda _: _in_folders(MemoryDriver()),
    "folder-filesystem": lambda folder: _in_folders(FilesystemDriver(folder)),
    "pieces-bucket": lambda _: _pieces(Bucket()),
    "pieces-inmemory": lambda _: _pieces(MemoryDriver()),
    "pieces-filesystem": lambda folder: _pieces(FilesystemDriver(folder)),
}


def _files(storage: MemoryDriver | FilesystemDriver) -> tuple[StorageDriver, UploadSink]:
    return storage, FileSink(storage)


class _BegunByDistribution(FileSink):
    """Uploads whose beginning is Distribution's: a folder with two files."""

    async def start(self, folder: str, started_at: bytes) -> None:
        await self._storage.put(f"{folder}/startedat", started_at)
        await self._storage.put(f"{folder}/data", b"")


def _in_folders(storage: MemoryDriver | FilesystemDriver) -> tuple[StorageDriver, UploadSink]:
    return storage, _BegunByDistribution(storage)


def _pieces(storage: StorageDriver) -> tuple[StorageDriver, UploadSink]:
    return storage, PieceSink(storage, piece_bytes=PIECE_BYTES)


@pytest.fixture(params=SINKS)
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[StorageDriver, UploadSink]]:
    storage, sink = SINKS[request.param](tmp_path)
    await sink.start(FOLDER, b"2024-01-01T00:00:00Z")
    yield storage, sink
    await storage.close()
    assert open_files_below(tmp_path) == []


@pytest.fixture
def storage(both: tuple[StorageDriver, UploadSink]) -> StorageDriver:
    return both[0]


@pytest.fixture
def sink(both: tuple[StorageDriver, UploadSink]) -> UploadSink:
    return both[1]


@pytest.fixture
async def pieces() -> UploadSink:
    sink = PieceSink(Bucket(), piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    return sink


async def add(sink: UploadSink, content: bytes) -> int:
    async with await sink.append(FOLDER) as writer:
        await writer.write(content)
        await writer.flush()
        return writer.size_bytes


async def whole(sink: UploadSink) -> bytes:
    async with await sink.append(FOLDER) as writer:
        return b"".join([piece async for piece in writer.read()])


async def test_an_upload_begins_without_bytes(storage: StorageDriver, sink: UploadSink) -> None:
    assert await sink.status(FOLDER) == 0
    if type(sink) is FileSink:
        assert await storage.get(FOLDER) == b""
    else:
        assert await storage.get(f"{FOLDER}/startedat") == b"2024-01-01T00:00:00Z"


async def test_an_upload_that_is_not_there_is_unknown(sink: UploadSink) -> None:
    with pytest.raises(PathUnknown):
        await sink.status("/uploads/none")
    with pytest.raises(PathUnknown):
        await sink.append("/uploads/none")


@pytest.mark.parametrize("sizes", [(), (1,), (99, 1), (100,), (101, 7, 350), (1, 1, 1), (0, 250, 0)])
async def test_what_came_in_requests_is_committed_as_one(
    storage: StorageDriver, sink: UploadSink, sizes: tuple[int, ...]
) -> None:
    chunks = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]
    for chunk, end in zip(chunks, itertools.accumulate(sizes), strict=True):
        assert await add(sink, chunk) == end
        assert await sink.status(FOLDER) == end
    assert await whole(sink) == b"".join(chunks)
    async with await sink.append(FOLDER) as writer:
        await writer.write(b"last")
        assert b"".join([piece async for piece in writer.read()]) == b"".join(chunks) + b"last"
        await writer.commit(TARGET)
        assert writer.size_bytes == sum(sizes) + len(b"last")
    assert await storage.get(TARGET) == b"".join(chunks) + b"last"


async def test_a_commit_replaces_what_is_there(storage: StorageDriver, sink: UploadSink) -> None:
    await storage.put(TARGET, b"damaged")
    await add(sink, bytes(250))
    async with await sink.append(FOLDER) as writer:
        await writer.commit(TARGET)
    assert await storage.get(TARGET) == bytes(250)


async def test_what_came_before_a_request_ended_in_the_middle_stays(sink: UploadSink) -> None:
    writer = await sink.append(FOLDER)
    await writer.write(bytes(130))
    await writer.close()
    assert await sink.status(FOLDER) == 130


async def test_an_upload_removed_under_its_writer_does_not_come_back(storage: StorageDriver, sink: UploadSink) -> None:
    async with await sink.append(FOLDER) as writer:
        await writer.write(bytes(50))
        await storage.delete(FOLDER)
        await writer.write(bytes(100))
    with pytest.raises(PathUnknown):
        await sink.status(FOLDER)
    with pytest.raises(PathUnknown):
        await sink.append(FOLDER)


async def test_an_observer_sees_each_byte_once(sink: UploadSink) -> None:
    seen = bytearray()
    async with await sink.append(FOLDER) as writer:
        for size in (1, 250, 99):
            await writer.write(bytes([size]) * size, observer=seen.extend)
    assert bytes(seen) == await whole(sink)


async def test_what_is_arriving_is_taken_in_turns_and_an_observer_sees_each_byte_once(sink: UploadSink) -> None:
    content, seen = random.Random(148).randbytes(1000), bytearray()
    body = ArrivingBytes(content, [300, 0, 7, 0, 0, 250], most_bytes=400)
    async with await sink.append(FOLDER) as writer:
        while body.rest:
            before = writer.size_bytes
            await writer.write(body, observer=seen.extend)
            assert writer.size_bytes - before <= 400
        await writer.flush()
    assert bytes(seen) == content == await whole(sink)


@pytest.mark.parametrize("seed", range(30))
async def test_of_requests_at_once_each_byte_that_was_acknowledged_stays_in_its_place(
    seed: int,
) -> None:
    """Eight requests write what only they write; what one was told is there, is there at the end."""
    bucket = Bucket()
    sink = PieceSink(bucket, piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    acknowledged: dict[int, bytes] = {}

    async def request(number: int) -> None:
        rng = random.Random(seed * 100 + number)
        for _ in range(5):
            for _ in range(rng.randrange(20)):
                await asyncio.sleep(0)
            writer = await sink.append(FOLDER)
            start, content = writer.size_bytes, bytes([number]) * rng.randrange(1, 320)
            try:
                await writer.write(content)
                await writer.flush()
            except StorageBusy:
                continue
            finally:
                await writer.close()
            assert start not in acknowledged
            acknowledged[start] = content

    await asyncio.gather(*(request(number) for number in range(1, 9)))
    found = await whole(sink)
    assert len(found) == await sink.status(FOLDER)
    assert acknowledged
    for start, content in acknowledged.items():
        assert found[start : start + len(content)] == content


async def test_a_request_that_lost_once_writes_nothing_more(pieces: UploadSink) -> None:
    async with await pieces.append(FOLDER) as slow:
        await slow.write(b"a" * 60)
        await add(pieces, b"b" * 60)
        with pytest.raises(StorageBusy):
            await slow.flush()
        with pytest.raises(StorageUnavailable):
            await slow.write(b"a" * 200)
    assert await whole(pieces) == b"b" * 60


async def test_a_commit_has_the_bytes_that_it_saw_whoever_writes_meanwhile() -> None:
    bucket = Bucket()
    sink = PieceSink(bucket, piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    await add(sink, b"a" * 250)
    async with await sink.append(FOLDER) as writer:
        seen = b"".join([piece async for piece in writer.read()])
        await add(sink, b"late")
        await writer.commit(TARGET)
    assert await bucket.get(TARGET) == seen == b"a" * 250


async def test_of_two_commits_with_other_last_bytes_one_is_refused() -> None:
    bucket = Bucket()
    sink = PieceSink(bucket, piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    await add(sink, b"a" * 150)

    async def commit(content: bytes, target: str) -> None:
        async with await sink.append(FOLDER) as writer:
            await writer.write(content)
            await writer.commit(target)

    outcomes = await asyncio.gather(commit(b"b", "/b"), commit(b"c", "/c"), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "StorageBusy"]
    won = "b" if outcomes[0] is None else "c"
    assert await bucket.get(f"/{won}") == b"a" * 150 + won.encode()


async def test_a_piece_whose_answer_was_lost_is_not_written_twice() -> None:
    class Forgetful(Bucket):
        async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
            await super().put_if_absent(path, content)
            msg = "connection reset"
            raise StorageUnavailable(msg)

    sink = PieceSink(Forgetful(), piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    writer = await sink.append(FOLDER)
    await writer.write(b"a" * 150)
    with pytest.raises(StorageUnavailable):
        await writer.flush()
    await writer.close()
    assert await whole(sink) == b"a" * PIECE_BYTES


async def test_what_fits_in_a_piece_is_committed_with_one_request() -> None:
    bucket = Bucket()
    sink = PieceSink(bucket, piece_bytes=PIECE_BYTES)
    await sink.start(FOLDER, b"")
    async with await sink.append(FOLDER) as writer:
        await writer.write(b"small")
        bucket.requests.clear()
        await writer.commit(TARGET)
    assert bucket.requests == [f"put {TARGET}"]


def test_the_sink_is_chosen_by_what_storage_can_do() -> None:
    assert type(sink_of(MemoryDriver())) is FileSink
    assert isinstance(sink_of(Bucket()), PieceSink)


async def test_an_upload_to_files_is_one_file_and_leaves_nothing(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)
    sink = FileSink(storage)
    await sink.start(FOLDER, b"")
    await add(sink, b"all of it")
    assert await storage.get(FOLDER) == b"all of it"
    async with await sink.append(FOLDER) as writer:
        await writer.commit(TARGET)
        await writer.remove()
    assert await storage.list("/uploads") == []
    await storage.close()


async def test_a_placed_upload_is_there_until_it_is_removed_and_nothing_can_be_added_to_it(
    storage: StorageDriver, sink: UploadSink
) -> None:
    await storage.put(TARGET, b"damaged")
    await add(sink, b"all of it")
    async with await sink.append(FOLDER, target=TARGET) as writer:
        is_placed = await writer.place(TARGET)
        assert writer.has_place is is_placed
    assert is_placed is (type(sink) is FileSink), "a folder, or pieces, cannot have a second name"
    if not is_placed:
        assert await storage.get(TARGET) == b"damaged"
        assert await sink.open_placed(FOLDER) is None
        return
    assert await storage.get(TARGET) == b"all of it"
    assert await sink.status(FOLDER) == len(b"all of it")
    with pytest.raises(PathUnknown):
        await sink.append(FOLDER)
    async with await sink.append(FOLDER, target=TARGET) as writer:
        assert writer.has_place
        with pytest.raises(PathUnknown):
            await writer.write(b"more")
        assert await writer.place(TARGET), "it can be ended again"
        await writer.commit(TARGET)
    reader = await sink.open_placed(FOLDER)
    assert reader is not None
    with reader:
        assert b"".join([piece async for piece in reader.chunks()]) == b"all of it"
    await sink.remove(FOLDER)
    assert await storage.get(TARGET) == b"all of it"
    assert await sink.open_placed(FOLDER) is None


async def test_of_two_placed_uploads_of_the_same_the_last_has_the_place_and_both_are_known(
    storage: StorageDriver, sink: UploadSink
) -> None:
    if type(sink) is not FileSink:
        return
    other = f"{FOLDER}-more"
    await sink.start(other, b"")
    for folder in (FOLDER, other):
        async with await sink.append(folder, target=TARGET) as writer:
            await writer.write(b"the same")
            assert await writer.place(TARGET)
    assert (await storage.stat(TARGET)).names == 2
    assert (await storage.stat(FOLDER)).names == 1, "it is an upload as any other again"
    assert await storage.get(FOLDER) == await storage.get(other) == b"the same"
