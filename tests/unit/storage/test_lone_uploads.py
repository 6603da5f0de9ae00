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
