"""What PostgreSQL plans for a push: a session plans its statements in its first pushes, and keeps these plans."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import pytest

from moorage.metadata.sql.journal_rows import QUERIES
from support.postgres import Postgres, migrated

PATH = "group/app"
CUSTOM_PLANS = 5
"""So many times PostgreSQL plans a statement for its arguments, before it asks itself whether that is worth it."""
FILLED = """
    INSERT INTO blobs (digest, size, created_at)
        SELECT '\\x01'::bytea || sha256(int4send(n)), 5, now() FROM generate_series(1, 5000) n;
    INSERT INTO repository_blobs (repository_id, blob_id, created_at)
        SELECT r.id, b.id, now() FROM blobs b CROSS JOIN repositories r ON CONFLICT DO NOTHING;
    INSERT INTO manifests (repository_id, digest, media_type, artifact_type, size, total_size, created_at, payload)
        SELECT r.id, b.digest, '', '', 1, 1, now(), '' FROM blobs b CROSS JOIN repositories r ON CONFLICT DO NOTHING;
"""
READ = """
    SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables
    WHERE relname IN ('blobs', 'repository_blobs', 'manifests', 'gc_blob_review_queue', 'layers')
"""

Arguments = Callable[[], Sequence[object]]


@pytest.fixture
async def session(postgres: Postgres) -> AsyncIterator[asyncpg.Connection]:
    """One that sees a new database."""
    connection = await asyncpg.connect(postgres.dsn(migrated(postgres)), statement_cache_size=1)
    yield connection
    await connection.close()


def digest() -> bytes:
    return b"\x01" + os.urandom(32)


def link(blob: bytes) -> Sequence[object]:
    """Arguments of ``link_placed_blob``."""
    return PATH, blob, 5, 1, datetime.now(UTC), 0


def put(layers: Sequence[bytes], *, children: Sequence[bytes] = (), absent: Sequence[bytes] = ()) -> Sequence[object]:
    """Arguments of ``put_manifest``, of an image with a tag; what is *absent* may be so."""
    of_config = (layers[0], "application/vnd.oci.image.config.v1+json", b"{}")
    needed = ([*layers[1:], *absent], [*children, *absent], ["latest"], [*layers, *children])
    return (PATH, digest(), "", "", os.urandom(9), 5, *of_config, None, None, *needed, datetime.now(UTC), "", "", "")


async def pushed(session: asyncpg.Connection, count: int) -> list[bytes]:
    """Blobs that the repository has."""
    statement = await session.prepare(QUERIES["link_placed_blob"].postgres)
    blobs = [digest() for _ in range(count)]
    for blob in blobs:
        assert await statement.fetchval(*link(blob)) is True
    return blobs


async def test_a_push_plans_nothing_anew_in_a_session_that_knows_it(session: asyncpg.Connection) -> None:
    blobs = await pushed(session, 3)
    asked: dict[str, Arguments] = {
        "link_placed_blob": lambda: link(digest()),
        "asked_blob": lambda: (PATH, blobs[0]),
        "known_blobs": lambda: (PATH, blobs[:2]),
        "known_manifests": lambda: (PATH, blobs[:2]),
        "put_manifest": lambda: put(blobs),
    }
    planned: list[str] = []
    session.add_log_listener(lambda _, message: planned.append(message.message))
    anew = {}
    for name, arguments in asked.items():
        statement = await session.prepare(QUERIES[name].postgres)
        await session.execute("SET client_min_messages = log; SET log_planner_stats = on")
        for _ in range(CUSTOM_PLANS + 1):
            await statement.fetch(*arguments())
        await asyncio.sleep(0)  # Listeners are called by the loop.
        before = planned.count("PLANNER STATISTICS")
        assert before > 0
        await statement.fetch(*arguments())
        await session.execute("RESET log_planner_stats")
        anew[name] = planned.count("PLANNER STATISTICS") - before
        planned.clear()
    assert anew == dict.fromkeys(asked, 0)


async def test_a_session_that_saw_an_empty_database_reads_as_little_once_it_is_filled(
    postgres: Postgres, session: asyncpg.Connection
) -> None:
    for table in ("blobs", "repository_blobs", "manifests"):  # As it is in the first minute.
        await session.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    blobs = await pushed(session, 3)
    statement = await session.prepare(QUERIES["put_manifest"].postgres)
    for _ in range(CUSTOM_PLANS + 1):
        first = put(blobs, absent=[digest()])
        assert await statement.fetchval(*first) == []
    child = first[1]
    assert isinstance(child, bytes)
    await asyncio.to_thread(postgres.psql, FILLED, await session.fetchval("SELECT current_database()"))
    known = await session.prepare(QUERIES["known_blobs"].postgres)
    async with session.transaction():
        assert await statement.fetchval(*put(blobs, children=[child], absent=[digest()])) == []
        assert len(await known.fetch(PATH, [*blobs, digest()])) == len(blobs)
        read = dict(await session.fetch(READ))
    assert {table: rows for table, rows in read.items() if rows > 100} == {}
