"""Upload sessions in the database: noted without waiting, found by their age."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from contract.metadata.databases import WatchedDatabase
from contract.metadata.pushing import NAME, OTHER
from contract.metadata.stores import SqlStore, sql_store
from moorage.core.maintenance import purge_listed_uploads
from moorage.core.uploads import Uploads
from moorage.errors import DatabaseUnavailable
from moorage.metadata.base import UploadSession
from moorage.metadata.layout import LayoutLinks
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver
from moorage.storage.upload_sinks import sink_of
from unit.core.breaking import DenyingDriver
from unit.core.test_purge import Clock

SOON = timedelta(minutes=1)


async def stale(store: SqlStore, *, limit: int = 100) -> list[UploadSession]:
    """All sessions that there are, as any was started before a minute from now."""
    return list(await store.sessions.stale(before=datetime.now(UTC) + SOON, limit=limit))


async def ids(store: SqlStore) -> list[str]:
    return sorted(session.id for session in await stale(store))


async def test_a_noted_session_is_known_to_others_after_a_flush(sql: SqlStore, other_sql: SqlStore) -> None:
    sql.sessions.note(NAME, "s1")
    assert await stale(other_sql) == []
    await sql.sessions.flush()
    (found,) = await stale(other_sql)
    assert (found.name, found.id) == (NAME, "s1")
    assert abs(found.started_at - datetime.now(UTC)) < SOON
    assert found.started_at.utcoffset() == timedelta(0)


async def test_only_sessions_older_than_asked_come_and_the_oldest_first(sql: SqlStore) -> None:
    for n in range(5):
        sql.sessions.note((NAME, OTHER)[n % 2], f"s{9 - n}")
        await sql.sessions.flush()
        await asyncio.sleep(0.005)
    found = await stale(sql)
    assert [session.id for session in found] == ["s9", "s8", "s7", "s6", "s5"]
    assert [session.name for session in found] == [NAME, OTHER, NAME, OTHER, NAME]
    assert [session.id for session in await stale(sql, limit=2)] == ["s9", "s8"]
    older = await sql.sessions.stale(before=found[2].started_at, limit=10)
    assert [session.id for session in older] == ["s9", "s8"]
    assert await sql.sessions.stale(before=datetime.now(UTC) - timedelta(hours=1), limit=10) == []


async def test_a_session_that_goes_on_keeps_the_time_of_its_start(sql: SqlStore, other_sql: SqlStore) -> None:
    sql.sessions.note(NAME, "s1")
    await sql.sessions.flush()
    before = await stale(sql)
    for view in (sql, other_sql):
        view.sessions.note(NAME, "s1")
        await view.sessions.flush()
    assert await stale(sql) == before


async def test_a_session_that_ended_is_known_no_more(sql: SqlStore, other_sql: SqlStore) -> None:
    for session in ("s1", "s2", "s3"):
        sql.sessions.note(NAME, session)
    sql.sessions.forget("s1")
    await sql.sessions.flush()
    assert await ids(sql) == ["s2", "s3"]
    other_sql.sessions.forget("s2")
    assert await ids(sql) == ["s2", "s3"]
    await other_sql.sessions.flush()
    assert await ids(sql) == ["s3"]


async def test_what_nobody_noted_can_be_forgotten(sql: SqlStore) -> None:
    sql.sessions.forget("never")
    await sql.sessions.flush()
    assert await ids(sql) == []


async def test_a_thousand_short_sessions_ask_the_database_nothing(sql: SqlStore) -> None:
    database = WatchedDatabase(sql.database)
    watched = sql_store(database)
    for n in range(1000):
        watched.sessions.note(NAME, f"s{n}")
        watched.sessions.forget(f"s{n}")
    await watched.sessions.flush()
    assert len(database.asked) <= 1
    assert await ids(sql) == []


async def test_a_flush_that_failed_is_made_good_by_the_next(sql: SqlStore) -> None:
    database = WatchedDatabase(sql.database)
    watched = sql_store(database)
    for session in ("s1", "s2"):
        watched.sessions.note(NAME, session)
    await watched.sessions.flush()
    watched.sessions.note(NAME, "s3")
    watched.sessions.forget("s1")
    database.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await watched.sessions.flush()
    database.is_away = False
    await watched.sessions.flush()
    assert await ids(sql) == ["s2", "s3"]


async def test_two_processes_note_the_same_sessions(sql: SqlStore, other_sql: SqlStore) -> None:
    for n in range(50):
        sql.sessions.note(NAME, f"s{n:02}")
        other_sql.sessions.note(NAME, f"s{49 - n:02}")
    await asyncio.gather(sql.sessions.flush(), other_sql.sessions.flush())
    assert await ids(sql) == [f"s{n:02}" for n in range(50)]


async def test_a_listed_session_that_could_not_be_removed_keeps_no_other_and_is_tried_again(sql: SqlStore) -> None:
    """It was taken from the list, so that its bytes lay there until the registry was started again."""
    storage = MemoryDriver()
    denying = DenyingDriver(storage)
    clock = Clock()
    clock.time = datetime.now(UTC)
    sink = sink_of(denying)
    uploads = Uploads(denying, LayoutLinks(storage), sessions=sql.sessions, sink=sink, now=clock)
    started = [(await uploads.start(NAME)).id for _ in range(3)]
    await sql.sessions.flush()
    clock.time += timedelta(days=8)
    purge = partial(purge_listed_uploads, uploads, age=timedelta(days=7))
    assert await purge(dry_run=True) == 3
    denying.denied = f"delete {paths.upload(NAME, started[0])}"
    assert await purge(dry_run=False) == 2
    denying.denied = ""
    assert await purge(dry_run=False) == 1
    assert await storage.list(paths.uploads(NAME)) == []
    assert await purge(dry_run=False) == 0
