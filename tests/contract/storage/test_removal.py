"""Many objects removed at once, as a collector removes bytes."""

import itertools
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.base import Capability, StorageDriver, clock
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

A, B, C = (f"/blobs/sha256/aa/{name}/data" for name in ("a", "b", "c"))
LATER = float("inf")


async def test_what_is_removed_is_gone_and_what_is_not_there_counts_as_removed(driver: StorageDriver) -> None:
    await driver.put(A, b"a")
    await driver.put(B, b"b")
    assert await driver.remove([A, C, "/never/there/data"], until=LATER) == {}
    assert not await driver.exists(A)
    assert await driver.get(B) == b"b"
    assert await driver.remove([A], until=LATER) == {}


async def test_nothing_to_remove_is_no_failure(driver: StorageDriver) -> None:
    assert await driver.remove([], until=LATER) == {}


async def test_nothing_is_removed_when_its_time_is_over(driver: StorageDriver) -> None:
    await driver.put(A, b"a")
    await driver.put(B, b"b")
    failures = await driver.remove([A, B], until=clock())
    assert set(failures) == {A, B}
    assert all(isinstance(failure, StorageUnavailable) for failure in failures.values())
    assert (await driver.get(A), await driver.get(B)) == (b"a", b"b")


async def test_the_same_object_twice_is_removed_once(driver: StorageDriver) -> None:
    await driver.put(A, b"a")
    assert await driver.remove([A, A], until=LATER) == {}


async def test_an_object_may_come_back_at_once(driver: StorageDriver) -> None:
    await driver.put(A, b"a")
    await driver.remove([A], until=LATER)
    await driver.put(A, b"again")
    assert await driver.get(A) == b"again"


async def test_an_upload_whose_objects_are_removed_is_listed_no_more(driver: StorageDriver) -> None:
    uploads = "/docker/registry/v2/repositories/a/_uploads"
    for name in ("one/startedat", "one/data", "two/startedat"):
        await driver.put(f"{uploads}/{name}", b"x")
    assert await driver.remove([f"{uploads}/one/startedat", f"{uploads}/one/data"], until=LATER) == {}
    assert [entry.name for entry in await driver.list(uploads)] == ["two"]


async def test_folders_that_held_nothing_else_go_too_and_others_stay(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    await driver.put(A, b"a")
    await driver.put(B, b"b")
    await driver.put(B.replace("data", "note"), b"n")
    assert await driver.remove([A, B], until=LATER) == {}
    assert not (tmp_path / "blobs/sha256/aa/a").exists()
    assert (tmp_path / "blobs/sha256/aa/b/note").read_bytes() == b"n"
    await driver.close()


async def test_one_that_cannot_be_removed_does_not_stop_the_others(tmp_path: Path) -> None:
    driver = FilesystemDriver(tmp_path)
    for path in (A, B):
        await driver.put(path, b"x")
    await driver.put(f"{C}/inside", b"x")  # A folder where a file should be.
    failures = await driver.remove([A, C, B], until=LATER)
    assert set(failures) == {C}
    assert not await driver.exists(A)
    assert not await driver.exists(B)
    await driver.close()


async def test_what_is_not_durable_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FilesystemDriver(tmp_path)
    await driver.put(A, b"a")

    def fail(fd: int) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "fsync", fail)
    assert set(await driver.remove([A], until=LATER)) == {A}
    monkeypatch.undo()
    assert await driver.remove([A], until=LATER) == {}
    await driver.close()


async def test_the_folder_is_synced_though_the_file_had_gone_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash may come between the removal and the sync: the next attempt makes up for it."""
    driver = FilesystemDriver(tmp_path)
    await driver.put(A, b"a")
    data = tmp_path / A[1:]
    data.unlink()
    data.parent.rmdir()
    synced: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    assert await driver.remove([A], until=LATER) == {}
    assert synced == [str(data.parent.parent)]
    await driver.close()


@pytest.mark.parametrize(("until_s", "rests_s"), [(LATER, [0.6, 0.6, 0.6]), (2.5, [0.6, 0.6])])
async def test_others_come_to_the_processor_after_each_removal_unless_time_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until_s: float, rests_s: Sequence[float]
) -> None:
    """Each look at the clock is half a second after the one before, and each removal computes for 0.2 seconds."""
    driver = FilesystemDriver(tmp_path)
    for path in (A, B, C):
        await driver.put(path, b"content")
    moments, computed_s = itertools.count(0, 0.5), itertools.count(0, 0.2)
    rests: list[float] = []
    monkeypatch.setattr("moorage.storage.filesystem.many_files.clock", lambda: next(moments))
    monkeypatch.setattr(time, "thread_time", lambda: next(computed_s))
    monkeypatch.setattr(time, "sleep", rests.append)
    assert await driver.remove([A, B, C], until=until_s, rest=3.0) == {}
    assert rests == pytest.approx(rests_s)
    await driver.remove([A, B, C], until=LATER)
    assert len(rests) == len(rests_s), "whoever does not ask for rests has none"
    await driver.close()


async def test_a_folder_goes_only_while_it_says_what_was_read(driver: StorageDriver) -> None:
    await driver.put("/tags/a/current/link", b"new")
    await driver.put("/tags/a/index/link", b"old")
    assert not await driver.delete_saying("/tags/a", b"old", where="/tags/a/current/link")
    assert await driver.get("/tags/a/index/link") == b"old"
    assert await driver.delete_saying("/tags/a", b"new", where="/tags/a/current/link")
    assert not await driver.exists("/tags/a")
    assert not await driver.delete_saying("/tags/a", b"new", where="/tags/a/current/link")


async def test_an_object_goes_on_condition_only_while_it_is_the_one_that_was_seen(driver: StorageDriver) -> None:
    await driver.put("/a", b"seen")
    seen = await driver.stat("/a")
    if Capability.CONDITIONAL_DELETE not in driver.capabilities:
        with pytest.raises(StorageUnavailable):
            await driver.delete_if_same("/a", seen)
        return
    await driver.put("/a", b"else")
    assert not await driver.delete_if_same("/a", seen)
    assert await driver.get("/a") == b"else"
    assert await driver.delete_if_same("/a", await driver.stat("/a"))
    assert not await driver.exists("/a")


async def test_an_object_that_is_gone_does_not_go_on_condition(driver: StorageDriver) -> None:
    await driver.put("/a", b"seen")
    seen = await driver.stat("/a")
    await driver.delete("/a")
    if Capability.CONDITIONAL_DELETE in driver.capabilities:
        assert not await driver.delete_if_same("/a", seen)
