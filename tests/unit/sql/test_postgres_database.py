"""PostgresDatabase against a real PostgreSQL: statements, transactions, deadlines, callers that go away."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from moorage.errors import DatabaseConflict, DatabaseContended, DatabaseUnavailable
from moorage.sql.database_place import PoolLimits
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.postgres import Postgres, migrated, opened
from unit.sql.statements import COUNT, GET, NOON, PUT, SLEEP, backend, count, locks, put, q, running


@pytest.fixture(scope="module")
def dbname(postgres: Postgres) -> str:
    return migrated(postgres)


@pytest.fixture(params=[True, False], ids=["prepared", "unprepared"])
async def database(postgres: Postgres, dbname: str, request: pytest.FixtureRequest) -> AsyncIterator[PostgresDatabase]:
    async with opened(postgres, dbname, prepared_statements=request.param) as database:
        await database.write(q("DELETE FROM leases"))
        yield database


async def test_what_was_written_is_read(database: PostgresDatabase) -> None:
    assert await database.write(PUT, "a", "me", NOON) == [("me",)]
    assert await database.first(GET, "a") == ("me", NOON)
    assert await database.all(GET, "a") == [("me", NOON)]
    assert await database.first(GET, "b") is None


async def test_any_takes_a_list(database: PostgresDatabase) -> None:
    await put(database, "a")
    await put(database, "b")
    found = await database.all(q("SELECT name FROM leases WHERE name = ANY($1) ORDER BY name"), ["b", "a", "z"])
    assert found == [("a",), ("b",)]


async def test_a_transaction_is_kept_when_its_block_ends(database: PostgresDatabase) -> None:
    async with database.transaction() as session:
        await session.run_many(PUT, [(f"n{n}", "me", NOON) for n in range(1000)])
        assert await session.first(COUNT) == (1000,)
        assert await count(database) == 0, "others see nothing before the end"
    assert await count(database) == 1000


async def test_a_transaction_is_undone_when_its_block_raises(database: PostgresDatabase) -> None:
    with pytest.raises(KeyError):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await session.all(PUT, "a", "me", NOON)
            raise KeyError
    assert await count(database) == 0
    assert database.pool_stats.opened == 1


async def test_a_constraint_is_a_conflict_and_no_reason_to_connect_anew(database: PostgresDatabase) -> None:
    await put(database, "a")
    before = await backend(database)
    with pytest.raises(DatabaseConflict, match="leases_pkey"):
        await put(database, "a")
    with pytest.raises(DatabaseConflict):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await session.all(PUT, "b", "me", NOON)
            await session.run_many(PUT, [("a", "me", NOON)])
    assert await count(database) == 1
    assert await backend(database) == before


async def test_an_error_that_a_block_swallows_is_not_taken_for_success(database: PostgresDatabase) -> None:
    await put(database, "a")
    with pytest.raises(DatabaseUnavailable, match="undid"):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            with pytest.raises(DatabaseConflict):
                await session.all(PUT, "a", "me", NOON)


async def test_a_mistake_in_a_statement_stays_what_it_is(database: PostgresDatabase) -> None:
    before = await backend(database)
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await database.all(q("SELEKT 1"))
    with pytest.raises(asyncpg.DataError):
        await database.all(SLEEP, "soon")
    assert await backend(database) == before
    with pytest.raises(asyncpg.InterfaceError):
        await database.all(GET)
    await put(database, "a")


async def test_a_schema_that_changes_meanwhile_does_no_harm(postgres: Postgres) -> None:
    dbname = migrated(postgres)
    everything = q("SELECT * FROM leases")
    async with opened(postgres, dbname, prepared_statements=True) as database:
        await put(database, "a")
        assert await database.all(everything) == [("a", "me", NOON)]
        postgres.psql("ALTER TABLE leases ADD COLUMN note text DEFAULT 'none'", dbname)
        assert await database.all(everything) == [("a", "me", NOON, "none")]
    async with opened(postgres, dbname, prepared_statements=False) as database:
        assert await database.all(everything) == [("a", "me", NOON, "none")]
        postgres.psql("ALTER TABLE leases DROP COLUMN note", dbname)
        assert await database.all(everything) == [("a", "me", NOON)]


async def test_a_statement_that_takes_too_long_is_given_up_and_cancelled(postgres: Postgres) -> None:
    async with opened(postgres, statement_deadline=timedelta(seconds=0.2)) as database:
        with pytest.raises(DatabaseUnavailable, match="in time"):
            await database.all(SLEEP, 30_000)
        with pytest.raises(DatabaseUnavailable, match="in time"):  # noqa: PT012 - the block as a whole fails
            async with database.transaction() as session:
                await session.all(PUT, "a", "me", NOON)
                await session.all(SLEEP, 30_000)
        assert await count(database) == 0
        assert await running(database) == []
        assert database.pool_stats.opened == 1


async def test_a_transaction_whose_holder_vanished_does_not_keep_its_locks(postgres: Postgres) -> None:
    # The connection stays open and silent, as when a node loses its network.
    async with opened(postgres, statement_deadline=timedelta(seconds=0.3)) as database:
        with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
            async with database.transaction() as session:
                await session.all(PUT, "a", "me", NOON)
                assert await locks(database) != []
                await asyncio.sleep(0.6)
                assert await locks(database) == []


async def test_a_statement_of_a_caller_that_went_away_is_cancelled(database: PostgresDatabase) -> None:
    for _ in range(3):
        task = asyncio.create_task(database.all(SLEEP, 30_000))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await running(database) == []
    assert database.pool_stats.opened == 1, "those that were given up are closed"


async def test_nobody_gets_the_answer_of_a_statement_that_was_given_up(postgres: Postgres, dbname: str) -> None:
    source = random.Random(7)
    echo = q("SELECT $1::text, pg_sleep($2 / 1000000.0)")

    async def ask(database: PostgresDatabase, number: int) -> None:
        patience_s = source.choice((0.0, 0.0005, 0.001, 0.002, 1.0))
        try:
            async with asyncio.timeout(patience_s):
                row = await database.first(echo, str(number), source.randrange(2000))
        except TimeoutError:
            return
        assert row is not None
        assert row[0] == str(number)

    async with opened(postgres, dbname, pool=PoolLimits(max_open=3)) as database:
        for start in range(0, 600, 6):
            await asyncio.gather(*(ask(database, start + n) for n in range(6)))
        assert await running(database) == []


@pytest.mark.parametrize("steps", range(0, 24, 2))
async def test_a_transaction_cancelled_anywhere_leaves_nothing_behind(database: PostgresDatabase, steps: int) -> None:
    async def write() -> None:
        async with database.transaction() as session:
            await session.all(PUT, "a", "me", NOON)
            await session.first(COUNT)
            await session.all(PUT, "b", "me", NOON)

    await database.ping()
    task = asyncio.create_task(write())
    for _ in range(steps):
        await asyncio.sleep(0.0001)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert outcome is None or isinstance(outcome, asyncio.CancelledError)
    # A backend that has begun a statement plans it before it notices that its client has gone.
    async with asyncio.timeout(60):
        while await running(database) or await locks(database):  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
    assert await count(database) in ({2} if outcome is None else {0, 2})
    await put(database, "c")
    assert database.pool_stats.opened == database.pool_stats.idle == 1


async def test_a_caller_that_went_away_while_all_waits_is_not_waited_for_long(postgres: Postgres) -> None:
    async with opened(postgres, pool=PoolLimits(max_open=1)) as database:
        holder = asyncio.create_task(database.all(SLEEP, 600_000))
        waiting = asyncio.create_task(database.first(COUNT))
        while database.pool_stats.waiting < 1:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not holder.done()
        holder.cancel()
        with pytest.raises(asyncio.CancelledError):
            await holder
        assert await count(database) == 0


async def test_a_deadlocked_write_is_sent_again_and_a_transaction_is_told(postgres: Postgres) -> None:
    dbname = migrated(postgres)
    postgres.psql(f"ALTER DATABASE {dbname} SET deadlock_timeout = '100ms'")
    take = q("UPDATE leases SET holder = $1 WHERE name = $2")
    b_then_a = q(
        """WITH first AS (UPDATE leases SET holder = $1 WHERE name = 'b' RETURNING name)
        UPDATE leases SET holder = $1 WHERE name = 'a' AND (SELECT count(*) FROM first) = 1 RETURNING name"""
    )
    async with opened(postgres, dbname) as database:
        await put(database, "a")
        await put(database, "b")
        async with database.transaction() as session:
            await session.all(take, "transaction", "a")
            write = asyncio.create_task(database.write(b_then_a, "write"))
            await asyncio.sleep(0.05)
            # The write came to wait first, so it is the one that finds out, and that is undone.
            await session.all(take, "transaction", "b")
        assert await write == [("a",)]
        assert await database.all(q("SELECT holder FROM leases")) == [("write",), ("write",)]

        async def transaction(*names: str) -> None:
            async with database.transaction() as session:
                for name in names:
                    await session.all(take, "x", name)
                    await asyncio.sleep(0.05)

        outcomes = await asyncio.gather(transaction("a", "b"), transaction("b", "a"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [DatabaseContended]
