"""The file system driver where it is more than the interface: threads, links, modes, foreign files, crashes."""

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contract.storage.conftest import temporaries_below
from moorage.errors import PathUnknown, StorageFull, StorageUnavailable
from moorage.storage.base import FolderEntry
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

MIB = 1 << 20


def storage_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("storage")]


async def test_small_reads_and_session_folders_start_no_thread(driver: FilesystemDriver, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(60_000))
    before = storage_threads()
    await driver.stat("/a")
    await driver.get("/a")
    with await driver.open("/a") as reader:
        assert len([piece async for piece in reader.chunks()]) == 1
    writer = await driver.open_writer("/a", append=True)
    await writer.write(b"a small piece")
    await writer.close()
    await (await driver.open_writer("/session/data")).close()
    await driver.delete("/session/data", durable=False)
    await driver.delete("/session", durable=False)
    with pytest.raises(PathUnknown):
        await driver.list("/a")
    assert storage_threads() == before


@pytest.mark.parametrize(
    "operation",
    [
        lambda driver: driver.put("/a/b/c", bytes(MIB)),
        lambda driver: driver.move("/source", "/a/b/c"),
        lambda driver: driver.delete("/folder"),
        lambda driver: driver.probe(),
        lambda driver: driver.get("/large"),
    ],
    ids=["put", "move", "delete", "probe", "get"],
)
async def test_what_waits_for_the_disk_goes_to_a_thread_once(
    operation: Callable[[FilesystemDriver], Awaitable[object]],
    driver: FilesystemDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in ("/source", "/folder/one", "/folder/two"):
        await driver.put(path, b"", durable=False)
    await driver.put("/large", bytes(MIB), durable=False)
    submitted: list[object] = []
    submit = driver._threads.submit

    def counted(*args: object, **kwargs: object) -> object:
        submitted.append(args[0])
        return submit(*args, **kwargs)  # type: ignore[arg-type] # what came is passed on

    monkeypatch.setattr(driver._threads, "submit", counted)
    await operation(driver)
    assert len(submitted) == 1


async def test_modes_are_those_of_the_umask(tmp_path: Path, driver: FilesystemDriver) -> None:
    umask = os.umask(0o027)
    try:
        await driver.put("/a/b", b"")
        await (await driver.open_writer("/a/c/d")).close()
    finally:
        os.umask(umask)
    modes = {path.name: oct((tmp_path / path).stat().st_mode & 0o777) for path in map(Path, ("a", "a/b", "a/c/d"))}
    assert modes == {"a": "0o750", "b": "0o640", "d": "0o640"}


async def test_links_that_an_administrator_made_are_followed(tmp_path: Path) -> None:
    (tmp_path / "disk1").mkdir()
    (tmp_path / "disk2").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "disk1")
    (tmp_path / "disk1" / "blobs").symlink_to(tmp_path / "disk2")
    driver = FilesystemDriver(tmp_path / "root")
    await driver.put("/blobs/a", b"content")
    await driver.put("/uploads/b", b"other")
    await driver.move("/uploads/b", "/blobs/b")
    assert (tmp_path / "disk2" / "a").read_bytes() == b"content"
    assert await driver.list("/blobs") == [FolderEntry("a", is_folder=False), FolderEntry("b", is_folder=False)]
    assert (await driver.stat("/blobs")).is_folder
    await driver.close()


async def test_deleting_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "outside" / "folder").mkdir(parents=True)
    (tmp_path / "outside" / "folder" / "kept").write_bytes(b"kept")
    driver = FilesystemDriver(tmp_path / "root")
    await driver.put("/a/object", b"")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside" / "folder")
    (tmp_path / "root" / "a" / "link").symlink_to(tmp_path / "outside" / "folder")
    await driver.delete("/link")
    await driver.delete("/a")
    assert (tmp_path / "outside" / "folder" / "kept").read_bytes() == b"kept"
    assert list((tmp_path / "root").iterdir()) == []
    await driver.close()


async def test_a_link_that_leads_nowhere_is_unknown_and_cannot_be_written_below(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PathUnknown):
        await driver.get("/link")
    with pytest.raises(StorageUnavailable, match="ENOENT"):
        await driver.put("/link/below", b"")


