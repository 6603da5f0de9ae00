"""Pull facts: counted off the request's path, written in batches, none counted twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.databases import WatchedDatabase
from contract.metadata.pushing import ABSENT, NAME, NEVER, NOBODY, OTHER, push
from contract.metadata.stores import SqlStore, sql_store
from moorage.errors import DatabaseUnavailable
from moorage.metadata.sql.digest_keys import digest_of
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.base import moment
from support.images import image

V1 = Tag("v1")

_FACTS = """
SELECT r.path, p.tag, p.digest, p.pulls FROM pull_facts p JOIN repositories r ON r.id = p.repository_id
"""

Facts = dict[tuple[str, str, Digest], int]


async def facts(store: SqlStore) -> Facts:
    """Pulls by repository, tag (empty: by digest) and manifest."""
    return {(path, tag, digest_of(bytes(key))): pulls for path, tag, key, pulls in await store.rows(_FACTS)}


@pytest.fixture
def watched(sql: SqlStore) -> SqlStore:
    """The same store over a database that can be watched and taken away."""
    return sql_store(WatchedDatabase(sql.database))


def database(store: SqlStore) -> WatchedDatabase:
    assert isinstance(store.database, WatchedDatabase)
    return store.database


async def test_pulls_are_counted_by_tag_and_by_digest(sql: SqlStore) -> None:
    digest = await push(sql, image("a").manifest, "v1")
    await push(sql, image("a").manifest, name=OTHER)
    for _ in range(3):
        sql.pulls.note(NAME, V1, digest)
    sql.pulls.note(NAME, digest, digest)
    sql.pulls.note(OTHER, digest, digest)
    assert await facts(sql) == {}
    await sql.pulls.flush()
    expected: Facts = {(NAME.text, "v1", digest): 3, (NAME.text, "", digest): 1, (OTHER.text, "", digest): 1}
    assert await facts(sql) == expected


async def test_each_pull_is_written_once(sql: SqlStore) -> None:
    digest = await push(sql, image("a").manifest, "v1")
    for expected in (1, 2, 3):
        sql.pulls.note(NAME, V1, digest)
        await sql.pulls.flush()
        await sql.pulls.flush()
        assert await facts(sql) == {(NAME.text, "v1", digest): expected}


async def test_the_last_pull_is_the_latest_of_all(sql: SqlStore, other_sql: SqlStore) -> None:
    digest = await push(sql, image("a").manifest, "v1")
    other_sql.pulls.note(NAME, V1, digest)
    sql.pulls.note(NAME, V1, digest)
    await sql.pulls.flush()
    ((latest,),) = await sql.rows("SELECT last_pulled_at FROM pull_facts")
    assert abs(datetime.now(UTC) - moment(latest)) < timedelta(minutes=1)
    await other_sql.pulls.flush()
    ((after,),) = await sql.rows("SELECT last_pulled_at FROM pull_facts")
    assert moment(after) >= moment(latest)


async def test_a_tag_that_moved_has_facts_for_each_manifest(sql: SqlStore) -> None:
    first = await push(sql, image("a").manifest, "v1")
    sql.pulls.note(NAME, V1, first)
    second = await push(sql, image("b").manifest, "v1")
    sql.pulls.note(NAME, V1, second)
    await sql.pulls.flush()
    assert await facts(sql) == {(NAME.text, "v1", first): 1, (NAME.text, "v1", second): 1}


async def test_several_processes_add_up(sql: SqlStore, other_sql: SqlStore) -> None:
    digest = await push(sql, image("a").manifest, "v1")
    for _ in range(5):
        for view in (sql, other_sql):
            for _ in range(10):
                view.pulls.note(NAME, V1, digest)
                view.pulls.note(NAME, digest, digest)
        await asyncio.gather(sql.pulls.flush(), other_sql.pulls.flush())
    assert await facts(sql) == {(NAME.text, "v1", digest): 100, (NAME.text, "", digest): 100}


async def test_what_was_deleted_meanwhile_stops_nothing(sql: SqlStore) -> None:
    gone = await push(sql, image("a").manifest, "v1")
    kept = await push(sql, image("b").manifest, "v2")
    sql.pulls.note(NAME, V1, gone)
    sql.pulls.note(NEVER, V1, ABSENT)
    sql.pulls.note(NAME, Tag("v2"), kept)
    await sql.manifests.delete(NAME, gone, cause=NOBODY)
    await sql.pulls.flush()
    assert (await facts(sql))[NAME.text, "v2", kept] == 1


async def test_notes_ask_the_database_nothing_and_a_flush_asks_little(watched: SqlStore) -> None:
    digests = [await push(watched, image(n).manifest, f"t{n}") for n in range(20)]
    database(watched).asked.clear()
    for n in range(2000):
        watched.pulls.note(NAME, Tag(f"t{n % 20}"), digests[n % 20])
    assert database(watched).asked == []
    await watched.pulls.flush()
    assert len(database(watched).asked) <= 2
    database(watched).asked.clear()
    await watched.pulls.flush()
    assert database(watched).asked == []
    assert sum((await facts(watched)).values()) == 2000


async def test_a_flush_that_failed_is_made_good_by_the_next(watched: SqlStore) -> None:
    digest = await push(watched, image("a").manifest, "v1")
    for _ in range(2):
        watched.pulls.note(NAME, V1, digest)
    database(watched).is_away = True
    with pytest.raises(DatabaseUnavailable):
        await watched.pulls.flush()
    watched.pulls.note(NAME, V1, digest)
    database(watched).is_away = False
    await watched.pulls.flush()
    assert await facts(watched) == {(NAME.text, "v1", digest): 3}


async def test_pulls_noted_during_a_flush_are_not_lost(sql: SqlStore) -> None:
    digest = await push(sql, image("a").manifest, "v1")

    async def note_all() -> None:
        for _ in range(200):
            sql.pulls.note(NAME, V1, digest)
            await asyncio.sleep(0)

    async def flush_often() -> None:
        for _ in range(10):
            await sql.pulls.flush()
            await asyncio.sleep(0)

    await asyncio.gather(note_all(), flush_often())
    await sql.pulls.flush()
    assert await facts(sql) == {(NAME.text, "v1", digest): 200}
