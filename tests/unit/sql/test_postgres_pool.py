"""Connections to a real PostgreSQL: how many, for how long, and who waits for them."""

import asyncio
import contextlib
import socket
from datetime import timedelta

import pytest

from moorage.errors import DatabaseUnavailable
from moorage.sql.database_place import PoolLimits, PostgresSettings
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.postgres import Postgres, migrated, opened
from unit.sql.statements import BACKEND, SLEEP, backend, count, put, q, until, until_running


@pytest.fixture(scope="module")
def dbname(postgres: Postgres) -> str:
    return migrated(postgres)


async def connections(database: PostgresDatabase) -> int:
    row = await database.first(q("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"))
    assert row is not None
    return int(row[0])


async def waiting(database: PostgresDatabase, callers: int) -> None:
    """Wait until so many callers wait for a connection."""

    async def wait() -> bool:
        return database.pool_stats.waiting == callers

    await until(f"{callers} callers wait", wait)


async def left(database: PostgresDatabase, connections: int) -> None:
    """Wait until so many connections are open."""

    async def are_left() -> bool:
        return database.pool_stats.opened == connections

    await until(f"{connections} connections are left", are_left)


async def use_at_once(database: PostgresDatabase, connections: int) -> None:
    """Have so many connections in use together."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(connections):
            session = await stack.enter_async_context(database.transaction())
            await session.all(SLEEP, 0)
        assert database.pool_stats.opened == connections


async def test_no_more_than_the_limit_are_open_and_who_comes_later_waits(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_open=3)) as database:
        release = asyncio.Event()
        at_once: list[int] = []
        held = 0

        async def hold() -> None:
            nonlocal held
            async with database.transaction() as session:
                await session.all(SLEEP, 0)
                held += 1
                at_once.append(held)
                await release.wait()
                held -= 1

        tasks = [asyncio.create_task(hold()) for _ in range(12)]
        await waiting(database, 9)
        assert database.pool_stats.opened == 3
        release.set()
        await asyncio.gather(*tasks)
        assert len(at_once) == 12
        assert max(at_once) <= 3
        assert await connections(database) == 3


async def test_without_a_limit_there_is_one(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_open=0)) as database:
        await use_at_once(database, 10)
        await asyncio.gather(*(database.all(SLEEP, 1) for _ in range(50)))
        assert database.pool_stats.opened == database.pool_stats.open_bound == 10


async def test_who_waits_for_too_long_is_told_so(postgres: Postgres, dbname: str) -> None:
    limits = PoolLimits(max_open=1)
    async with opened(postgres, dbname, pool=limits, queue_deadline=timedelta(seconds=0.1)) as database:
        async with database.transaction() as session:
            await session.all(SLEEP, 0)
            with pytest.raises(DatabaseUnavailable, match="all 1 connections"):
                await database.ping()
        await database.ping()


async def test_a_caller_that_went_away_while_it_waited_does_not_hold_up_the_rest(
    postgres: Postgres, dbname: str
) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_open=1)) as database:
        async with database.transaction() as session:
            await session.all(SLEEP, 0)
            gone = [asyncio.create_task(count(database)) for _ in range(3)]
            stays = asyncio.create_task(count(database))
            await waiting(database, 4)
            for task in gone:
                task.cancel()
        assert await stays >= 0
        assert [type(outcome) for outcome in await asyncio.gather(*gone, return_exceptions=True)] == [
            asyncio.CancelledError
        ] * 3


async def test_a_connection_handed_to_a_caller_that_just_went_away_goes_to_the_next(
    postgres: Postgres, dbname: str
) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_open=1)) as database:
        pool = database._pool
        link = await pool.acquire()
        first, second = (asyncio.create_task(pool.acquire()) for _ in range(2))
        await asyncio.sleep(0)
        pool.give_back(link)
        first.cancel()
        assert await asyncio.wait_for(second, 60) is link
        pool.give_back(link)


async def test_unused_connections_beyond_the_limit_are_closed(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_open=5, max_idle=2)) as database:
        await use_at_once(database, 5)
        assert database.pool_stats.opened == database.pool_stats.idle == 2
    async with opened(postgres, dbname, pool=PoolLimits(max_open=5, max_idle=0)) as database:
        assert await backend(database) != await backend(database)
        assert database.pool_stats.opened == 0


async def test_a_connection_unused_for_long_is_closed(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_idle_time=timedelta(seconds=0.2))) as database:
        await use_at_once(database, 3)

        async def only_what_is_used_is_left() -> bool:
            await database.ping()
            return database.pool_stats.opened == 1

        await until("those that nobody uses are closed", only_what_is_used_is_left)
        await left(database, 0)
        await database.ping()


async def test_an_old_connection_is_closed_once_it_is_not_in_use(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname, pool=PoolLimits(max_lifetime=timedelta(seconds=0.3))) as database:
        async with database.transaction() as session:
            before = await session.first(BACKEND)
            await asyncio.sleep(0.4)  # It may take longer.
            assert await session.first(BACKEND) == before
        assert (await backend(database),) != before
        await left(database, 0)


async def test_closing_waits_for_what_runs_and_then_no_longer(postgres: Postgres, dbname: str) -> None:
    async with opened(postgres, dbname) as database:
        write = asyncio.create_task(put(database, "a"))
        await asyncio.sleep(0)
        await database.close()
        await write
        with pytest.raises(DatabaseUnavailable, match="closed"):
            await database.ping()
    async with opened(postgres, dbname, drain_timeout=timedelta(seconds=0.1)) as database:
        async with opened(postgres, database.settings.dbname) as other:
            slow = asyncio.create_task(database.all(SLEEP, 600_000))
            await until_running(other)
            await database.close()
        with pytest.raises(DatabaseUnavailable):
            await slow


async def test_opening_needs_no_server() -> None:
    database = await PostgresDatabase.open(PostgresSettings(host="127.0.0.1", port=1, user="u", dbname="d"))
    with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1: "):
        await database.ping()
    await database.close()


async def test_a_failed_attempt_is_told_to_all_that_wait_for_it() -> None:
    attempts = 0

    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        settings = PostgresSettings(host="127.0.0.1", port=port, user="u", dbname="d", pool=PoolLimits(max_open=1))
        database = await PostgresDatabase.open(settings)
        outcomes = await asyncio.gather(*(database.ping() for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
        assert 1 <= attempts < 5
        await database.close()


async def test_a_silent_host_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # The kernel takes connections; nobody answers.
        port = server.getsockname()[1]
        settings = PostgresSettings(
            host="127.0.0.1", port=port, user="u", dbname="d", connect_timeout=timedelta(seconds=0.2)
        )
        database = await PostgresDatabase.open(settings)
        with pytest.raises(DatabaseUnavailable, match="in time"):
            await database.ping()
        await database.close()