async def test_all_names_but_those_of_temporaries_are_listed(driver: FilesystemDriver, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    names = [b"proper", b"with space", b"\xff\xfe", "\u00e4".encode(), b"new\nline", b"a~b"]
    for name in (*names, b".~0123456789abcdef"):
        os.close(os.open(os.fsencode(tmp_path) + b"/f/" + name, os.O_CREAT))
    assert {os.fsencode(entry.name) for entry in await driver.list("/f")} == set(names)


async def test_memory_of_a_list_grows_with_its_limit(driver: FilesystemDriver, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for number in range(2_500):
        (tmp_path / "f" / f"a-name-of-some-length-{number}").touch()
    await driver.list("/f", limit=1)
    tracemalloc.start()
    try:
        await driver.list("/f", limit=10)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000 * 500, "a name and its entry take some 300 bytes, and only the first 1000 are gathered"


async def test_a_file_that_shrinks_under_its_reader_is_a_failure_not_an_end(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(bytes(200_000))
    with await driver.open("/a") as reader:
        os.truncate(tmp_path / "a", 150_000)
        with pytest.raises(StorageUnavailable, match="/a: ends at 150000, had 200000 bytes"):
            [piece async for piece in reader.chunks()]


async def test_a_process_killed_while_it_writes_leaves_whole_objects(tmp_path: Path) -> None:
    script = """
        import asyncio, pathlib, sys
        from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
        async def main():
            driver = FilesystemDriver(pathlib.Path(sys.argv[1]))
            number = 0
            while True:
                number += 1
                await driver.put(f"/put/{number % 7}/object", b"%08d" % number * 5_000)
                writer = await driver.open_writer(f"/uploads/{number}/data")
                await writer.write(b"%08d" % number * 20_000)
                await driver.move(f"/uploads/{number}/data", f"/moved/{number % 7}/data")
                await writer.close()
                await driver.delete(f"/uploads/{number}")
                if number == 8:
                    print(flush=True)
        asyncio.run(main())
    """
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), tmp_path, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        await other.stdout.readline()
        await asyncio.sleep(0.02)
    finally:
        other.kill()
        await other.communicate()
    driver = FilesystemDriver(tmp_path)
    for top, name, repeats in (("put", "object", 5_000), ("moved", "data", 20_000)):
        for entry in await driver.list(f"/{top}"):
            assert [found.name for found in await driver.list(f"/{top}/{entry.name}")] in ([name], [])
            content = await driver.get(f"/{top}/{entry.name}/{name}")
            assert content == content[:8] * repeats
    await driver.close()


async def test_probe_says_that_there_is_no_room_before_there_is_none(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = os.statvfs("/")
    full = os.statvfs_result((*room[:4], MIB // room.f_frsize - 1, *room[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StorageFull, match="the last 1048576 are kept for deletions"):
        await driver.probe()


async def test_probe_says_that_there_is_no_room_where_hardly_any_file_can_be_made(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = os.statvfs("/")
    full = os.statvfs_result((*room[:5], 10_000, 63, 63, *room[8:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StorageFull, match="63 more files can be made, and the last 64 are kept for deletions"):
        await driver.probe()
    countless = os.statvfs_result((*room[:5], 0, 0, 0, *room[8:]))  # As Btrfs says it.
    monkeypatch.setattr(os, "statvfs", lambda _: countless)
    await driver.probe()


async def test_probe_fails_where_the_root_is_gone(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path / "root")
    (tmp_path / "root").rmdir()
    with pytest.raises(StorageUnavailable, match="root"):
        await driver.probe()
    await driver.close()


async def test_probe_notices_bytes_that_come_back_changed(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(len(data)), offset))
    with pytest.raises(StorageUnavailable, match="what was read is not what was written"):
        await driver.probe()
    assert temporaries_below(tmp_path) == []


def test_a_root_that_cannot_be_made_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match=r"file/root.*ENOTDIR"):
        FilesystemDriver(tmp_path / "file" / "root")


async def test_the_root_of_all_can_be_the_root(tmp_path: Path) -> None:
    driver = FilesystemDriver(Path("/"))
    path = f"{tmp_path}/a"
    await driver.put(path, b"content")
    assert await driver.get(path) == b"content"
    await driver.delete(path)
    await driver.close()
