"""Many small objects at once: get_each, stat_each, delete_each."""

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import StorageDriver

PATHS = ["/a/one", "/a/none", "/b/c/two", "/d"]


@pytest.fixture(autouse=True)
async def _objects(driver: StorageDriver) -> None:
    await driver.put("/a/one", b"1")
    await driver.put("/b/c/two", b"22")
    await driver.put("/d/three", b"333")


async def test_each_content_is_used_in_its_place(driver: StorageDriver) -> None:
    assert list(await driver.get_each(PATHS, lambda number, content: (number, content))) == [
        (0, b"1"),
        None,
        (2, b"22"),
        None,  # A folder is no object.
    ]


async def test_none_asked_for_none_found(driver: StorageDriver) -> None:
    assert list(await driver.get_each([], lambda _, content: content)) == []
    assert list(await driver.stat_each([])) == []
    assert await driver.delete_each([]) == 0


@pytest.mark.parametrize("size", [16 << 10, (16 << 10) + 1, 300_000])
async def test_a_content_of_any_size_is_read_whole(size: int, driver: StorageDriver) -> None:
    await driver.put("/large", b"x" * size)
    assert list(await driver.get_each(["/large"], lambda _, content: len(content))) == [size]


async def test_what_is_larger_than_allowed_is_refused(driver: StorageDriver) -> None:
    for size in (11, 20_000, 300_000):
        await driver.put("/large", b"x" * size)
        with pytest.raises(StorageUnavailable):
            await driver.get_each(["/a/one", "/large"], lambda _, content: content, limit_bytes=10)


async def test_what_each_object_is_stat_says_too_and_a_folder_is_none(driver: StorageDriver) -> None:
    found = await driver.stat_each(PATHS)
    assert list(found) == [await driver.stat("/a/one"), None, await driver.stat("/b/c/two"), None]
    assert list(await driver.stat_each(PATHS, folder=True)) == [*list(found)[:3], await driver.stat("/d")]


async def test_each_object_is_deleted_and_those_not_there_are_passed_over(driver: StorageDriver) -> None:
    assert await driver.delete_each(["/a/one", "/a/none", "/no/folder", "/b/c/two"]) == 2
    assert not await driver.exists("/a/one")
    assert not await driver.exists("/b/c")
    assert await driver.exists("/d/three")


async def test_a_folder_that_is_not_empty_stays(driver: StorageDriver) -> None:
    await driver.put("/a/another", b"4")
    assert await driver.delete_each(["/a/one"]) == 1
    assert await driver.get("/a/another") == b"4"


async def test_a_path_that_is_none_is_refused(driver: StorageDriver) -> None:
    for path in ("relative", "/../up"):
        with pytest.raises(StorageUnavailable):
            await driver.get_each([path], lambda _, content: content)
        with pytest.raises(StorageUnavailable):
            await driver.stat_each([path])
        with pytest.raises(StorageUnavailable):
            await driver.delete_each([path])
