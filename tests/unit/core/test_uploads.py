"""Upload sessions over several workers, without room, with clients that go away."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from moorage.core import upload_writing
from moorage.core import uploads as module
from moorage.core.upload_endings import UploadState
from moorage.core.uploads import Uploads
from moorage.errors import DigestInvalid, PathUnknown, RangeInvalid, StorageFull, UploadBusy, UploadUnknown
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Algorithm, Digest
from moorage.room import Room
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_folder import UploadFolder
from moorage.storage.upload_sinks import sink_of
from support.arriving import ArrivingBytes
from support.bucket import Bucket
from unit.core.breaking import BreakingDriver, every_path
from unit.core.sending import NAME, HungUp, hanging_up_after, sending

MIB = 1 << 20
CONTENT = b"the first chunk, " + b"and the second"
FIRST, SECOND = CONTENT[:17], CONTENT[17:]
DIGEST = Digest.of(CONTENT)
OTHER = Digest.of(b"something else")


def worker(storage: StorageDriver) -> Uploads:
    """What one worker has: nothing but the storage is shared with the others."""
    return Uploads(storage, LayoutLinks(storage), sink=sink_of(storage))


async def stored(storage: StorageDriver, digest: Digest) -> bytes | None:
    """The bytes of a blob that is linked; None without a link."""
    if not await LayoutLinks(storage).has(NAME, digest):
        return None
    return await storage.get(paths.blob(digest))


async def sessions(storage: StorageDriver) -> list[str]:
    try:
        return [entry.name for entry in await storage.list(paths.uploads(NAME))]
    except PathUnknown:
        return []


@pytest.mark.parametrize("tells", [True, False], ids=["known", "unknown"])
async def test_a_session_is_committed_by_a_worker_that_has_not_seen_its_bytes(
    storage: StorageDriver, *, tells: bool
) -> None:
    started = await worker(storage).start(NAME)
    await worker(storage).append(NAME, started.id, sending(FIRST), start=0)
    known = await worker(storage).append(NAME, started.id, sending(SECOND), start=len(FIRST))
    assert known.digest is None, "a worker that saw only the end must not vouch for the whole"
    last = UploadState(started.id, len(CONTENT), DIGEST) if tells else None
    await worker(storage).commit(NAME, started.id, DIGEST, sending(), start=None, known=last)
    assert await stored(storage, DIGEST) == CONTENT
    assert await sessions(storage) == []


@pytest.mark.parametrize(
    ("known", "reads_again"),
    [
        (UploadState("", len(CONTENT), DIGEST), False),
        (UploadState("", len(CONTENT) - 1, DIGEST), True),
        (UploadState("", len(CONTENT), Digest.of(CONTENT, "sha512")), True),
        (UploadState("", len(CONTENT)), True),
        (None, True),
    ],
    ids=["exact", "offset", "algorithm", "no digest", "nothing"],
)
async def test_bytes_are_read_again_unless_what_is_known_fits_exactly(
    known: UploadState | None, *, reads_again: bool
) -> None:
    storage = BreakingDriver(MemoryDriver())
    started = await worker(storage).start(NAME)
    await worker(storage).append(NAME, started.id, sending(CONTENT), start=0)
    if known is not None:
        known = replace(known, id=started.id)
    await worker(storage).commit(NAME, started.id, DIGEST, sending(), start=None, known=known)
    assert any(call.startswith("open ") for call in storage.calls) is reads_again
    assert await stored(storage, DIGEST) == CONTENT


async def test_what_was_known_before_the_last_chunk_says_nothing_of_the_whole() -> None:
    storage = MemoryDriver()
    started = await worker(storage).start(NAME)
    known = await worker(storage).append(NAME, started.id, sending(FIRST), start=0)
    assert known.digest == Digest.of(FIRST)
    with pytest.raises(DigestInvalid):
        await worker(storage).commit(NAME, started.id, Digest.of(FIRST), sending(SECOND), start=None, known=known)
    assert await stored(storage, Digest.of(FIRST)) is None


async def test_a_session_of_which_storage_shows_less_than_was_acknowledged_is_not_ended_by_it() -> None:
    """Lists of some stores are behind for a while; the session was removed, as if the client had sent other bytes."""
    storage = Bucket()
    started = await worker(storage).start(NAME)
    await worker(storage).append(NAME, started.id, sending(FIRST), start=0)
    await worker(storage).append(NAME, started.id, sending(SECOND), start=len(FIRST))
    known = UploadState(started.id, len(CONTENT), DIGEST)
    last = UploadFolder(storage, paths.upload(NAME, started.id)).piece(len(FIRST))
    await storage.delete(last)
    with pytest.raises(RangeInvalid) as caught:
        await worker(storage).commit(NAME, started.id, DIGEST, sending(), start=None, known=known)
    assert caught.value.offset_bytes == len(FIRST)
    await storage.put(last, SECOND)
    await worker(storage).commit(NAME, started.id, DIGEST, sending(), start=None, known=known)
    assert await stored(storage, DIGEST) == CONTENT


@pytest.mark.parametrize("started_with", ["sha256", "sha512"])
@pytest.mark.parametrize("closed_with", ["sha256", "sha512"])
async def test_the_digest_at_the_end_decides_the_algorithm(started_with: Algorithm, closed_with: Algorithm) -> None:
    storage = MemoryDriver()
    uploads = worker(storage)
    digest = Digest.of(CONTENT, closed_with)
    started = await uploads.start(NAME, started_with)
    await uploads.append(NAME, started.id, sending(FIRST), start=None)
    await uploads.commit(NAME, started.id, digest, sending(SECOND), start=None)
    assert await stored(storage, digest) == CONTENT


async def test_a_forgotten_hasher_costs_a_second_read_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HASHERS", 1)
    storage = BreakingDriver(MemoryDriver())
    uploads = worker(storage)
    first, second = await uploads.start(NAME), await uploads.start(NAME)
    assert len(uploads._hashers) == 1
    for session in (first, second):
        await uploads.append(NAME, session.id, sending(FIRST), start=0)
    await uploads.commit(NAME, first.id, DIGEST, sending(SECOND), start=None)
    assert len([call for call in storage.calls if call.startswith("open ")]) == 1
    assert await stored(storage, DIGEST) == CONTENT


async def test_no_hasher_outlives_its_session() -> None:
    uploads = worker(MemoryDriver())
    kept = await uploads.start(NAME)
    await uploads.push(NAME, DIGEST, sending(CONTENT))
    cancelled = await uploads.start(NAME)
    await uploads.cancel(NAME, cancelled.id)
    wrong = await uploads.start(NAME)
    with pytest.raises(DigestInvalid):
        await uploads.commit(NAME, wrong.id, OTHER, sending(CONTENT), start=None)
    assert (len(uploads._hashers), uploads._hashers.get(kept.id) is None) == (1, False)


async def test_a_wrong_digest_ends_the_session_and_links_nothing(storage: StorageDriver) -> None:
    uploads = worker(storage)
    started = await uploads.start(NAME)
    with pytest.raises(DigestInvalid) as caught:
        await uploads.commit(NAME, started.id, OTHER, sending(CONTENT), start=None)
    assert caught.value.detail == {"given": str(OTHER), "computed": str(DIGEST)}
    assert await stored(storage, OTHER) is None
    assert await stored(storage, DIGEST) is None
    assert [path async for path in every_path(storage)] == []
    with pytest.raises(UploadUnknown):
        await uploads.status(NAME, started.id)


async def test_a_chunk_that_finds_no_room_is_cut_off_and_earlier_ones_stay() -> None:
    storage = MemoryDriver(limit_bytes=200)
    uploads = worker(storage)
    started = await uploads.start(NAME)
    await uploads.append(NAME, started.id, sending(FIRST), start=0)
    with pytest.raises(StorageFull):
        await uploads.append(NAME, started.id, sending(SECOND, bytes(100), bytes(100)), start=None)
    assert (await uploads.status(NAME, started.id)).offset_bytes == len(FIRST)
    await storage.put("/other", bytes(100))  # The room of what was refused is there for others.
    await storage.delete("/other")
    await uploads.append(NAME, started.id, sending(SECOND), start=len(FIRST))
    assert await storage.get(paths.upload(NAME, started.id)) == CONTENT


async def test_a_commit_that_finds_no_room_can_be_tried_again() -> None:
    storage = MemoryDriver(limit_bytes=300)
    uploads = worker(storage)
    await storage.put("/other", bytes(200))
    started = await uploads.start(NAME)
    known = await uploads.append(NAME, started.id, sending(FIRST), start=0)
    with pytest.raises(StorageFull):
        await uploads.commit(NAME, started.id, DIGEST, sending(SECOND, bytes(100)), start=None, known=known)
    await storage.delete("/other")
    await uploads.commit(NAME, started.id, DIGEST, sending(SECOND), start=len(FIRST), known=known)
    assert await stored(storage, DIGEST) == CONTENT


async def test_a_body_that_takes_the_last_room_is_refused_in_its_middle(tmp_path: Path) -> None:
    storage, room = FilesystemDriver(tmp_path), Room({})

    class Body(ArrivingBytes):
        def readinto(self, buffer: memoryview) -> int:
            if len(self.rest) < 4 * MIB:
                room.close("the last is kept")
            return super().readinto(buffer)

    async def chunks() -> AsyncIterator[Body]:
        yield body

    body = Body(bytes(5 * MIB), most_bytes=5 * MIB)
    uploads = Uploads(storage, LayoutLinks(storage), sink=sink_of(storage), room=room)
    session = await uploads.start(NAME)
    with pytest.raises(StorageFull, match="kept"):
        await uploads.append(NAME, session.id, chunks(), start=None)
    assert (await uploads.status(NAME, session.id)).offset_bytes == 0
    assert body.rest
    await storage.close()


async def test_what_came_before_the_client_hung_up_stays(storage: StorageDriver) -> None:
    uploads = worker(storage)
    started = await uploads.start(NAME)
    with pytest.raises(HungUp):
        await uploads.append(NAME, started.id, hanging_up_after(FIRST), start=0)
    assert (await worker(storage).status(NAME, started.id)).offset_bytes == len(FIRST)
    with pytest.raises(HungUp):
        await uploads.commit(NAME, started.id, DIGEST, hanging_up_after(SECOND[:3]), start=None)
    await uploads.commit(NAME, started.id, DIGEST, sending(SECOND[3:]), start=len(FIRST) + 3)
    assert await stored(storage, DIGEST) == CONTENT


@pytest.mark.parametrize("start", [0, len(FIRST) - 1, len(FIRST) + 1])
async def test_a_chunk_that_does_not_fit_changes_nothing(start: int) -> None:
    storage = MemoryDriver()
    uploads = worker(storage)
    started = await uploads.start(NAME)
    await uploads.append(NAME, started.id, sending(FIRST), start=0)
    with pytest.raises(RangeInvalid) as caught:
        await uploads.append(NAME, started.id, sending(SECOND), start=start)
    assert caught.value.offset_bytes == len(FIRST)
    with pytest.raises(RangeInvalid):
        await uploads.commit(NAME, started.id, DIGEST, sending(SECOND), start=start)
    await uploads.commit(NAME, started.id, DIGEST, sending(SECOND), start=len(FIRST))
    assert await stored(storage, DIGEST) == CONTENT


async def test_a_push_that_fails_leaves_no_session(storage: StorageDriver) -> None:
    uploads = worker(storage)
    with pytest.raises(HungUp):
        await uploads.push(NAME, DIGEST, hanging_up_after(FIRST))
    with pytest.raises(DigestInvalid):
        await uploads.push(NAME, OTHER, sending(CONTENT))
    assert await sessions(storage) == []
    assert not uploads._hashers


async def test_a_push_without_room_gives_the_room_back() -> None:
    storage = MemoryDriver(limit_bytes=150)
    with pytest.raises(StorageFull):
        await worker(storage).push(NAME, DIGEST, sending(CONTENT, bytes(200)))
    assert await sessions(storage) == []
    await storage.put("/other", bytes(150))


async def test_a_second_request_of_a_session_is_told_to_wait(
    files: FileStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_writing, "_PATIENCE_S", 0.0)
    uploads = worker(files)
    started = await uploads.start(NAME)
    writer = await files.open_writer(paths.upload(NAME, started.id), append=True)
    with pytest.raises(UploadBusy):
        await worker(files).append(NAME, started.id, sending(FIRST), start=None)
    with pytest.raises(UploadBusy):
        await worker(files).commit(NAME, started.id, DIGEST, sending(FIRST), start=None)
    await writer.close()
    await worker(files).append(NAME, started.id, sending(FIRST), start=0)
    assert (await uploads.status(NAME, started.id)).offset_bytes == len(FIRST)


@pytest.mark.parametrize("session", ["", "x", "..", "../x", str(uuid.UUID(int=1)).upper() + "A", "0" * 32, "\udcff"])
async def test_a_session_id_that_is_none_is_unknown(session: str) -> None:
    uploads = worker(MemoryDriver())
    with pytest.raises(UploadUnknown):
        await uploads.status(NAME, session)
    with pytest.raises(UploadUnknown):
        await uploads.append(NAME, session, sending(FIRST), start=None)
    with pytest.raises(UploadUnknown):
        await uploads.commit(NAME, session, DIGEST, sending(CONTENT), start=None)
    with pytest.raises(UploadUnknown):
        await uploads.cancel(NAME, session)
