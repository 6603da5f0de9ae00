"""Flushes of pulls and sessions that are cut short while the database commits: nothing counts twice or is lost."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.metadata.base import Cause
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.pulls import SqlPulls
from moorage.metadata.sql.sessions import SqlSessions
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import NamedQuery, moment
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from support.images import image

NAME = RepositoryName("a/b")
V1 = Tag("v1")


class SlowDisk:
    """Holds commits, in the thread that runs them, until told to go on."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, statement: str) -> None:
        if statement == "COMMIT":
            self.begun.set()
            self.may_go_on.wait(20)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    migrate_sqlite(tmp_path / "t.sqlite")
    database = await SqliteDatabase.open(tmp_path / "t.sqlite")
    yield database
    await database.close()


@pytest.fixture
async def digest(database: SqliteDatabase) -> Digest:
    """A manifest with a tag."""
    return await push(database, [V1])


@pytest.fixture
def disk(database: SqliteDatabase, digest: Digest) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    database._writer._connection.set_trace_callback(disk)
    yield disk
    disk.may_go_on.set()


async def push(database: SqliteDatabase, tags: list[Tag]) -> Digest:
    manifest = image("a").manifest
    digest = Digest.parse(manifest.digest)
    stored = StoredManifest(digest, manifest.media_type, manifest.body)
    parsed = parse(manifest.body, manifest.media_type)
    await SqlManifests(database).put(NAME, stored, parsed, tags=tags, cause=Cause())
    return digest


async def cut_short(flush: "asyncio.Task[None]", disk: SlowDisk) -> None:
    """Cancel a flush while its commit runs, and let that end."""
    assert await asyncio.to_thread(disk.begun.wait, 20)
    flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    disk.may_go_on.set()


async def facts(database: SqliteDatabase) -> list[tuple[int, int]]:
    rows = await database.all(NamedQuery("test", "SELECT pulls, last_pulled_at FROM pull_facts", ""))
    return [(row[0], row[1]) for row in rows]


async def test_pulls_of_a_flush_that_was_cut_short_are_not_counted_twice(
    database: SqliteDatabase, digest: Digest, disk: SlowDisk
) -> None:
    pulls = SqlPulls(database)
    for _ in range(3):
        pulls.note(NAME, V1, digest)
    flush = asyncio.create_task(pulls.flush())
    await asyncio.to_thread(disk.begun.wait, 20)
    pulls.note(NAME, V1, digest)
    await cut_short(flush, disk)
    await pulls.flush()
    await pulls.flush()
    ((count, last),) = await facts(database)
    assert count == 4
    assert moment(last)


async def test_pulls_of_a_flush_that_never_had_its_turn_are_written_by_the_next(
    database: SqliteDatabase, digest: Digest
) -> None:
    pulls = SqlPulls(database)
    pulls.note(NAME, V1, digest)
    async with database.transaction():
        flush = asyncio.create_task(pulls.flush())
        await asyncio.sleep(0)
        pulls.note(NAME, V1, digest)
        flush.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flush
    await pulls.flush()
    assert [count for count, _ in await facts(database)] == [2]


async def test_sessions_of_a_flush_that_was_cut_short_are_known_once(
    database: SqliteDatabase, digest: Digest, disk: SlowDisk
) -> None:
    sessions = SqlSessions(database)
    for name in ("s1", "s2"):
        sessions.note(NAME, name)
    await cut_short(asyncio.create_task(sessions.flush()), disk)
    await sessions.flush()
    found = await database.all(NamedQuery("test", "SELECT id FROM uploads ORDER BY id", ""))
    assert found == [("s1",), ("s2",)]


async def test_a_list_of_very_many_tags_lets_others_run(database: SqliteDatabase) -> None:
    tags = [Tag(f"t{number:05}") for number in range(5000)]
    await push(database, tags)
    passes = 0

    async def other() -> None:
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    before = passes
    page = await SqlCatalogue(database).tags(NAME, after="", limit=None)
    assert passes - before >= 4
    task.cancel()
    assert page.items == tags
