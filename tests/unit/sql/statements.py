"""Statements that the tests of PostgreSQL share, and what they ask the server about others."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from moorage.sql.base import NamedQuery
from moorage.sql.postgres.postgres_database import PostgresDatabase


def q(text: str) -> NamedQuery:
    return NamedQuery("test", "", text)


NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
PUT = q("INSERT INTO leases (name, holder, expires_at) VALUES ($1, $2, $3) RETURNING holder")
GET = q("SELECT holder, expires_at FROM leases WHERE name = $1")
COUNT = q("SELECT count(*) FROM leases")
BACKEND = q("SELECT pg_backend_pid()")
SLEEP = q("SELECT pg_sleep($1::bigint * 0.001)")
"""Takes as many milliseconds as it is told."""
_PATIENCE_S = 60.0
"""For what takes milliseconds on an idle machine."""
_OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"
_RUNNING = q(f"SELECT state || ': ' || query FROM pg_stat_activity WHERE {_OTHERS} AND state <> 'idle'")  # noqa: S608 - ours
_LOCKS = q(
    "SELECT relation::regclass::text FROM pg_locks JOIN pg_stat_activity USING (pid)"  # noqa: S608 - ours
    f" WHERE {_OTHERS} AND relation IS NOT NULL"
)
END_OTHERS = q(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OTHERS}")  # noqa: S608 - ours
"""Ends all other connections to this database, as an administrator does."""


async def put(database: PostgresDatabase, name: str) -> None:
    await database.write(PUT, name, "me", NOON)


async def count(database: PostgresDatabase) -> int:
    row = await database.first(COUNT)
    assert row is not None
    return int(row[0])


async def backend(database: PostgresDatabase) -> int:
    """The process id of the connection that is used next."""
    row = await database.first(BACKEND)
    assert row is not None
    return int(row[0])


async def running(database: PostgresDatabase) -> list[str]:
    """Statements of others on this database that run, or wait in a transaction."""
    return [row[0] for row in await database.all(_RUNNING)]


async def until_running(database: PostgresDatabase) -> None:
    """Wait until a statement of others runs on this database."""

    async def runs() -> bool:
        return bool(await running(database))

    await until("a statement runs", runs)


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until *holds*; fail with *what* if it does not."""
    deadline = time.monotonic() + _PATIENCE_S
    while not await holds():
        assert time.monotonic() < deadline, f"not within {_PATIENCE_S} s: {what}"
        await asyncio.sleep(0.005)


async def locks(database: PostgresDatabase) -> list[str]:
    """Tables that others hold locks of."""
    return [row[0] for row in await database.all(_LOCKS)]
