"""Whatever storage call fails, or is the last of a process: what is linked is whole and was verified."""

import contextlib
from collections.abc import Callable

import pytest

from moorage.core.blobs import BlobFile, Blobs
from moorage.core.uploads import Uploads
from moorage.errors import BackendError, DigestInvalid, MoorageError, PathUnknown, StorageFull, StorageUnavailable
from moorage.metadata.layout import LayoutLinks
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_sinks import sink_of
from unit.core.breaking import Break, BreakingDriver, every_path
from unit.core.sending import NAME, sending

CONTENT = b"the first chunk, and the second"
CHUNKS = CONTENT[:17], CONTENT[17:]
DIGEST = Digest.of(CONTENT)
WRONG = Digest.of(b"something else")

_CALLS_LIMIT = 100


Worker = Callable[[StorageDriver], Uploads]


@pytest.fixture
def worker() -> Worker:
    """A process that works on a storage."""
    return lambda storage: Uploads(storage, LayoutLinks(storage), sink=sink_of(storage))


async def check_whole(storage: StorageDriver) -> None:
    """Every blob has the content that its name says, and every link leads to one."""
    async for path in every_path(storage):
        *_, encoded, last = path.split("/")
        if path.startswith(paths.BLOBS):
            assert Digest.of(await storage.get(path)).encoded == encoded
        elif last == "link":
            digest = Digest.parse((await storage.get(path)).decode())
            found = await Blobs(storage, LayoutLinks(storage)).open(NAME, digest, address="")
            assert isinstance(found, BlobFile)
            with found.reader as reader:
                assert Digest.of(b"".join([chunk async for chunk in reader.chunks()])) == digest


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
@pytest.mark.parametrize("how", Break)
@pytest.mark.parametrize("same_worker", [True, False], ids=["one worker", "two workers"])
async def test_a_commit_that_breaks_anywhere_leaves_nothing_half_visible(
    worker: Worker, how: Break, error: type[BackendError], *, same_worker: bool
) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        before = worker(memory)
        session = await before.start(NAME)
        await before.append(NAME, session.id, sending(CHUNKS[0]), start=0)
        storage = BreakingDriver(memory, at=at, how=how, error=error)
        uploads = worker(storage)
        if same_worker:
            uploads._hashers = before._hashers
        is_done = False
        with contextlib.suppress(MoorageError):
            await uploads.commit(NAME, session.id, DIGEST, sending(CHUNKS[1]), start=None)
            is_done = True
        await check_whole(memory)
        if is_done:
            assert await LayoutLinks(memory).has(NAME, DIGEST)
        await worker(memory).push(NAME, DIGEST, sending(*CHUNKS))
        await check_whole(memory)
        if at > len(storage.calls):
            assert is_done
            return
    pytest.fail("a commit makes too many calls")


@pytest.mark.parametrize("how", Break)
async def test_wrong_bytes_are_not_linked_whatever_breaks(worker: Worker, how: Break) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        session = await worker(memory).start(NAME)
        await worker(memory).append(NAME, session.id, sending(CHUNKS[0]), start=0)
        storage = BreakingDriver(memory, at=at, how=how)
        with pytest.raises((DigestInvalid, StorageUnavailable)):
            await worker(storage).commit(NAME, session.id, WRONG, sending(CHUNKS[1]), start=None)
        assert not [path async for path in every_path(memory) if "/_uploads/" not in path]
        if at > len(storage.calls):
            return
    pytest.fail("a commit makes too many calls")


@pytest.mark.parametrize("error", [StorageUnavailable, StorageFull])
async def test_a_commit_that_was_cut_short_goes_on_from_where_the_session_is(
    worker: Worker, error: type[BackendError]
) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        session = await worker(memory).start(NAME)
        storage = BreakingDriver(memory, at=at, error=error)
        with contextlib.suppress(BackendError):
            await worker(storage).commit(NAME, session.id, DIGEST, sending(*CHUNKS), start=0)
        with contextlib.suppress(MoorageError):
            offset = (await worker(memory).status(NAME, session.id)).offset_bytes
            await worker(memory).commit(NAME, session.id, DIGEST, sending(CONTENT[offset:]), start=offset)
            assert await LayoutLinks(memory).has(NAME, DIGEST)
        await check_whole(memory)
        if at > len(storage.calls):
            return
    pytest.fail("a commit makes too many calls")


@pytest.mark.parametrize("how", [Break.ONCE, Break.ONCE_LATE])
async def test_a_push_in_one_go_leaves_no_session_behind_once_it_has_begun(worker: Worker, how: Break) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        storage = BreakingDriver(memory, at=at, how=how)
        with contextlib.suppress(BackendError):
            await worker(storage).push(NAME, DIGEST, sending(*CHUNKS))
        try:
            await memory.stat("/docker")
        except PathUnknown:
            continue  # It broke before there was anything.
        await check_whole(memory)
        breaks_in_removal = at <= len(storage.calls) and storage.calls[at - 1].startswith("delete ")
        if not breaks_in_removal:
            assert await memory.list(paths.uploads(NAME)) == []
        if at > len(storage.calls):
            return
    pytest.fail("a push makes too many calls")
