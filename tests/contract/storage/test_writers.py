"""Uploads: appending, one writer at a time, resuming, and running out of room."""

import asyncio

import pytest

from contract.storage.conftest import ROOM_BYTES
from moorage.errors import PathUnknown, StorageBusy, StorageFull
from moorage.storage.base import Writer
from moorage.storage.file_storage import FileStorage

PATH = "/uploads/one/data"


async def start(files: FileStorage, content: bytes = b"") -> None:
    writer = await files.open_writer(PATH)
    await writer.write(content)
    await writer.close()


async def once_not_busy(files: FileStorage) -> Writer:
    """A writer, as soon as a thread that opened the last one has let go of it too."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await files.open_writer(PATH, append=True)
            except StorageBusy:
                await asyncio.sleep(0.001)


async def test_what_is_written_is_appended(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    assert writer.size_bytes == 0
    for piece in (b"one", bytearray(b"two"), memoryview(b"three"), b""):
        await writer.write(piece)
    assert writer.size_bytes == 11
    await writer.close()
    assert await files.get(PATH) == b"onetwothree"
    assert (await files.stat(PATH)).size_bytes == 11


async def test_small_and_large_pieces_keep_their_order(files: FileStorage) -> None:
    pieces = [bytes([n]) * size for n, size in enumerate((1, 65_536, 65_537, 1 << 20, 7, 300_000))]
    writer = await files.open_writer(PATH)
    for piece in pieces:
        await writer.write(piece)
    await writer.close()
    assert await files.get(PATH) == b"".join(pieces)


async def test_an_upload_without_bytes_is_an_object(files: FileStorage) -> None:
    await start(files)
    assert (await files.stat(PATH)).size_bytes == 0


async def test_an_upload_is_resumed_at_its_end(files: FileStorage) -> None:
    await start(files, b"first")
    writer = await files.open_writer(PATH, append=True)
    assert writer.size_bytes == 5
    await writer.write(b" second")
    await writer.close()
    assert await files.get(PATH) == b"first second"


async def test_what_was_put_can_be_appended_to(files: FileStorage) -> None:
    await files.put(PATH, b"first")
    writer = await files.open_writer(PATH, append=True)
    await writer.write(b" second")
    await writer.close()
    assert await files.get(PATH) == b"first second"


async def test_a_writer_that_does_not_append_begins_anew(files: FileStorage) -> None:
    await start(files, b"first")
    writer = await files.open_writer(PATH)
    assert writer.size_bytes == 0
    await writer.write(b"2nd")
    await writer.close()
    assert await files.get(PATH) == b"2nd"


async def test_what_was_written_can_be_read_while_the_writer_is_open(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    await writer.write(b"first")
    with await files.open(PATH) as reader:
        await writer.write(b" second")
        assert reader.size_bytes == 5
        assert [piece async for piece in reader.chunks()] == [b"first"]
    await writer.close()


@pytest.mark.parametrize("append", [True, False])
async def test_only_one_writer_has_an_object(files: FileStorage, append: bool) -> None:  # noqa: FBT001 - a parameter
    writer = await files.open_writer(PATH)
    await writer.write(b"first")
    with pytest.raises(StorageBusy):
        await files.open_writer(PATH, append=append)
    await writer.close()
    assert await files.get(PATH) == b"first"
    await (await files.open_writer(PATH, append=append)).close()


async def test_writers_of_other_objects_are_not_kept_out(files: FileStorage) -> None:
    one, other = await files.open_writer(PATH), await files.open_writer("/uploads/other/data")
    await one.write(b"one")
    await other.write(b"other")
    await one.close()
    await other.close()
    assert await files.get("/uploads/other/data") == b"other"


async def test_a_writer_that_is_dropped_leaves_what_it_wrote_and_lets_go(files: FileStorage) -> None:
    writer: Writer | None = await files.open_writer(PATH)
    assert writer is not None
    await writer.write(b"first")
    writer = None
    again = await once_not_busy(files)
    assert again.size_bytes == 5
    await again.close()


async def test_a_writer_may_be_closed_twice(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    await writer.close()
    await writer.close()


async def test_an_upload_is_moved_while_its_writer_keeps_others_out(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    await writer.write(b"content")
    with pytest.raises(StorageBusy):
        await files.open_writer(PATH, append=True)
    await files.move(PATH, "/blobs/one/data")
    with pytest.raises(PathUnknown):
        await files.open_writer(PATH, append=True)
    await writer.close()
    assert await files.get("/blobs/one/data") == b"content"


async def test_an_upload_cancelled_under_its_writer_does_not_come_back(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    await files.delete("/uploads/one")
    await writer.write(b"too late")
    with pytest.raises(PathUnknown):
        await files.open_writer(PATH, append=True)
    await writer.close()
    with pytest.raises(PathUnknown):
        await files.stat(PATH)


@pytest.mark.parametrize("piece_bytes", [30_000, 90_000])
async def test_a_piece_without_room_is_dropped_and_what_fitted_stays(cramped: FileStorage, piece_bytes: int) -> None:
    writer = await cramped.open_writer(PATH)
    fitted = ROOM_BYTES // piece_bytes * piece_bytes
    for start in range(0, fitted, piece_bytes):
        await writer.write(bytes([start % 251]) * piece_bytes)
    with pytest.raises(StorageFull):
        await writer.write(b"x" * piece_bytes)
    assert writer.size_bytes == fitted
    await writer.write(b"a little more")
    await writer.close()
    content = await cramped.get(PATH)
    assert content[:fitted] == b"".join(bytes([n % 251]) * piece_bytes for n in range(0, fitted, piece_bytes))
    assert content[fitted:] == b"a little more"
    await cramped.close()


async def test_cutting_back_gives_the_room_back_and_writing_goes_on_from_there(files: FileStorage) -> None:
    writer = await files.open_writer(PATH)
    await writer.write(b"onetwothree")
    await writer.truncate(3)
    assert writer.size_bytes == 3
    await writer.write(b"four")
    await writer.close()
    assert await files.get(PATH) == b"onefour"


@pytest.mark.parametrize("size_bytes", [10, 1 << 20])
async def test_an_observer_sees_what_is_written(files: FileStorage, size_bytes: int) -> None:
    seen: list[bytes] = []
    writer = await files.open_writer(PATH)
    await writer.write(bytes(size_bytes), observer=lambda data: seen.append(bytes(data)))
    await writer.close()
    assert seen == [bytes(size_bytes)]
