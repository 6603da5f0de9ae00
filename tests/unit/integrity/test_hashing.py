"""Hashing in threads: what comes out, what an error of the disk becomes, and how fast it may go."""

import asyncio
import errno
import os
import random
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.integrity.hashing import Hashing, HashingPace
from moorage.oci.digests import Digest
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from support.clock import Clock

SIZES = (0, 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3 << 20)


@pytest.fixture(params=["filesystem", "inmemory"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    made = FilesystemDriver(tmp_path, fsync=False) if request.param == "filesystem" else MemoryDriver()
    yield made
    await made.close()


async def test_digests_are_those_of_the_bytes(storage: StorageDriver) -> None:
    contents = [random.Random(size).randbytes(size) for size in SIZES]
    for number, content in enumerate(contents):
        await storage.put(f"/{number}", content)
    hashing = Hashing(storage, threads=2, pace=HashingPace(None))
    for algorithm in ("sha256", "sha512"):
        made = await asyncio.gather(*(hashing.digest(f"/{number}", algorithm) for number in range(len(SIZES))))
        assert made == [Digest.of(content, algorithm) for content in contents]
    with pytest.raises(PathUnknown):
        await hashing.digest("/never", "sha256")
    hashing.close()


async def test_an_error_of_the_disk_in_the_middle_is_told_and_the_next_file_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = FilesystemDriver(tmp_path, fsync=False)
    await storage.put("/bad", b"x" * (1 << 20))
    await storage.put("/good", b"y")
    read = os.preadv

    def failing(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        if offset >= 512 << 10:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    hashing = Hashing(storage, threads=1, pace=HashingPace(None))
    with pytest.raises(StorageUnavailable, match=r"/bad: Input/output error \(EIO\)"):
        await hashing.digest("/bad", "sha256")
    assert await hashing.digest("/good", "sha256") == Digest.of(b"y")
    hashing.close()
    await storage.close()


async def test_no_more_files_are_read_at_once_than_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FilesystemDriver(tmp_path, fsync=False)
    for number in range(40):
        await storage.put(f"/{number}", b"x" * number)
    at_once, most, lock = 0, 0, threading.Lock()
    read = os.preadv

    def counted(fd: int, buffers: Sequence[memoryview], offset: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        try:
            return read(fd, buffers, offset)
        finally:
            with lock:
                at_once -= 1

    monkeypatch.setattr(os, "preadv", counted)
    hashing = Hashing(storage, threads=2, pace=HashingPace(None))
    await asyncio.gather(*(hashing.digest(f"/{number}", "sha256") for number in range(40)))
    assert 1 <= most <= 2
    hashing.close()
    await storage.close()


async def test_whoever_stops_it_does_not_wait_for_a_slow_pace(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path, fsync=False)
    await storage.put("/large", b"x" * (2 << 20))
    hashing = Hashing(storage, threads=1, pace=HashingPace(1.0))  # Days.
    task = asyncio.create_task(hashing.digest("/large", "sha256"))
    await asyncio.sleep(0.05)
    hashing.stop()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(30):
            await task
    hashing.close()
    await storage.close()


class TestPace:
    def test_the_first_bytes_go_at_once_and_the_next_wait_for_them(self) -> None:
        clock = Clock(100.0)
        pace = HashingPace(1000, clock=clock)
        assert [pace.wait_s(500) for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]
        clock.now += 1.0
        assert pace.wait_s(500) == 1.0

    def test_a_pause_is_not_saved_up(self) -> None:
        clock = Clock(100.0)
        pace = HashingPace(1000, clock=clock)
        pace.wait_s(1000)
        clock.now += 3600
        assert [pace.wait_s(1000) for _ in range(3)] == [0.0, 1.0, 2.0]

    def test_without_a_rate_nobody_waits(self) -> None:
        pace = HashingPace(None)
        assert {pace.wait_s(1 << 40) for _ in range(5)} == {0.0}

    def test_threads_share_it(self) -> None:
        pace = HashingPace(1000, clock=Clock(100.0))
        waits: list[float] = []
        threads = [threading.Thread(target=lambda: waits.append(pace.wait_s(100))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(waits) == pytest.approx([number / 10 for number in range(20)])
