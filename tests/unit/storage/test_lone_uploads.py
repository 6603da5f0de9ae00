"""A process that dies before any system call of a push, or is refused one: what was told to be there is on the disk."""

import contextlib
import errno
import os
from pathlib import Path

import pytest

from moorage.errors import BackendError, PathUnknown, StorageFull
from moorage.storage.file_sink import FileSink
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.storage.disk import Disk, Killed

UPLOAD = "/repositories/app/_uploads/one"
BLOB = "/blobs/ab/abcd/data"
CONTENT = os.urandom(1) * 200_000
"""So much that it is written in a thread, as the calls are watched there."""

_CALLS_LIMIT = 100


async def push(storage: FilesystemDriver) -> None:
    sink = FileSink(storage)
    async with await sink.append(UPLOAD, target=BLOB) as writer:
        await writer.write(CONTENT)
        await writer.commit(BLOB)
        await writer.remove()


async def place(storage: FilesystemDriver) -> None:
    """A push up to where its blob could be linked."""
    async with await FileSink(storage).append(UPLOAD, target=BLOB) as writer:
        await writer.write(CONTENT)
        assert await writer.place(BLOB)


async def found(folder: Path, path: str) -> bytes | None:
    storage = FilesystemDriver(folder)
    try:
        return await storage.get(path)
    except PathUnknown:
        return None
    finally:
        await storage.close()


async def test_a_blob_is_on_the_disk_once_it_is_told_and_whole_or_not_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    for at in range(_CALLS_LIMIT):
        folder = tmp_path / str(at)
        storage = FilesystemDriver(folder)
        await FileSink(storage).start(UPLOAD, b"")
        disk.calls.clear()
        disk._is_dead = False
        disk.fault = lambda number, _call, at=at: Killed() if number == at else None  # type: ignore[misc]
        is_told = False
        with contextlib.suppress(Killed):
            await push(storage)
            is_told = True
        calls = len(disk.calls)
        disk.fault, disk._is_dead = lambda _number, _call: None, False
        place = str(folder.relative_to(tmp_path))
        if is_told:
            assert disk.lost(f"/{place}{BLOB}") == []
            assert await found(folder, BLOB) == CONTENT
            assert calls <= at
            return
        upload, blob = await found(folder, UPLOAD), await found(folder, BLOB)
        assert blob in (None, CONTENT)
        assert (upload is None) == (blob is not None)
    pytest.fail("a push makes too many calls")


@pytest.mark.parametrize("was_there", [False, True], ids=["new", "damaged before"])
async def test_a_placed_blob_is_on_the_disk_once_it_is_told_and_has_the_upload_s_name_besides_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, was_there: bool
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    for at in range(_CALLS_LIMIT):
        folder = tmp_path / str(at)
        storage = FilesystemDriver(folder)
        await FileSink(storage).start(UPLOAD, b"")
        if was_there:
            await storage.put(BLOB, b"damaged")
        disk.only_threads = False
        disk.calls.clear()
        disk._is_dead = False
        disk.fault = lambda number, _call, at=at: Killed() if number == at else None  # type: ignore[misc]
        is_told = False
        with contextlib.suppress(Killed):
            await place(storage)
            is_told = True
        calls = len(disk.calls)
        disk.fault, disk._is_dead, disk.only_threads = lambda _number, _call: None, False, True
        blob = await found(folder, BLOB)
        assert await found(folder, UPLOAD) is not None
        assert is_told or blob in (None, b"damaged", CONTENT)
        names = (folder / UPLOAD[1:]).stat().st_nlink
        assert names == (2 if blob == CONTENT else 1) or was_there, "by it the next process knows"
        if blob == CONTENT:
            assert names > 1
            assert "the bytes" not in disk.lost(f"/{at}{BLOB}"), "before they have the name"
        if is_told:
            assert disk.lost(f"/{at}{BLOB}") == []
            assert calls <= at
            return
    pytest.fail("a push makes too many calls")


@pytest.mark.parametrize("call", ["fsync", "link", "mkdir"])
async def test_a_blob_that_cannot_be_placed_is_an_upload_as_before_or_gone_if_its_bytes_are_in_doubt(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    storage = FilesystemDriver(tmp_path)
    await FileSink(storage).start(UPLOAD, b"")
    broken = OSError(errno.EIO, "broken")
    disk.only_threads = False
    disk.fault = lambda _number, called: broken if called == call else None
    with pytest.raises(BackendError):
        await place(storage)
    disk.fault = lambda _number, _call: None
    assert await found(tmp_path, BLOB) is None
    assert await found(tmp_path, UPLOAD) == (None if call == "fsync" else CONTENT)
    await storage.close()


async def test_a_folder_that_cannot_be_synced_leaves_the_blob_to_whoever_purges_the_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    storage = FilesystemDriver(tmp_path)
    sink = FileSink(storage)
    await sink.start(UPLOAD, b"")
    broken = OSError(errno.EIO, "broken")
    disk.fault = lambda _number, called: broken if called == "fsync" and disk.calls[-1][0] != "pwrite" else None
    async with await sink.append(UPLOAD, target=BLOB) as writer:
        await writer.write(CONTENT)
        with pytest.raises(BackendError):
            await writer.place(BLOB)
        assert writer.has_place, "so nobody removes it as one that failed"
    disk.fault = lambda _number, _call: None
    assert await sink.open_placed(UPLOAD) is not None
    await storage.close()


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
async def test_without_hard_links_nothing_is_placed_and_a_commit_is_as_ever(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    disk.fault = lambda _number, called: OSError(error, "no links") if called == "link" else None
    storage = FilesystemDriver(tmp_path)
    sink = FileSink(storage)
    await sink.start(UPLOAD, b"")
    async with await sink.append(UPLOAD, target=BLOB) as writer:
        await writer.write(CONTENT)
        assert not await writer.place(BLOB)
        assert not writer.has_place
        await writer.commit(BLOB)
        await writer.remove()
    assert await found(tmp_path, BLOB) == CONTENT
    assert await found(tmp_path, UPLOAD) is None
    await storage.close()


async def test_a_full_disk_is_told_and_what_the_upload_had_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(tmp_path, monkeypatch)
    refused = set[str]()
    for at in range(_CALLS_LIMIT):
        folder = tmp_path / str(at)
        storage = FilesystemDriver(folder)
        sink = FileSink(storage)
        await sink.start(UPLOAD, b"")
        async with await sink.append(UPLOAD) as writer:
            await writer.write(b"so far")
        disk.calls.clear()
        full = OSError(errno.ENOSPC, "no room")
        disk.fault = lambda number, _call, at=at, full=full: full if number == at else None  # type: ignore[misc]
        error: BackendError | None = None
        try:
            await push(storage)
        except BackendError as exc:
            error = exc
        call = disk.calls[at][0] if at < len(disk.calls) else ""
        disk.fault = lambda _number, _call: None
        if not call:
            assert error is None
            assert {"pwrite", "fsync", "mkdir", "rename"} <= refused
            return
        if error is not None:
            refused.add(call)
            assert isinstance(error, StorageFull)
            content = await found(folder, UPLOAD)
            # A file whose sync has failed goes, as its bytes cannot be trusted; one that has its place stays there.
            assert content in (b"so far", b"so far" + CONTENT) or await found(folder, BLOB) or call == "fsync"
    pytest.fail("a push makes too many calls")
