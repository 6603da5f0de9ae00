"""Small objects: stat, get, put, copy, delete, probe."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.base import FolderEntry, Stat, StorageDriver
from moorage.storage.file_storage import FileStorage

MISSING = ("/none", "/a/none", "/a/b/none", "/a/b/c/below-an-object")

HOSTILE = (
    "",
    "/",
    "//",
    "relative",
    "/a/",
    "/a//b",
    "/.",
    "/..",
    "/../etc/passwd",
    "/a/../../etc/passwd",
    "/a/./b",
    "/a/..",
    "/a\x00b",
    "/a/..\x00",
    "/.~0123456789abcdef",
    "/a/.~0",
    "/\ud800",
)

IMPOSSIBLE = {"s3": ("\udcff",), "gcs": ("new\nline", "\udcff"), "azure": ("a\\b", "\udcff")}
"""Names that a vendor's objects cannot have: they cannot be made, and are not there."""
MANGLED = {"s3-seaweed": ("a\\b",)}
"""Names of which a server makes others: SeaweedFS takes a backslash for a slash."""


async def names_below(driver: StorageDriver, folder: str) -> list[str]:
    return [entry.name for entry in await driver.list(folder)]


async def test_what_was_put_is_what_one_gets(driver: StorageDriver) -> None:
    await driver.put("/a/b/c", b"content")
    assert await driver.get("/a/b/c") == b"content"


