"""A blob gets its place and then its row: whatever ends between the two, or comes between, nobody loses track of it."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from contract.metadata.passing import pass_
from contract.metadata.stores import SqlStore, sqlite_opener
from moorage.core.blobs import BlobFile, Blobs
from moorage.core.uploads import Uploads
from moorage.errors import DatabaseUnavailable, DigestInvalid, UploadUnknown
from moorage.gc.online.review_rounds import BlobCollector, Deadlines
from moorage.metadata.base import UNEXPLAINED, Cause, Expectation, RemovalWatch
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.reviews import SqlBlobReviews
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.upload_sinks import sink_of
from unit.core.sending import NAME, sending

CONTENT = b"the first chunk, and the second"
DIGEST = Digest.of(CONTENT)
BLOB = paths.blob(DIGEST)
SOON = timedelta(hours=-1)
"""All uploads are older."""


class Killed(BaseException):
    """The process died."""


class Links(SqlLinks):
    """Links in a database; something may come before and after one is written."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.before: Callable[[], Awaitable[None]] | None = None
        self.after: Callable[[], Awaitable[None]] | None = None
        self.expected = 0

    async def expect(self, digest: Digest) -> Expectation:
        self.expected += 1
        return await super().expect(digest)

    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        before, self.before = self.before, None
        if before is not None:
            await before()
        done = await super().link(name, digest, expectation, size_bytes=size_bytes, cause=cause)
        if self.after is not None:
            await self.after()
        return done


class Registry:
    """A registry over a folder and an SQLite file."""

    def __init__(self, folder: Path, store: SqlStore) -> None:
        self.storage = FilesystemDriver(folder, fsync=False)
        self.store = store
        self.links = Links(store.database)
        self.uploads = Uploads(self.storage, self.links, sink=sink_of(self.storage))

    async def begin(self) -> str:
        """A session that has all of its bytes."""
        session = (await self.uploads.start(NAME)).id
        await self.uploads.append(NAME, session, sending(CONTENT), start=0)
        return session

    async def end(self, session: str, *more: bytes) -> None:
        await self.uploads.commit(NAME, session, DIGEST, sending(*more), start=None)

    async def sessions(self) -> list[str]:
        return [entry.name for entry in await self.storage.list(paths.uploads(NAME))]

    async def purge(self) -> None:
        await self.uploads.purge(NAME, older_than=SOON, dry_run=False)

    async def collect(self) -> None:
        await pass_(self.store, timedelta(days=2))
        await BlobCollector(SqlBlobReviews(self.store.database), self.storage, Deadlines()).round()

    async def is_stored(self) -> bool:
        return await self.storage.exists(BLOB, folder=False)

    async def pulled(self) -> bytes:
        found = await Blobs(self.storage, self.links).open(NAME, DIGEST, address="")
        assert isinstance(found, BlobFile)
        with found.reader as reader:
            return b"".join([chunk async for chunk in reader.chunks()])


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    async with sqlite_opener(tmp_path)() as store:
        made = Registry(tmp_path / "data", store)
        yield made
        await made.storage.close()


async def _die() -> None:
    raise Killed


async def _no_database() -> None:
    msg = "it is away"
    raise DatabaseUnavailable(msg)


async def test_a_push_to_files_expects_nothing_and_leaves_nothing(registry: Registry) -> None:
    await registry.end(await registry.begin())
    await registry.uploads.push(NAME, Digest.of(b"in one go"), sending(b"in one go"))
    assert registry.links.expected == 0
    assert await registry.sessions() == []
    assert await registry.pulled() == CONTENT
    assert (await registry.storage.stat(BLOB)).names == 1


