"""Listing: order, pages, and what is not shown."""

import contextlib
import random
from datetime import timedelta

import pytest

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import Capability, FolderEntry, StorageDriver
from moorage.storage.remote import paging
from moorage.storage.remote.remote_driver import RemoteDriver
from support.bucket import Bucket

NAMES = ("-", ".hidden", "0", "A", "Z", "_", "a", "a-b", "a.b", "a_b", "aa", "b", "lost+found", "v1=")


@pytest.fixture
async def filled(driver: StorageDriver) -> StorageDriver:
    names = list(NAMES)
    random.Random(3).shuffle(names)
    for name in names:
        await driver.put(f"/f/{name}", b"", durable=False)
    # What the fixture of the driver takes for a temporary.
    await driver.delete("/f/.hidden")
    return driver


def expected(after: str = "") -> list[str]:
    return sorted((name for name in NAMES if name != ".hidden" and name > after), key=str.encode)


async def listed(driver: StorageDriver, after: str = "", limit: int | None = None) -> list[str]:
    return [entry.name for entry in await driver.list("/f", after=after, limit=limit)]


async def test_names_come_in_byte_order(filled: StorageDriver) -> None:
    assert await listed(filled) == expected()


async def test_names_come_after_a_name_that_need_not_be_there(filled: StorageDriver) -> None:
    for after in ("", "!", "-", "A", "a", "a-b", "a-zzz", "v1=", "z", "\N{EURO SIGN}"):
        assert await listed(filled, after) == expected(after), after


async def test_names_come_up_to_the_limit(filled: StorageDriver) -> None:
    for limit in (0, 1, 2, 12, 13, 14, 1000):
        assert await listed(filled, limit=limit) == expected()[:limit], limit


async def test_pages_together_are_the_whole(filled: StorageDriver) -> None:
    for limit in (1, 3, 5):
        found: list[str] = []
        while page := await listed(filled, found[-1] if found else "", limit):
            found += page
        assert found == expected(), limit


async def test_entries_tell_folders_from_objects_and_show_only_one_level(driver: StorageDriver) -> None:
    await driver.put("/f/object", b"")
    await driver.put("/f/folder/below/deep", b"")
    assert await driver.list("/f") == [FolderEntry("folder", is_folder=True), FolderEntry("object", is_folder=False)]


async def test_a_large_folder_is_listed_as_a_small_one(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 1_200
    if isinstance(driver, RemoteDriver):  # As many pages, and not as many requests.
        monkeypatch.setattr(paging, "PAGE", 50)
        count = 120
    names = sorted(f"{number:x}" for number in range(count))
    for name in names:
        await driver.put(f"/f/{name}", b"", durable=False)
    assert await listed(driver) == names
    assert await listed(driver, after="400", limit=3) == [name for name in names if name > "400"][:3]
    assert await listed(driver, after="40", limit=60) == [name for name in names if name > "40"][:60]


async def test_a_folder_whose_last_object_went_is_empty_or_gone(driver: StorageDriver) -> None:
    await driver.put("/f/only", b"")
    await driver.delete("/f/only")
    with contextlib.suppress(PathUnknown):
        assert await driver.list("/f") == []


async def test_pages_of_folders_come_in_the_order_of_names_though_a_slash_follows_each(driver: StorageDriver) -> None:
    """An object store has ``a-b/`` and ``a.b/`` before ``a/``. Many more are tried over a model of one."""
    rng = random.Random(4)
    names = {"".join(rng.choices("ab-.0", k=rng.randrange(1, 5))) for _ in range(60)} - {".", ".."}
    names = {name for name in names if not name.startswith(".")}
    for name in names:
        await driver.put(f"/f/{name}/current/link" if rng.random() < 0.8 else f"/f/{name}", b"", durable=False)
    for limit in (1, 7):
        found: list[str] = []
        while page := await listed(driver, found[-1] if found else "", limit):
            assert len(page) <= limit
            found += page
        assert found == sorted(names)


async def test_a_page_of_a_bucket_needs_room_for_a_page() -> None:
    bucket = Bucket()
    for number in range(2000):
        await bucket.put(f"/f/{number:05}/link", b"")
    found = await bucket.list("/f", after="01000", limit=10)
    assert [entry.name for entry in found] == [f"{number:05}" for number in range(1001, 1011)]
    assert bucket.largest_page <= 10


async def test_all_below_a_folder_is_listed_with_its_state(driver: StorageDriver) -> None:
    if Capability.FLAT_LISTS not in driver.capabilities:
        with pytest.raises(StorageUnavailable):
            driver.all_below("/deep")
        return
    sizes = {f"/deep/{number % 7}/x{number}/data": number for number in range(1, 30)}
    for path, size in sizes.items():
        await driver.put(path, b"x" * size)
    await driver.put("/deeper", b"")
    await driver.put("/deep-too/data", b"")
    found = dict([item async for page in driver.all_below("/deep") for item in page])
    assert {path: stat.size_bytes for path, stat in found.items()} == sizes
    path = next(iter(sizes))
    assert abs(found[path].modified_at - (await driver.stat(path)).modified_at) < timedelta(seconds=1)
    assert [item async for page in driver.all_below("/nothing") for item in page] == []