@pytest.mark.parametrize("durable", [True, False])
async def test_put_replaces(driver: StorageDriver, durable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    await driver.put("/a/b", b"the old and longer content")
    await driver.put("/a/b", b"new", durable=durable)
    assert await driver.get("/a/b") == b"new"
    assert await names_below(driver, "/a") == ["b"]


async def test_an_object_may_be_empty(driver: StorageDriver) -> None:
    await driver.put("/a/empty", b"")
    assert await driver.get("/a/empty") == b""
    assert (await driver.stat("/a/empty")).size_bytes == 0


async def test_an_object_is_got_whole_whatever_its_size(driver: StorageDriver) -> None:
    for size_bytes in (65_535, 65_536, 65_537, 1 << 20, 4 << 20):
        content = bytes(range(256)) * (size_bytes // 256 + 1)
        await driver.put("/a", content[:size_bytes])
        assert await driver.get("/a") == content[:size_bytes], size_bytes


async def test_an_object_above_the_limit_is_refused(driver: StorageDriver) -> None:
    for size_bytes, limit_bytes in ((11, 10), (65_536, 65_535), (65_537, 65_536), (200_000, 10)):
        await driver.put("/a", bytes(size_bytes))
        with pytest.raises(StorageUnavailable, match=f"/a: more than {limit_bytes} bytes"):
            await driver.get("/a", limit_bytes=limit_bytes)


async def test_an_object_at_the_limit_is_got(driver: StorageDriver) -> None:
    await driver.put("/a", bytes(70_000))
    assert len(await driver.get("/a", limit_bytes=70_000)) == 70_000


async def test_stat_tells_size_and_time(driver: StorageDriver) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    await driver.put("/a/b", b"12345")
    stat = await driver.stat("/a/b")
    assert (stat.size_bytes, stat.is_folder) == (5, False)
    assert before <= stat.modified_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert stat.modified_at.tzinfo is UTC


async def test_who_asks_for_an_object_only_does_not_find_a_folder(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"12345")
    assert (await driver.stat("/a/b", folder=False)).size_bytes == 5
    for path in ("/a", "/a/none", "/none"):
        with pytest.raises(PathUnknown):
            await driver.stat(path, folder=False)


async def test_a_list_that_tells_sizes_tells_those_of_stat(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"12345")
    await driver.put("/a/c/d", b"")
    entries = {entry.name: entry for entry in await driver.list("/a")}
    assert entries["b"].size_bytes in (None, 5)
    assert entries["c"].size_bytes is None


async def test_stat_of_a_folder_says_so_and_has_no_size(driver: StorageDriver) -> None:
    await driver.put("/a/b/c", b"12345")
    stat = await driver.stat("/a")
    assert stat == Stat(0, stat.modified_at, is_folder=True)


async def test_a_path_that_is_not_there_is_unknown_to_all_that_look(driver: StorageDriver) -> None:
    await driver.put("/a/b/c", b"")
    looks: tuple[Callable[[str], Awaitable[object]], ...] = (
        driver.stat,
        driver.get,
        driver.open,
        lambda path: driver.open(path, is_whole=False),
        driver.list,
        driver.delete,
    )
    for path, look in itertools.product(MISSING, looks):
        with pytest.raises(PathUnknown) as caught:
            await look(path)
        assert caught.value.path == path
    with pytest.raises(PathUnknown):
        await driver.stat("/target")


async def test_a_folder_is_no_object(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"")
    for attempt in (
        driver.get("/a"),
        driver.open("/a"),
    ):
        with pytest.raises(PathUnknown):
            await attempt


async def test_an_object_is_no_folder(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"")
    with pytest.raises(PathUnknown):
        await driver.list("/a/b")


async def test_a_path_outside_the_grammar_never_reaches_the_storage(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"old")
    attempts: tuple[Callable[[str], Awaitable[object]], ...] = (
        driver.stat,
        driver.get,
        lambda path: driver.put(path, b"new"),
        driver.open,
        driver.list,
        lambda path: driver.put_if_absent(path, b"new"),
        lambda path: driver.copy([path], "/target"),
        lambda path: driver.copy(["/a/b"], path),
        driver.delete,
    )
    for path, attempt in itertools.product(HOSTILE, attempts):
        with pytest.raises(StorageUnavailable, match="not a storage path"):
            await attempt(path)
    assert await driver.get("/a/b") == b"old"


async def test_a_name_longer_than_any_backend_has_is_unknown_and_cannot_be_made(driver: StorageDriver) -> None:
    path = f"/a/{'n' * 300}"
    for attempt in (driver.stat(path), driver.get(path), driver.open(path), driver.list(path), driver.delete(path)):
        with pytest.raises(PathUnknown):
            await attempt


async def test_a_deleted_object_is_gone(driver: StorageDriver) -> None:
    await driver.put("/a/b", b"")
    await driver.put("/a/c", b"")
    await driver.delete("/a/b")
    with pytest.raises(PathUnknown):
        await driver.get("/a/b")
    with pytest.raises(PathUnknown):
        await driver.delete("/a/b")
    assert await names_below(driver, "/a") == ["c"]


@pytest.mark.parametrize("durable", [True, False])
async def test_a_deleted_folder_is_gone_with_all_in_it(
    driver: StorageDriver,
    durable: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    for path in ("/a/b/c", "/a/b/d/e/f", "/a/bb"):
        await driver.put(path, b"x")
    await driver.delete("/a/b", durable=durable)
    for path in ("/a/b", "/a/b/c", "/a/b/d/e/f"):
        with pytest.raises(PathUnknown):
            await driver.stat(path)
    assert await names_below(driver, "/a") == ["bb"]


async def test_what_was_deleted_can_be_made_again(driver: StorageDriver) -> None:
    await driver.put("/a/b/c", b"old")
    await driver.delete("/a")
    await driver.put("/a/b/d", b"new")
    assert await names_below(driver, "/a/b") == ["d"]


async def test_probe_leaves_nothing(driver: StorageDriver) -> None:
    await driver.put("/a", b"")
    await driver.probe()
    await driver.delete("/a")


async def test_a_put_without_room_leaves_the_old_content(cramped: FileStorage) -> None:
    await cramped.put("/a/b", b"old")
    with pytest.raises(StorageFull):
        await cramped.put("/a/b", bytes(300_000))
    with pytest.raises(StorageFull):
        await cramped.put("/a/new", bytes(300_000))
    assert await cramped.get("/a/b") == b"old"
    assert await names_below(cramped, "/a") == ["b"]
    await cramped.close()


ODD = ("with space", "host:5000", "[::1]:5000", "a~b", "a\\b", "new\nline", "\u00e4", "\udcff", "%2e%2e", "\uff0e" * 2)


async def test_names_that_no_registry_of_today_gives_are_listed_and_can_be_reached(
    driver: StorageDriver, request: pytest.FixtureRequest
) -> None:
    impossible = IMPOSSIBLE.get(driver.name, ())
    mangled = MANGLED.get(request.node.callspec.params["driver"], ())
    for number, name in enumerate(name for name in ODD if name not in (*impossible, *mangled)):
        await driver.put(f"/{number}/{name}/b", b"content")
        assert await driver.list(f"/{number}") == [FolderEntry(name, is_folder=True)]
        assert await driver.get(f"/{number}/{name}/b") == b"content"
        await driver.delete(f"/{number}/{name}")
        assert not await driver.exists(f"/{number}/{name}/b"), name


async def test_names_that_a_store_cannot_have_are_refused_and_not_there(driver: StorageDriver) -> None:
    for name in IMPOSSIBLE.get(driver.name, ()):
        with pytest.raises(StorageUnavailable):
            await driver.put(f"/a/{name}/b", b"content")
        with pytest.raises(PathUnknown):
            await driver.get(f"/a/{name}/b")


async def test_what_is_there_is_not_replaced_by_what_is_put_if_absent(driver: StorageDriver) -> None:
    assert await driver.put_if_absent("/a/b", b"first")
    assert not await driver.put_if_absent("/a/b", b"second")
    assert await driver.get("/a/b") == b"first"
    await driver.delete("/a/b")
    assert await driver.put_if_absent("/a/b", b"third")
    assert await driver.get("/a/b") == b"third"


async def test_a_copy_has_the_bytes_of_all_its_sources_in_their_order(driver: StorageDriver) -> None:
    sources = {f"/from/{number}": bytes([number]) * size for number, size in enumerate((3, 0, 1 << 20, 70_000))}
    for path, content in sources.items():
        await driver.put(path, content)
    for sizes in ([], [len(content) for content in sources.values()]):
        await driver.put("/to/new/place", b"old")
        await driver.copy(list(sources), "/to/new/place", sizes=sizes)
        assert await driver.get("/to/new/place") == b"".join(sources.values())
    assert await driver.get("/from/0") == bytes(3)


async def test_a_copy_of_what_is_not_there_leaves_the_old_content(driver: StorageDriver) -> None:
    await driver.put("/from", b"x")
    await driver.put("/to/place", b"old")
    for sources in (["/from", "/none"], ["/none"], ["/to"]):
        for sizes in ([], [1] * len(sources)):
            with pytest.raises(PathUnknown):
                await driver.copy(sources, "/to/place", sizes=sizes)
    assert await driver.get("/to/place") == b"old"
    assert await names_below(driver, "/to") == ["place"]
