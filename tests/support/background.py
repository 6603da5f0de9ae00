"""Something for background migrations to do: numbers, of which each is to be raised by one, once."""

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.metadata.background.background_migrations import Batch, JobRegistry
from moorage.metadata.background.background_runner import JobOutcome, Runner
from moorage.sql.base import Database, Transaction
from moorage.sql.database_place import DatabasePlace
from support.migrations import located, rows, run, said, using

COUNT = 25
IDS = range(3, 3 * COUNT + 1, 3)
"""With gaps, as ids have them."""

MIGRATE = """
import asyncio, sys
from support.background import die
asyncio.run(die(sys.argv[1]))
"""
"""A process that begins a batch, says so and waits to be killed; its argument is :func:`as_argument`."""


async def fill(where: DatabasePlace) -> None:
    """A table whose values are 0, and an index on those that have none."""
    await run(where, "CREATE TABLE numbers (id integer PRIMARY KEY, value integer, other integer)")
    await run(where, "CREATE INDEX numbers_without_other ON numbers (id) WHERE other IS NULL")
    async with using(where) as database, database.transaction() as session:
        await session.run_many(said("INSERT INTO numbers (id, value) VALUES ($1, 0)"), [(number,) for number in IDS])


async def add(
    where: DatabasePlace,
    name: str = "raise",
    *,
    job: str = "raise",
    table: str = "numbers",
    column: str = "id",
    last: int = IDS[-1],
    strategy: str | None = None,
    status: int = 1,
) -> None:
    """A background migration, as a schema migration adds it."""
    await run(
        where,
        "INSERT INTO batched_background_migrations (name, min_value, max_value, batch_size, status, job_signature_name,"
        " table_name, column_name, batching_strategy) VALUES ($1, 1, $2, 10, $3, $4, $5, $6, $7)",
        name,
        last,
        status,
        job,
        table,
        column,
        strategy,
    )


class Jobs(JobRegistry):
    """``raise`` raises the numbers of its batch, ``fill`` gives a value to those without; both note what they did."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []
        self.broken_at: int | None = None
        """An id with which ``raise`` cannot do."""
        self.register("raise", self._raise)
        self.register("fill", self._fill)

    async def _raise(self, session: Transaction, batch: Batch) -> None:
        self.batches.append(batch)
        await session.all(
            said(f"UPDATE {batch.table} SET value = value + 1 WHERE {batch.column} >= $1 AND {batch.column} <= $2"),  # noqa: S608 - names of ours
            batch.first,
            batch.last,
        )
        if self.broken_at is not None and batch.first <= self.broken_at <= batch.last:
            msg = f"{self.broken_at} is broken"
            raise ValueError(msg)

    async def _fill(self, session: Transaction, batch: Batch) -> None:
        self.batches.append(batch)
        await session.all(
            said("UPDATE numbers SET other = 7 WHERE id IN (SELECT id FROM numbers WHERE other IS NULL LIMIT $1)"),
            batch.limit,
        )


class WaitingJobs(JobRegistry):
    """``raise`` waits in the middle of its transaction until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.register("raise", self._raise)

    async def _raise(self, session: Transaction, batch: Batch) -> None:
        await session.all(
            said("UPDATE numbers SET value = value + 1 WHERE id >= $1 AND id <= $2"), batch.first, batch.last
        )
        self.begun.set()
        await self.may_end.wait()


async def values(where: DatabasePlace) -> set[int]:
    return {int(value) for (value,) in await rows(where, "SELECT DISTINCT value FROM numbers")}


async def statuses(where: DatabasePlace) -> list[tuple[str, int, int | None]]:
    found = await rows(where, "SELECT name, status, failure_error_code FROM batched_background_migrations ORDER BY id")
    return [(name, status, failure) for name, status, failure in found]


async def jobs_of(where: DatabasePlace) -> list[tuple[int, int, int, int]]:
    """First, last, status, attempts."""
    found = await rows(
        where, "SELECT min_value, max_value, status, attempts FROM batched_background_migration_jobs ORDER BY id"
    )
    return [(first, last, status, attempts) for first, last, status, attempts in found]


async def all_steps(runner: Runner, limit: int = 100) -> list[JobOutcome]:
    """What comes of each step until there is nothing to do."""
    found: list[JobOutcome] = []
    while (outcome := await runner.step()) != JobOutcome.IDLE:
        found.append(outcome)
        assert len(found) < limit, found
    return found


async def end_lease(database: Database) -> None:
    """As if the time of the worker that was killed were over."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    await database.write(said("UPDATE leases SET expires_at = $1"), past)


async def die(argument: str) -> None:
    jobs = WaitingJobs()
    async with using(located(argument)) as database:
        runner = Runner(database, jobs=jobs)
        assert await runner.take_turn()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(runner.step())
            await jobs.begun.wait()
            sys.stdout.write("begun\n")
            sys.stdout.flush()


@dataclass
class Settings:
    """What a worker is told by the configuration."""

    maxjobretries: int = 0
    jobinterval: timedelta = timedelta(milliseconds=5)
