"""Workers of background migrations: one at a time, killed or cut off in the middle, and patient with an archive."""

import asyncio
import contextlib
from datetime import timedelta

import pytest

from moorage.metadata.background import background_runner
from moorage.metadata.background.background_migrations import (
    NULL_STRATEGY,
    QUERIES,
    FailureCode,
    Status,
    unfinished,
)
from moorage.metadata.background.background_runner import (
    JobOutcome,
    Runner,
    run_all,
    run_background_migrations,
)
from moorage.metadata.schema import migrator
from moorage.metadata.schema.migration_plan import Wish
from moorage.sql.database_place import DatabasePlace
from moorage.work.reports import WorkReports
from support.background import (
    MIGRATE,
    Jobs,
    Settings,
    WaitingJobs,
    add,
    all_steps,
    end_lease,
    fill,
    jobs_of,
    statuses,
    values,
)
from support.migrations import as_argument, rows, start, using
from support.postgres import Postgres, settings_for

WORKED, FAILED, ENDED = JobOutcome.WORKED, JobOutcome.FAILED, JobOutcome.ENDED
RANGES = [(1, 30), (31, 60), (61, 75)]


async def test_a_worker_that_is_killed_in_the_middle_of_a_batch_leaves_nothing_and_it_is_done_once(
    numbers: DatabasePlace,
) -> None:
    await add(numbers)
    with start(MIGRATE, as_argument(numbers)) as child:
        assert child.stdout is not None
        assert await asyncio.to_thread(child.stdout.readline) == "begun\n"
        child.kill()
    async with using(numbers) as database:
        jobs = Jobs()
        assert not await Runner(database, jobs=jobs).take_turn()
        await end_lease(database)
        assert await run_all(database, jobs=jobs) == 1
    assert [(batch.first, batch.last) for batch in jobs.batches] == RANGES
    assert await jobs_of(numbers) == [(*RANGES[0], 2, 1), (*RANGES[1], 2, 1), (*RANGES[2], 2, 1)]
    assert await values(numbers) == {1}


async def test_a_batch_that_kills_every_worker_is_given_up(numbers: DatabasePlace) -> None:
    await add(numbers, last=20)
    async with using(numbers) as database:
        for _ in range(2):
            jobs = WaitingJobs()
            step = asyncio.create_task(Runner(database, jobs=jobs).step())
            await jobs.begun.wait()
            step.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await step
        assert await jobs_of(numbers) == [(1, 20, Status.ACTIVE, 2)]
        assert await all_steps(Runner(database, jobs=Jobs(), attempt_limit=2)) == [ENDED]
    assert await statuses(numbers) == [("raise", Status.FAILED, FailureCode.MAX_JOB_RETRY)]


async def test_a_worker_that_slept_too_long_does_nothing_twice(numbers: DatabasePlace) -> None:
    await add(numbers, last=20)
    jobs, late = WaitingJobs(), Jobs()
    async with using(numbers) as database, using(numbers) as other, asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(Runner(database, jobs=jobs).step())
        await jobs.begun.wait()
        # Its time is over, and another one takes the job, which is not noted as done yet.
        second = tasks.create_task(Runner(other, jobs=late).step())
        await asyncio.sleep(0.3)
        jobs.may_end.set()
    assert (sleeper.result(), second.result()) == (WORKED, JobOutcome.ELSEWHERE)
    assert late.batches == []
    assert await rows(numbers, "SELECT DISTINCT value FROM numbers WHERE id <= 20") == [(1,)]


async def test_two_workers_share_the_work_and_never_a_job(numbers: DatabasePlace) -> None:
    await add(numbers)
    await add(numbers, "second", job="fill", column="other", last=0, strategy=NULL_STRATEGY)
    jobs = Jobs()
    async with using(numbers) as database, using(numbers) as other:
        workers = [
            asyncio.create_task(run_background_migrations(each, Settings(), jobs=jobs, start_jitter=timedelta(0)))
            for each in (database, other)
        ]
        async with asyncio.timeout(60):
            while await unfinished(database, ["raise", "second"]):  # noqa: ASYNC110 - a database raises no event
                await asyncio.sleep(0.02)
        assert not any(worker.done() for worker in workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    assert await values(numbers) == {1}
    assert len(jobs.batches) == 6
    assert [attempts for *_, attempts in await jobs_of(numbers)] == [1] * 6


async def test_a_run_waits_for_the_worker_that_is_at_it(numbers: DatabasePlace) -> None:
    await add(numbers)
    waits: list[str] = []

    class Waiting(WorkReports):
        def says(self, text: str) -> None:
            waits.append(text)

    async with using(numbers) as database:
        first = Runner(database, jobs=Jobs())
        assert await first.take_turn()
        async with asyncio.TaskGroup() as tasks:
            run = tasks.create_task(
                run_all(database, jobs=Jobs(), reports=Waiting(), turn_pause=timedelta(milliseconds=20))
            )
            await asyncio.sleep(0.2)
            assert await values(numbers) == {0}
            await first.end_turn()
        assert run.result() == 1
    assert len(waits) > 1


async def test_a_worker_outlives_a_database_that_is_away(numbers: DatabasePlace) -> None:
    async with using(numbers) as database:
        worker = asyncio.create_task(run_background_migrations(database, Settings(), start_jitter=timedelta(0)))
    await asyncio.sleep(0.1)
    assert not worker.done()
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_a_worker_waits_while_the_archive_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"archive_mode": "on", "archive_command": "/bin/true"}
    with Postgres(settings=settings) as postgres:
        where = settings_for(postgres, postgres.create_database())
        await migrator.up(where, Wish())
        await fill(where)
        await add(where)
        async with using(where) as database:
            row = await database.first(QUERIES["archive"])
            assert row is not None
            assert len(row[0]) == 24
            assert not await Runner(database).is_throttled()
            monkeypatch.setattr(background_runner, "_WAL_SEGMENT_LIMIT", -1)
            worker = asyncio.create_task(
                run_background_migrations(database, Settings(), jobs=Jobs(), start_jitter=timedelta(0))
            )
            await asyncio.sleep(0.3)
            assert await jobs_of(where) == []
            monkeypatch.undo()
            async with asyncio.timeout(30):
                while await unfinished(database, ["raise"]):  # noqa: ASYNC110 - a database raises no event
                    await asyncio.sleep(0.02)
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
