"""Background migrations: batches, failures and retries, pause and resume, progress."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.errors import MigrationFailed
from moorage.metadata.background.background_migrations import (
    KEYSET_STRATEGY,
    NULL_STRATEGY,
    Batch,
    FailureCode,
    Status,
    pause,
    progress,
    resume,
)
from moorage.metadata.background.background_runner import (
    LEASE,
    JobOutcome,
    Runner,
    pending_segments,
    run_all,
)
from moorage.sql.base import NamedQuery, Transaction
from moorage.sql.database_place import DatabasePlace
from moorage.sql.leases import Leases
from moorage.work.reports import WorkReports
from support.background import (
    COUNT,
    Jobs,
    WaitingJobs,
    add,
    all_steps,
    jobs_of,
    statuses,
    values,
)
from support.migrations import rows, using

WORKED, FAILED, ENDED = JobOutcome.WORKED, JobOutcome.FAILED, JobOutcome.ENDED
RANGES = [(1, 30), (31, 60), (61, 75)]


async def test_every_row_is_in_one_batch(numbers: DatabasePlace) -> None:
    await add(numbers)
    jobs = Jobs()
    async with using(numbers) as database:
        assert await all_steps(Runner(database, jobs=jobs)) == [WORKED, WORKED, WORKED, ENDED]
    assert [(batch.first, batch.last) for batch in jobs.batches] == RANGES
    assert await values(numbers) == {1}
    assert await statuses(numbers) == [("raise", Status.FINISHED, None)]
    assert await jobs_of(numbers) == [(first, last, Status.FINISHED, 1) for first, last in RANGES]
    ((started, finished, updated),) = await rows(
        numbers, "SELECT started_at, finished_at, updated_at FROM batched_background_migrations"
    )
    assert started < finished == updated


async def test_rows_without_a_value_are_looked_for_until_there_are_none(numbers: DatabasePlace) -> None:
    await add(numbers, job="fill", column="other", last=0, strategy=NULL_STRATEGY)
    jobs = Jobs()
    async with using(numbers) as database:
        assert await all_steps(Runner(database, jobs=jobs)) == [WORKED, WORKED, WORKED, ENDED]
    assert [(batch.first, batch.last, batch.limit) for batch in jobs.batches] == [(0, 0, 10)] * 3
    assert await rows(numbers, "SELECT DISTINCT other FROM numbers") == [(7,)]


async def test_looking_for_rows_without_a_value_needs_an_index(numbers: DatabasePlace) -> None:
    await add(numbers, job="fill", column="value", last=0, strategy=NULL_STRATEGY)
    async with using(numbers) as database:
        with pytest.raises(MigrationFailed, match="it needs an index on numbers where value IS NULL"):
            await Runner(database, jobs=Jobs()).step()
    assert await statuses(numbers) == [("raise", Status.RUNNING, None)]


async def test_without_rows_it_is_finished_at_once(numbers: DatabasePlace) -> None:
    await add(numbers, last=0)
    async with using(numbers) as database:
        assert await all_steps(Runner(database, jobs=Jobs())) == [ENDED]
    assert await jobs_of(numbers) == []


async def test_one_after_the_other(numbers: DatabasePlace) -> None:
    await add(numbers, "first")
    await add(numbers, "second", strategy=KEYSET_STRATEGY)
    jobs = Jobs()
    async with using(numbers) as database:
        await all_steps(Runner(database, jobs=jobs))
    assert [(batch.first, batch.last) for batch in jobs.batches] == RANGES * 2
    assert await values(numbers) == {2}


async def test_paused_ones_wait_and_go_on_where_they_were(numbers: DatabasePlace) -> None:
    await add(numbers)
    jobs = Jobs()
    async with using(numbers) as database:
        runner = Runner(database, jobs=jobs)
        assert await runner.step() == WORKED
        assert await pause(database) == ["raise"]
        assert await runner.step() == JobOutcome.IDLE
        assert await statuses(numbers) == [("raise", Status.PAUSED, None)]
        assert await pause(database) == []
        assert await resume(database) == ["raise"]
        assert await all_steps(runner) == [WORKED, WORKED, ENDED]
    assert await values(numbers) == {1}


async def test_those_that_pause_and_go_on_are_told_in_the_order_of_their_names(numbers: DatabasePlace) -> None:
    for name in ("second", "first", "third"):
        await add(numbers, name=name)
    async with using(numbers) as database:
        assert await pause(database) == ["first", "second", "third"]
        assert await resume(database) == ["first", "second", "third"]


async def test_a_pause_in_the_middle_of_a_job_is_not_forgotten(numbers: DatabasePlace) -> None:
    await add(numbers, last=20)
    jobs = WaitingJobs()
    async with using(numbers) as database, using(numbers) as other:
        async with asyncio.TaskGroup() as tasks:
            step = tasks.create_task(Runner(database, jobs=jobs).step())
            await jobs.begun.wait()
            pausing = tasks.create_task(pause(other))
            await asyncio.sleep(0.05)
            jobs.may_end.set()
        assert (step.result(), pausing.result()) == (WORKED, ["raise"])
        assert await Runner(database, jobs=jobs).step() == JobOutcome.IDLE
    assert await statuses(numbers) == [("raise", Status.PAUSED, None)]


async def test_a_job_that_fails_is_tried_again_after_the_others_and_leaves_nothing(numbers: DatabasePlace) -> None:
    await add(numbers)
    jobs = Jobs()
    jobs.broken_at = 40
    async with using(numbers) as database:
        runner = Runner(database, jobs=jobs, attempt_limit=3)
        assert await all_steps(runner) == [WORKED, FAILED, WORKED, FAILED, FAILED, ENDED]
        assert runner.last_error == "40 is broken"
    assert await statuses(numbers) == [("raise", Status.FAILED, FailureCode.MAX_JOB_RETRY)]
    assert await jobs_of(numbers) == [
        (1, 30, Status.FINISHED, 1),
        (31, 60, Status.FAILED, 3),
        (61, 75, Status.FINISHED, 1),
    ]
    assert await values(numbers) == {0, 1}


async def test_what_failed_is_run_again_by_command(numbers: DatabasePlace) -> None:
    await add(numbers)
    jobs = Jobs()
    jobs.broken_at = 40
    async with using(numbers) as database:
        with pytest.raises(MigrationFailed, match=r"background migration raise failed \(max_job_retry\): 40 is broken"):
            await run_all(database, jobs=jobs)
        assert [status for _, _, status, _ in await jobs_of(numbers)].count(Status.FAILED) == 1
        assert len(jobs.batches) == 4  # two attempts at the broken one
        jobs.broken_at = None
        assert await run_all(database, jobs=jobs) == 1
    assert await statuses(numbers) == [("raise", Status.FINISHED, None)]
    assert await values(numbers) == {1}


async def test_a_run_takes_paused_ones_along_and_says_how_far_it_is(numbers: DatabasePlace) -> None:
    await add(numbers, status=0)
    seen: list[tuple[str, float, str]] = []

    class Seen(WorkReports):
        def moved(self, part: str, done: float, *, total: float | None = None, said: str = "") -> None:
            del total
            seen.append((part, round(done, 2), said))

    async with using(numbers) as database:
        assert await run_all(database, jobs=Jobs(), reports=Seen()) == 1
        assert await Leases(database).holder(LEASE) is None
    assert [done for _, done, _ in seen] == [0.4, 0.8, 1.0, 1.0, 1.0]
    assert {name for name, _, _ in seen} == {"raise"}
    assert (seen[0][2], seen[-1][2]) == ("running", "finished")


async def test_a_run_during_which_somebody_pauses_says_so(numbers: DatabasePlace) -> None:
    await add(numbers)
    async with using(numbers) as database:

        class Pausing(WorkReports):
            def moved(self, part: str, done: float, *, total: float | None = None, said: str = "") -> None:
                del part, done, total, said
                tasks.create_task(pause(database))

        async with asyncio.TaskGroup() as tasks:
            with pytest.raises(MigrationFailed, match="background migration raise is paused, not finished"):
                await run_all(database, jobs=SlowJobs(), reports=Pausing())


class SlowJobs(Jobs):
    async def _raise(self, session: Transaction, batch: Batch) -> None:
        await super()._raise(session, batch)
        await asyncio.sleep(0.05)


async def test_a_job_that_takes_too_long_is_undone_and_counts_as_failed(numbers: DatabasePlace) -> None:
    await add(numbers)
    async with using(numbers) as database:
        runner = Runner(database, jobs=WaitingJobs(), job_deadline=timedelta(milliseconds=200))
        assert await runner.step() == FAILED
    assert await jobs_of(numbers) == [(1, 30, Status.FAILED, 1)]
    assert await values(numbers) == {0}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"table": "nothing"}, FailureCode.INVALID_TABLE),
        ({"table": "numbers; DROP TABLE numbers"}, FailureCode.INVALID_TABLE),
        ({"column": "nothing"}, FailureCode.INVALID_COLUMN),
        ({"column": "id) --"}, FailureCode.INVALID_COLUMN),
        ({"strategy": "Nothing"}, FailureCode.INVALID_BATCHING_STRATEGY),
    ],
)
async def test_what_makes_no_sense_fails_at_once(
    numbers: DatabasePlace, change: dict[str, str], code: FailureCode
) -> None:
    await add(numbers, **change)  # type: ignore[arg-type] # every key given is text
    async with using(numbers) as database:
        assert await Runner(database, jobs=Jobs()).step() == ENDED
    assert await statuses(numbers) == [("raise", Status.FAILED, code)]


async def test_a_job_that_only_newer_code_knows_waits_for_it(numbers: DatabasePlace) -> None:
    await add(numbers, job="unheard")
    async with using(numbers) as database:
        with pytest.raises(MigrationFailed, match="this version of Moorage has no job unheard"):
            await Runner(database, jobs=Jobs()).step()
    assert await statuses(numbers) == [("raise", Status.ACTIVE, None)]


def test_a_name_stands_for_one_job() -> None:
    jobs = Jobs()
    with pytest.raises(ValueError, match="there is a job function raise already"):
        jobs.register("raise", jobs._raise)


async def test_progress_is_told_by_ids_or_by_rows(numbers: DatabasePlace) -> None:
    await add(numbers)
    await add(numbers, "second", job="fill", column="other", last=0, strategy=NULL_STRATEGY)
    if not isinstance(numbers, Path):
        async with using(numbers) as database:
            await database.write(NamedQuery("analyze", "", "ANALYZE numbers"))
    jobs = Jobs()
    jobs.broken_at = 3
    async with using(numbers) as database:
        runner = Runner(database, jobs=jobs, attempt_limit=1)
        assert await runner.step() == FAILED
        assert await runner.step() == WORKED
        first, second = await progress(database)
        assert (round(first.done, 2), first.finished_jobs, first.failed_jobs) == (0.4, 1, 1)
        assert (second.done, second.migration.total) == (0.0, None)
        await all_steps(runner)
        first, second = await progress(database)
        assert (first.migration.status, second.migration.status) == (Status.FAILED, Status.FINISHED)
        assert second.done == 1.0
        assert second.migration.total == (None if isinstance(numbers, Path) else COUNT)


@pytest.mark.parametrize(
    ("current", "archived", "expected"),
    [
        ("000000010000000000000010", "00000001000000000000000F", 1),
        ("000000010000000100000002", "0000000100000000000000FE", 4),
        ("000000010000000100000002", "000000010000000100000002.00000028.backup", 0),
        ("000000020000000000000001", "00000002.history", 0),
        ("000000010000000000000001", "000000010000000000000005", 0),
        ("000000010000000000000001", None, 0),
    ],
)
def test_files_that_wait_for_the_archive_are_counted(current: str, archived: str | None, expected: int) -> None:
    assert pending_segments((current, archived, 16 * 2**20)) == expected


async def test_without_an_archive_nothing_is_throttled(numbers: DatabasePlace) -> None:
    async with using(numbers) as database:
        assert not await Runner(database).is_throttled()
