"""Writers of the file system driver: what fits in part, callers that are cancelled, and who has the lock."""

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.storage.conftest import open_files_below
from moorage.errors import PathUnknown, StorageBusy, StorageFull, StorageUnavailable
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from support.arriving import ArrivingBytes

MIB = 1 << 20


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_piece_that_fits_in_part_is_cut_off_again(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real, answers = os.pwrite, iter([3, 4])

    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        size = next(answers, None)
        if size is None:
            raise OSError(number, "full")
        return real(fd, data[:size], offset)

    writer = await driver.open_writer("/a")
    await writer.write(b"first")
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(StorageFull):
        await writer.write(b"a second piece")
    monkeypatch.undo()
    assert writer.size_bytes == (tmp_path / "a").stat().st_size == 5
    await writer.write(b" third")
    await writer.close()
    assert await driver.get("/a") == b"first third"


async def test_what_is_arriving_and_does_not_fit_is_cut_off_again(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.pwrite, iter(range(3))

    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "full")
        return real(fd, data, offset)

    writer = await driver.open_writer("/a")
    await writer.write(b"first")
    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(StorageFull):
        await writer.write(ArrivingBytes(bytes(MIB)))
    monkeypatch.undo()
    assert writer.size_bytes == (tmp_path / "a").stat().st_size == 5
    await writer.write(ArrivingBytes(b" third"))
    await writer.close()
    assert await driver.get("/a") == b"first third"


async def test_what_is_arriving_is_written_in_whole_pages_while_enough_is_there(
    driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, offsets = os.pwrite, list[int]()

    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        offsets.append(offset)
        return real(fd, data, offset)

    writer = await driver.open_writer("/a")
    await writer.write(b"x" * 1001)
    monkeypatch.setattr(os, "pwrite", pwrite)
    await writer.write(ArrivingBytes(bytes(MIB)))
    monkeypatch.undo()
    await writer.close()
    assert len(offsets) > 2
    assert {offset % 4096 for offset in offsets[1:]} == {0}


async def test_a_piece_that_cannot_be_cut_off_is_counted(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    writer = await driver.open_writer("/a")
    real, sizes = os.pwrite, iter([3])
    # The second call finds no descriptor.
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd if (n := next(sizes, 0)) else -1, data[:n], at))
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(StorageUnavailable):
        await writer.write(b"a piece")
    monkeypatch.undo()
    assert writer.size_bytes == (tmp_path / "a").stat().st_size == 3
    await writer.close()


class Stuck:
    """Holds every ``os.pwrite`` of the driver's threads until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_in, self.may_go_on = threading.Event(), threading.Event()
        real = os.pwrite

        def pwrite(fd: int, data: memoryview, offset: int) -> int:
            self.is_in.set()
            self.may_go_on.wait()
            return real(fd, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)


@pytest.fixture
def stuck(driver: FilesystemDriver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stuck]:
    """Lets go before *driver* waits for its threads, also if the test fails."""
    made = Stuck(monkeypatch)
    yield made
    made.may_go_on.set()


async def test_a_cancelled_write_holds_its_caller_until_it_is_done(driver: FilesystemDriver, stuck: Stuck) -> None:
    writer = await driver.open_writer("/a")
    task = asyncio.ensure_future(writer.write(bytes(MIB)))
    await asyncio.to_thread(stuck.is_in.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.005)
    assert not task.done()
    with pytest.raises(StorageBusy):
        await driver.open_writer("/a", append=True)
    stuck.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await writer.close()
    assert (await driver.stat("/a")).size_bytes == writer.size_bytes == MIB


async def test_a_writer_closed_under_a_write_closes_after_it(
    driver: FilesystemDriver, stuck: Stuck, tmp_path: Path
) -> None:
    writer = await driver.open_writer("/a")
    task = asyncio.ensure_future(writer.write(bytes(MIB)))
    await asyncio.to_thread(stuck.is_in.wait)
    await writer.close()
    assert open_files_below(tmp_path) == [str(tmp_path / "a")]
    stuck.may_go_on.set()
    await task
    assert (await driver.stat("/a")).size_bytes == MIB
    await driver.close()
    assert open_files_below(tmp_path) == []


async def test_a_call_that_has_not_begun_is_dropped_when_its_caller_is_cancelled(
    driver: FilesystemDriver, stuck: Stuck
) -> None:
    driver._threads._limit = 1
    first = asyncio.ensure_future(driver.put("/first", b"x"))
    await asyncio.to_thread(stuck.is_in.wait)
    second = asyncio.ensure_future(driver.put("/second", b"x"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    stuck.may_go_on.set()
    await first
    with pytest.raises(PathUnknown):
        await driver.get("/second")


async def test_a_closed_writer_and_a_closed_reader_touch_no_other_file(driver: FilesystemDriver) -> None:
    writer = await driver.open_writer("/a")
    await writer.close()
    with pytest.raises(StorageUnavailable, match="EBADF"):
        await writer.write(b"x")
    await driver.put("/a", b"content")
    reader = await driver.open("/a")
    reader.close()
    assert reader.fileno() == -1
    with pytest.raises(StorageUnavailable, match="EBADF"):
        [piece async for piece in reader.chunks()]


@pytest.mark.parametrize("append", [True, False])
async def test_an_object_that_was_moved_before_it_could_be_locked_is_left_alone(
    driver: FilesystemDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    append: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    await driver.put("/a", b"content")
    real = fcntl.flock

    def flock(fd: int, operation: int) -> None:
        if (tmp_path / "a").exists() and not (tmp_path / "moved").exists():
            (tmp_path / "a").rename(tmp_path / "moved")
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    if append:
        with pytest.raises(PathUnknown):
            await driver.open_writer("/a", append=True)
    else:
        writer = await driver.open_writer("/a")
        await writer.write(b"new")
        await writer.close()
        assert await driver.get("/a") == b"new"
    assert await driver.get("/moved") == b"content"


async def test_a_writer_of_another_process_keeps_ours_out(driver: FilesystemDriver, tmp_path: Path) -> None:
    await driver.put("/a", b"content")
    script = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, tmp_path / "a", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        await other.stdout.readline()
        with pytest.raises(StorageBusy):
            await driver.open_writer("/a", append=True)
    finally:
        other.kill()
        await other.communicate()
    await (await driver.open_writer("/a", append=True)).close()


async def test_an_empty_object_is_made_also_where_only_an_administrator_may_make_nodes(
    driver: FilesystemDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.make_empty("/some/first")

    def mknod(path: str, mode: int) -> None:
        raise PermissionError(errno.EPERM, "no", path, mode)

    monkeypatch.setattr(os, "mknod", mknod)
    await driver.make_empty("/some/second")
    first, second = ((tmp_path / "some" / name).stat() for name in ("first", "second"))
    assert (first.st_size, second.st_size, first.st_mode) == (0, 0, second.st_mode)
    with pytest.raises(StorageUnavailable):
        await driver.make_empty("/some/first")


async def test_what_is_found_on_a_volume_that_went_is_added_to_and_never_given_its_place(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    await driver.put("/note", b"this one")
    await driver.make_empty("/upload")
    driver.watch("/note", b"this one")
    (tmp_path / "note").unlink()
    async with asyncio.timeout(30):
        writer = await driver.open_writer("/upload", append=True)
        await writer.write(b"bytes")
        with pytest.raises(StorageUnavailable, match="mounted"):
            await driver.place("/upload", "/blob", writer=writer)
        await writer.close()
        with pytest.raises(StorageUnavailable, match="mounted"):
            await driver.open_writer("/another", append=True)
    assert not (tmp_path / "blob").exists()