@pytest.mark.parametrize("is_linked", [False, True], ids=["before the row", "after the row"])
@pytest.mark.parametrize("in_one_go", [False, True], ids=["session", "one request"])
async def test_what_a_kill_leaves_is_found_when_the_upload_is_purged(
    registry: Registry, *, is_linked: bool, in_one_go: bool
) -> None:
    setattr(registry.links, "after" if is_linked else "before", _die)
    with contextlib.suppress(Killed):
        if in_one_go:
            await registry.uploads.push(NAME, DIGEST, sending(CONTENT))
        else:
            await registry.end(await registry.begin())
    registry.links.after = None
    assert await registry.is_stored()
    assert len(await registry.sessions()) == 1
    await registry.collect()
    assert await registry.is_stored() is (not is_linked), "only what has a row or an entry of the queue is collected"
    if is_linked:
        return
    await registry.purge()
    assert await registry.sessions() == []
    assert await registry.is_stored(), "a push of the same may just rely on it"
    await registry.collect()
    assert not await registry.is_stored()


async def test_an_upload_that_is_a_blob_takes_no_more_bytes_and_can_be_ended_again(registry: Registry) -> None:
    session = await registry.begin()
    registry.links.after = _no_database
    with pytest.raises(DatabaseUnavailable):
        await registry.end(session)
    registry.links.after = None
    with pytest.raises(UploadUnknown):
        await registry.uploads.append(NAME, session, sending(b"more"), start=None)
    with pytest.raises(UploadUnknown):
        await registry.end(session, b"more")
    assert await registry.pulled() == CONTENT
    with pytest.raises(DigestInvalid):
        await registry.uploads.commit(NAME, session, Digest.of(b"other"), sending(), start=None)
    assert await registry.sessions() == [session], "by it the blob is known"
    await registry.end(session)
    assert await registry.sessions() == []
    assert await registry.pulled() == CONTENT


async def test_a_client_that_cancels_what_is_a_blob_leaves_it_to_garbage_collection(registry: Registry) -> None:
    session = await registry.begin()
    registry.links.before = _no_database
    with pytest.raises(DatabaseUnavailable):
        await registry.end(session)
    await registry.uploads.cancel(NAME, session)
    assert await registry.sessions() == []
    await registry.collect()
    assert not await registry.is_stored()


async def test_a_blob_that_is_collected_between_its_place_and_its_row_is_put_there_again(registry: Registry) -> None:
    await registry.end(await registry.begin())
    session = await registry.begin()
    registry.links.before = registry.collect
    await registry.end(session)
    assert registry.links.expected == 1
    assert await registry.sessions() == []
    assert await registry.pulled() == CONTENT


async def test_a_push_waits_for_a_collection_that_is_at_the_same_blob(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.metadata.sql.links._REMOVAL_PAUSE_S", 0.0)
    await registry.end(await registry.begin())
    reviews = SqlBlobReviews(registry.store.database)
    await pass_(registry.store, timedelta(days=2))
    await reviews.claim(limit=1)
    session = await registry.begin()

    async def finish() -> None:
        await reviews.judge([DIGEST])
        await registry.storage.delete(BLOB)
        registry.links.before = None

    registry.links.before = finish
    expect = registry.links.expect

    async def expect_when_over(digest: Digest) -> Expectation:
        await reviews.finish({DIGEST: 0})
        return await expect(digest)

    monkeypatch.setattr(registry.links, "expect", expect_when_over)
    await registry.end(session)
    assert await registry.pulled() == CONTENT
    assert await registry.sessions() == []


async def test_a_damaged_blob_heals_by_being_pushed(registry: Registry) -> None:
    await registry.storage.put(BLOB, b"damaged")
    await registry.end(await registry.begin())
    assert await registry.pulled() == CONTENT
    assert await registry.sessions() == []


async def test_where_names_are_not_counted_blobs_are_expected_first(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fstat = os.fstat

    def uncounted(fd: int) -> os.stat_result:
        found = fstat(fd)
        return os.stat_result((*found[:3], 1, *found[4:]))

    monkeypatch.setattr("moorage.storage.filesystem.second_names.os.fstat", uncounted)
    for content in (CONTENT, b"another"):
        await registry.uploads.push(NAME, Digest.of(content), sending(content))
    assert registry.links.expected == 2
    assert await registry.pulled() == CONTENT
    assert await registry.sessions() == []
