"""Uploads over every driver that has parts, in the sizes that real stores ask for."""

import random

import pytest

from moorage.errors import PathUnknown, StorageBusy
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.piece_sink import PieceSink
from moorage.storage.uploads import UploadWriter

FOLDER = "/docker/registry/v2/repositories/app/_uploads/one"
TARGET = "/docker/registry/v2/blobs/sha256/aa/aa/data"
STARTED = b"2024-01-01T00:00:00Z"
PART_BYTES = {"s3": 5 << 20}
LEAST_PART_BYTES = 256 << 10
"""Of a resumable upload to Google; Azure's blocks may be smaller still."""
LAYER = random.Random("layer").randbytes(2 * PART_BYTES["s3"] + 1000)


@pytest.fixture
def storage(driver: StorageDriver) -> StorageDriver:
    if Capability.PARTS not in driver.capabilities:
        pytest.skip("a driver without parts")
    driver.part_bytes = PART_BYTES.get(driver.name, LEAST_PART_BYTES)
    return driver


def layer_for(storage: StorageDriver) -> bytes:
    """A layer of two parts and the beginning of a third."""
    return LAYER[: 2 * storage.part_bytes + 1000]


async def send(writer: UploadWriter, content: bytes) -> None:
    step = max(len(content) // 10, 1)
    for at in range(0, len(content), step):
        await writer.write(bytearray(content[at : at + step]))


async def whole(storage: StorageDriver, path: str) -> bytes:
    with await storage.open(path) as reader:
        return b"".join([chunk async for chunk in reader.chunks()])


async def names(storage: StorageDriver) -> list[str]:
    """What is in the folder of the upload; it may be there for a while when it is empty."""
    try:
        return [entry.name for entry in await storage.list(FOLDER)]
    except PathUnknown:
        return []


async def check_committed(storage: StorageDriver) -> None:
    assert await whole(storage, TARGET) == layer_for(storage)
    assert await names(storage) == []


@pytest.mark.parametrize("is_known", [True, False], ids=["a session", "one request"])
async def test_bytes_whose_place_is_known_go_there(storage: StorageDriver, *, is_known: bool) -> None:
    sink = PieceSink(storage)
    if is_known:
        await sink.start(FOLDER, STARTED)
        writer = await sink.append(FOLDER, target=TARGET)
    else:
        writer = await sink.begin(FOLDER, STARTED, target=TARGET)
    async with writer:
        await send(writer, layer_for(storage))
        with pytest.raises(PathUnknown):
            await storage.stat(TARGET, folder=False)
        await writer.commit(TARGET)
        await writer.remove()
    await check_committed(storage)


@pytest.mark.parametrize(("parts", "more"), [(1, 0), (0, 1000), (1, 1000)])
async def test_pieces_of_any_size_are_joined_by_the_store(storage: StorageDriver, parts: int, more: int) -> None:
    sink, layer, first_bytes = PieceSink(storage), layer_for(storage), parts * storage.part_bytes + more
    await sink.start(FOLDER, STARTED)
    for content in (layer[:first_bytes], layer[first_bytes : first_bytes + 10], layer[first_bytes + 10 :]):
        async with await PieceSink(storage).append(FOLDER) as writer:
            await send(writer, content)
            await writer.flush()
    assert await sink.status(FOLDER) == len(layer)
    async with await sink.append(FOLDER, target=TARGET) as writer:
        await writer.commit(TARGET)
        await writer.remove()
    await check_committed(storage)


async def test_parts_that_a_dead_process_has_left_go_with_their_upload(storage: StorageDriver) -> None:
    writer = await PieceSink(storage).begin(FOLDER, STARTED, target=TARGET)
    await send(writer, layer_for(storage))
    await PieceSink(storage).remove(FOLDER)
    assert await names(storage) == []
    await writer.close()
    with pytest.raises(PathUnknown):
        await storage.stat(TARGET, folder=False)


async def test_of_two_requests_at_one_offset_one_is_refused(storage: StorageDriver) -> None:
    sink = PieceSink(storage)
    await sink.start(FOLDER, STARTED)
    one, two = await sink.append(FOLDER), await sink.append(FOLDER)
    await send(one, b"one")
    await send(two, b"two, and longer")
    await one.flush()
    with pytest.raises(StorageBusy):
        await two.flush()
    await two.close()
    await one.close()
    assert await sink.status(FOLDER) == 3
    await sink.remove(FOLDER)
