"""What only file systems can keep: renaming, and a path that is an object or a folder, never both."""

import pytest

from contract.storage.test_objects import HOSTILE, MISSING
from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.file_storage import FileStorage


async def test_an_object_cannot_take_the_place_of_a_folder(files: FileStorage) -> None:
    await files.put("/a/b", b"old")
    await files.put("/c", b"")
    for attempt in (files.put("/a", b""), files.open_writer("/a"), files.move("/c", "/a")):
        with pytest.raises(StorageUnavailable, match="/a"):
            await attempt
    assert await files.get("/a/b") == b"old"
    assert await files.get("/c") == b""


async def test_an_object_cannot_be_put_below_another(files: FileStorage) -> None:
    await files.put("/a", b"old")
    await files.put("/c", b"")
    for attempt in (files.put("/a/b", b""), files.open_writer("/a/b/c"), files.move("/c", "/a/b")):
        with pytest.raises(StorageUnavailable, match="/a/b"):
            await attempt
    assert await files.get("/a") == b"old"
    assert await files.get("/c") == b""


async def test_move_makes_the_source_the_target(files: FileStorage) -> None:
    await files.put("/from/here", b"content")
    await files.move("/from/here", "/to/a/new/place")
    assert await files.get("/to/a/new/place") == b"content"
    with pytest.raises(PathUnknown):
        await files.stat("/from/here")


async def test_move_replaces(files: FileStorage) -> None:
    await files.put("/source", b"new")
    await files.put("/target", b"the old content")
    await files.move("/source", "/target")
    assert await files.get("/target") == b"new"
    with pytest.raises(PathUnknown):
        await files.get("/source")


async def test_move_onto_itself_changes_nothing(files: FileStorage) -> None:
    await files.put("/a", b"content")
    await files.move("/a", "/a")
    assert await files.get("/a") == b"content"


async def test_what_is_deleted_or_replaced_makes_room(cramped: FileStorage) -> None:
    for _ in range(3):
        await cramped.put("/a/b", bytes(90_000))
        await cramped.put("/a/c", bytes(90_000))
        await cramped.move("/a/c", "/a/b")
        await cramped.delete("/a")
    await cramped.close()


@pytest.mark.parametrize("path", MISSING)
async def test_what_is_not_there_is_neither_moved_nor_appended_to(files: FileStorage, path: str) -> None:
    await files.put("/a/b/c", b"")
    for attempt in (files.open_writer(path, append=True), files.move(path, "/target")):
        with pytest.raises(PathUnknown) as caught:
            await attempt
        assert caught.value.path == path
    assert not await files.exists("/target")


async def test_a_folder_is_neither_moved_nor_appended_to(files: FileStorage) -> None:
    await files.put("/a/b", b"")
    for attempt in (files.open_writer("/a", append=True), files.move("/a", "/target")):
        with pytest.raises(PathUnknown):
            await attempt


@pytest.mark.parametrize("path", HOSTILE)
async def test_a_path_outside_the_grammar_is_neither_written_nor_moved(files: FileStorage, path: str) -> None:
    await files.put("/a/b", b"old")
    for attempt in (
        files.open_writer(path),
        files.open_writer(path, append=True),
        files.move(path, "/target"),
        files.move("/a/b", path),
    ):
        with pytest.raises(StorageUnavailable, match="not a storage path"):
            await attempt
    assert await files.get("/a/b") == b"old"
