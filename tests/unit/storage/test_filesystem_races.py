"""The file system driver where another process comes in between, or something odd lies in the way."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.storage.conftest import temporaries_below
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.filesystem import conditional_removal, folders
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

LINK = "/tags/a/current/link"


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let another process do these, each behind one of the looks that a removal takes at what it removes."""

    def let(*works: Callable[[], object]) -> None:
        left, says = list(works), conditional_removal.says

        def says_and_lets(target: str, content: bytes) -> bool:
            found = says(target, content)
            if left:
                left.pop(0)()
            return found

        monkeypatch.setattr(conditional_removal, "says", says_and_lets)

    return let


def put(path: Path, content: str) -> Callable[[], object]:
    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return write


async def delete_old(driver: FilesystemDriver) -> bool:
    return await driver.delete_saying("/tags/a", b"old", where=LINK)


async def test_a_tag_that_is_moved_while_it_is_deleted_stays(
    driver: FilesystemDriver, tmp_path: Path, between: Callable[..., None]
) -> None:
    await driver.put(LINK, b"old")
    between(put(tmp_path / LINK[1:], "new"))
    assert not await delete_old(driver)
    assert await driver.get(LINK) == b"new"
    assert temporaries_below(tmp_path) == []


@pytest.mark.parametrize(("made", "left"), [("current/link", b"newest"), ("index/sha256/1/link", b"new")])
async def test_a_tag_that_is_moved_twice_while_it_is_deleted_is_what_came_last(
    made: str, left: bytes, driver: FilesystemDriver, tmp_path: Path, *, between: Callable[..., None]
) -> None:
    """The second push finds no folder, as it is just being looked at, and makes it anew, or has begun to."""
    await driver.put(LINK, b"old")
    between(put(tmp_path / LINK[1:], "new"), put(tmp_path / "tags/a" / made, "newest"))
    assert not await delete_old(driver)
    assert await driver.get(LINK) == left
    assert await driver.get(f"/tags/a/{made}") == b"newest"
    assert temporaries_below(tmp_path) == []


async def test_a_tag_that_another_has_deleted_meanwhile_was_not_deleted_here(
    driver: FilesystemDriver, tmp_path: Path, between: Callable[..., None]
) -> None:
    await driver.put(LINK, b"old")
    between(lambda: shutil.rmtree(tmp_path / "tags/a"))
    assert not await delete_old(driver)


async def test_a_folder_in_the_place_of_a_link_says_nothing(driver: FilesystemDriver) -> None:
    await driver.put(f"{LINK}/oddity", b"old")
    assert not await delete_old(driver)
    assert await driver.get(f"{LINK}/oddity") == b"old"


@pytest.mark.parametrize(
    "operation",
    [
        lambda driver: driver.put_if_absent("/odd/a", b"x"),
        lambda driver: driver.delete_each(["/odd/a"]),
        lambda driver: driver.delete_saying("/odd", b"x", where="/odd/a"),
    ],
    ids=["put_if_absent", "delete_each", "delete_saying"],
)
async def test_what_would_be_changed_through_a_link_to_itself_is_a_failure_that_names_its_path(
    operation: Callable[[FilesystemDriver], Awaitable[object]], driver: FilesystemDriver, tmp_path: Path
) -> None:
    (tmp_path / "fine").write_bytes(b"x")
    (tmp_path / "odd").symlink_to("odd")
    with pytest.raises(StorageUnavailable, match=r"/odd.*ELOOP"):
        await operation(driver)


async def test_what_goes_before_it_is_moved_is_not_there(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.put("/a", b"x")
    real = folders.in_folder

    def too_late(folder: str, act: Callable[[], None]) -> bool:
        (tmp_path / "a").unlink(missing_ok=True)
        return real(folder, act)

    monkeypatch.setattr("moorage.storage.filesystem.filesystem_driver.in_new_folder", too_late)
    with pytest.raises(PathUnknown):
        await driver.move("/a", "/b/c")
