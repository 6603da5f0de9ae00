"""What is on the disk when an operation returns, in which order it got there, and what a crash leaves."""

import asyncio
import errno
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.storage.conftest import temporaries_below
from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.storage.disk import Disk, Killed

BLOB = "/blobs/ab/abcd/data"


async def upload(driver: FilesystemDriver, content: bytes = b"content") -> None:
    writer = await driver.open_writer("/uploads/1/data")
    await writer.write(content)
    await writer.close()


async def test_put_syncs_the_bytes_before_the_name_and_every_new_folder(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put(BLOB, b"content")
    assert disk.changes() == [
        ("mkdir", "/blobs/ab/abcd"),  # Most often that is all: here the ones above are not there yet either.
        ("mkdir", "/blobs"),
        ("mkdir", "/blobs/ab"),
        ("mkdir", "/blobs/ab/abcd"),
        ("fsync", "/blobs/ab/abcd/~"),
        ("rename", BLOB),
        ("fsync", "/blobs/ab/abcd"),
        ("fsync", "/blobs/ab"),
        ("fsync", "/blobs"),
        ("fsync", "/"),
    ]
    assert disk.lost(BLOB) == []


async def test_a_known_folder_is_not_synced_for_nothing(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put("/a/b/one", b"")
    await driver.put("/a/b/two", b"")
    disk.calls.clear()
    await driver.put("/a/b/three", b"")
    assert disk.changes() == [("fsync", "/a/b/~"), ("rename", "/a/b/three"), ("fsync", "/a/b")]
    assert disk.lost("/a/b/three") == []


async def test_a_new_folder_in_a_known_one_costs_one_sync_more(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put("/a/b/one/link", b"")
    disk.calls.clear()
    await driver.put("/a/b/two/link", b"")
    assert [call for call in disk.changes() if call[0] == "fsync"] == [
        ("fsync", "/a/b/two/~"),
        ("fsync", "/a/b/two"),
        ("fsync", "/a/b"),
    ]
    assert disk.lost("/a/b/two/link") == []


async def test_a_put_that_need_not_last_syncs_nothing(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put("/a/b", b"", durable=False)
    assert "fsync" not in [call for call, _ in disk.calls]


async def test_folders_of_a_put_that_need_not_last_are_synced_by_the_next_that_does(
    driver: FilesystemDriver, disk: Disk
) -> None:
    await driver.put("/a/b/note", b"", durable=False)
    await driver.put("/a/b/link", b"")
    assert disk.lost("/a/b/link") == []


async def test_without_fsync_nothing_is_synced(tmp_path: Path, disk: Disk) -> None:
    driver = FilesystemDriver(tmp_path, fsync=False)
    await driver.put("/a/b", b"")
    await upload(driver)
    await driver.move("/uploads/1/data", BLOB)
    await driver.delete("/a")
    await driver.probe()
    await driver.close()
    assert "fsync" not in [call for call, _ in disk.calls]


@pytest.mark.parametrize("is_open", [False, True])
async def test_move_syncs_the_bytes_then_renames_then_syncs_the_folders(
    driver: FilesystemDriver,
    disk: Disk,
    is_open: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await upload(driver, bytes(100_000))
    writer = await driver.open_writer("/uploads/1/data", append=True) if is_open else None
    disk.calls.clear()
    await driver.move("/uploads/1/data", BLOB, writer=writer)
    if writer is not None:
        await writer.close()
    assert [call for call in disk.changes() if call != ("rename", BLOB)] == [
        ("fsync", "/uploads/1/data"),
        ("mkdir", "/blobs/ab/abcd"),  # Most often that is all: here the ones above are not there yet either.
        ("mkdir", "/blobs/ab/abcd"),
        ("mkdir", "/blobs"),
        ("mkdir", "/blobs/ab"),
        ("mkdir", "/blobs/ab/abcd"),
        ("fsync", "/blobs/ab/abcd"),
        ("fsync", "/blobs/ab"),
        ("fsync", "/blobs"),
        ("fsync", "/"),
    ]
    assert disk.changes()[-5] == ("rename", BLOB)
    assert disk.lost(BLOB) == []


async def test_a_deleted_object_is_off_the_disk_on_return(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put("/a/b", b"")
    disk.calls.clear()
    await driver.delete("/a/b")
    assert disk.changes() == [("unlink", "/a/b"), ("fsync", "/a")]


async def test_a_deleted_folder_loses_its_name_first_and_its_content_last(driver: FilesystemDriver, disk: Disk) -> None:
    await driver.put("/a/b/c", b"")
    disk.calls.clear()
    await driver.delete("/a/b")
    assert disk.changes()[:2] == [("rename", "/a/~"), ("fsync", "/a")]
    assert [call for call, _ in disk.changes()[2:]] == ["unlink", "rmdir"]


@pytest.mark.parametrize("is_other_process", [False, True])
async def test_who_finds_a_folder_that_its_maker_has_not_synced_syncs_it(
    driver: FilesystemDriver,
    disk: Disk,
    tmp_path: Path,
    is_other_process: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    other = FilesystemDriver(tmp_path) if is_other_process else driver
    is_made, may_go_on = threading.Event(), threading.Event()

    def stop_the_maker(call: str, path: str) -> None:
        if call == "fsync" and path == "/a/b" and not is_made.is_set():
            is_made.set()
            may_go_on.wait()

    disk.before = stop_the_maker
    maker = asyncio.ensure_future(driver.put("/a/b/maker", b""))
    try:
        await asyncio.to_thread(is_made.wait)
        await other.put("/a/b/finder", b"")
        assert disk.lost("/a/b/finder") == []
    finally:
        may_go_on.set()
        await maker
    if is_other_process:
        await other.close()


async def test_a_known_folder_that_another_process_made_anew_is_not_taken_for_the_old(
    driver: FilesystemDriver, disk: Disk, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await driver.put(f"/a/b/{name}", b"")
    other = FilesystemDriver(tmp_path)
    await other.delete("/a")
    await other.put("/a/b/new", b"", durable=False)
    await driver.put("/a/b/three", b"")
    assert disk.lost("/a/b/three") == []
    await other.close()


async def test_only_so_many_folders_are_held_open(tmp_path: Path, disk: Disk) -> None:
    driver = FilesystemDriver(tmp_path)
    driver._settled._held._limit = 10
    for number in range(30):
        await driver.put(f"/{number}/a/b", b"")
        assert disk.lost(f"/{number}/a/b") == []
    assert len(driver._settled._held) == 10
    await driver.close()
    assert len(driver._settled._held) == 0


async def test_a_new_root_is_itself_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    await FilesystemDriver(tmp_path / "new" / "root").close()
    assert set(synced) == {str(tmp_path), str(tmp_path / "new")}


async def test_a_file_system_that_cannot_sync_folders_is_taken_as_it_is(driver: FilesystemDriver, disk: Disk) -> None:
    def refuse_folders(number: int, call: str) -> OSError | None:
        is_folder = call == "fsync" and disk.calls[number - 1][0] == "open" and "~" not in disk.calls[number - 1][1]
        return OSError(errno.EINVAL, "no") if is_folder else None

    disk.fault = refuse_folders
    await driver.put("/a/b", b"content")
    assert await driver.get("/a/b") == b"content"


async def test_bytes_that_could_not_be_synced_are_not_trusted_again(driver: FilesystemDriver, disk: Disk) -> None:
    await upload(driver)
    disk.fault = lambda _, call: OSError(errno.EIO, "broken") if call == "fsync" else None
    with pytest.raises(StorageUnavailable, match=r"/uploads/1/data: broken \(EIO\)"):
        await driver.move("/uploads/1/data", BLOB)
    for path in ("/uploads/1/data", BLOB):
        with pytest.raises(PathUnknown):
            await driver.stat(path)


Operation = Callable[[FilesystemDriver], Awaitable[None]]

OPERATIONS: dict[str, tuple[Operation, bool]] = {
    "put new": (lambda driver: driver.put("/new/folder/object", b"new"), True),
    "put over": (lambda driver: driver.put("/a/object", b"new"), True),
    "put for a while": (lambda driver: driver.put("/a/object", b"new", durable=False), True),
    "move new": (lambda driver: driver.move("/source", "/new/folder/object"), True),
    "move over": (lambda driver: driver.move("/source", "/a/object"), True),
    "delete": (lambda driver: driver.delete("/a/object"), True),
    "delete folder": (lambda driver: driver.delete("/a"), False),
}
"""What may be interrupted, and whether an error in it leaves no temporary."""


async def contents(driver: FilesystemDriver) -> dict[str, bytes]:
    """All that can be found by listing."""
    found: dict[str, bytes] = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        # The root has no path, so its folders are known here.
        names = await driver.list(folder) if folder else None
        tops = [("a", True), ("new", True), ("source", False)]
        for name, is_folder in tops if names is None else [(entry.name, entry.is_folder) for entry in names]:
            try:
                if is_folder:
                    await driver.list(f"{folder}/{name}")
                    folders.append(f"{folder}/{name}")
                else:
                    found[f"{folder}/{name}"] = await driver.get(f"{folder}/{name}")
            except PathUnknown:
                assert not folder, "what is listed is there"
    return found


class Disturbance:
    """Runs an operation again and again on a new tree, and disturbs one more call later each time."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, operation: str, failure: BaseException) -> None:
        self.root = root
        self.monkeypatch = monkeypatch
        self.operation, self.leaves_nothing = OPERATIONS[operation]
        self.is_move = operation.startswith("move")
        self.failure = failure

    async def run_all(self) -> None:
        whole = await self.filled(self.root / "whole", fsync=False)
        await self.operation(whole)
        after = await contents(whole)
        await whole.close()
        fault = 0
        while await self.run(fault, after):
            fault += 1
        assert fault > 2, "no call was disturbed"

    async def run(self, fault: int, whole: dict[str, bytes]) -> bool:
        """Disturb call number *fault*, and say whether there was one. *whole* is what an undisturbed run leaves."""
        root = self.root / str(fault)
        driver = await self.filled(root)
        before = await contents(driver)
        with self.monkeypatch.context() as patch:
            disk = Disk(root, patch)
            disk.fault = lambda number, _call: self.failure if number == fault else None
            (outcome,) = await asyncio.gather(self.operation(driver), return_exceptions=True)
            reached = len(disk.calls) > fault
        assert outcome is None or reached
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, Killed if isinstance(self.failure, Killed) else StorageFull)
        allowed = [before, whole]
        if self.is_move:  # Bytes that may not be on the disk are given up.
            allowed.append({path: content for path, content in before.items() if path != "/source"})
        assert await contents(driver) in allowed
        await driver.close()
        return reached

    async def filled(self, root: Path, *, fsync: bool = True) -> FilesystemDriver:
        driver = FilesystemDriver(root, fsync=fsync)
        for path in ("/a/object", "/a/other", "/a/below/other", "/source"):
            await driver.put(path, b"old" if path == "/a/object" else b"other", durable=False)
        return driver


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_crash_before_any_call_leaves_the_old_or_the_new(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Disturbance(tmp_path, monkeypatch, operation, Killed()).run_all()


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_full_disk_at_any_call_leaves_the_old_or_the_new(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbance = Disturbance(tmp_path, monkeypatch, operation, OSError(errno.ENOSPC, "full"))
    await disturbance.run_all()
    if disturbance.leaves_nothing:
        assert temporaries_below(tmp_path) == []
