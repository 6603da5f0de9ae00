"""Reading objects of any size: ranges, pieces, and readers of what is replaced or gone meanwhile."""

import itertools
import os
import random

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import Capability, Reader, StorageDriver
from moorage.storage.remote.remote_driver import RemoteDriver

MIB = 1 << 20
CONTENT = random.Random(7).randbytes(2 * MIB + 12_345)


async def read(reader: Reader, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in reader.chunks(start, end)])


RANGES = (
    (0, None),
    (0, len(CONTENT)),
    (0, 1),
    (1, 2),
    (0, 65_536),
    (3, 65_540),
    (MIB - 1, MIB + 1),
    (MIB, 2 * MIB),
    (len(CONTENT) - 1, None),
    (len(CONTENT) - 70_000, len(CONTENT) + 10),
    (len(CONTENT), None),
    (len(CONTENT) + 5, None),
    (10, 10),
    (10, 5),
)


async def test_a_range_is_read_from_start_to_before_end(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    for is_whole, (start, end) in itertools.product((True, False), RANGES):
        with await driver.open("/a", is_whole=is_whole) as reader:
            assert reader.size_bytes == len(CONTENT)
            assert await read(reader, start, end) == CONTENT[start:end], (start, end)


async def test_no_piece_is_larger_than_one_mebibyte(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    with await driver.open("/a") as reader:
        assert max([len(piece) async for piece in reader.chunks()]) <= MIB


async def test_a_reader_knows_the_size_and_can_be_read_twice(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    with await driver.open("/a") as reader:
        assert reader.size_bytes == len(CONTENT)
        assert await read(reader) == CONTENT
        assert await read(reader, 5, 9) == CONTENT[5:9]


async def test_an_empty_object_has_no_pieces(driver: StorageDriver) -> None:
    await driver.put("/a", b"")
    with await driver.open("/a") as reader:
        assert [piece async for piece in reader.chunks()] == []


async def test_a_reader_may_be_closed_twice(driver: StorageDriver) -> None:
    await driver.put("/a", b"")
    reader = await driver.open("/a")
    reader.close()
    reader.close()


async def test_a_reader_that_stops_in_the_middle_leaves_nothing_open(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    with await driver.open("/a") as reader:
        async for piece in reader.chunks():
            assert piece
            break


async def test_a_reader_that_is_dropped_leaves_nothing_open(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    await driver.open("/a")


@pytest.mark.parametrize("change", ["put", "copy", "delete", "delete folder"])
async def test_an_open_object_has_its_bytes_whatever_happens_to_its_path(driver: StorageDriver, change: str) -> None:
    await driver.put("/a/b", CONTENT)
    await driver.put("/other", b"other")
    with await driver.open("/a/b") as reader:
        if change == "put":
            await driver.put("/a/b", b"new")
        elif change == "copy":
            await driver.copy(["/other"], "/a/b")
        else:
            await driver.delete("/a/b" if change == "delete" else "/a")
        try:
            found = await read(reader)
        except StorageUnavailable:
            # A bucket's body that breaks off cannot be gone on with: it ends with an error, never with other bytes.
            assert isinstance(driver, RemoteDriver)
        else:
            assert found == CONTENT


async def test_a_descriptor_to_send_from_is_there_where_the_driver_says_so(driver: StorageDriver) -> None:
    await driver.put("/a", CONTENT)
    with await driver.open("/a") as reader:
        fd = reader.fileno()
        if Capability.SENDFILE not in driver.capabilities:
            assert fd is None
            return
        assert fd is not None
        assert await read(reader, 0, 10) == os.pread(fd, 10, 0) == CONTENT[:10]
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0, "reading does not move a position that sending could depend on"


async def test_only_a_driver_that_signs_gives_urls(driver: StorageDriver) -> None:
    await driver.put("/a", b"")
    url = await driver.url_for("/a", expires_s=60)
    assert (url is not None) == (Capability.SIGNED_URLS in driver.capabilities)
