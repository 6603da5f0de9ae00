"""Running background migrations: one job after the other, by one worker on all nodes.

A job's work and the note that it is done are one transaction, and the note is written only by the worker that began
the job last. So a worker that was killed, or that slept so long that another one took its place, does nothing twice.

Source: GitLab features MDB-040, MDB-041, MDB-042.
"""

import asyncio
import dataclasses
import enum
import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

from moorage.errors import MigrationFailed
from moorage.metadata.background.background_migrations import (
    JOBS,
    KEYSET_STRATEGY,
    NULL_STRATEGY,
    QUERIES,
    BackgroundMigration,
    Batch,
    FailureCode,
    JobFunction,
    JobRegistry,
    MigrationProgress,
    Status,
    migration_of,
    progress,
    resume,
    retry_failed,
)
from moorage.sql.base import Database, NamedQuery, Row
from moorage.sql.leases import Leases
from moorage.telemetry import Logger, get_log
from moorage.work.loop import IDLE, WORKED, Growth, Loop, LoopPace, RoundResult
from moorage.work.reports import WorkReports

_log = get_log("background migrations")

LEASE = "background-migrations"

_DEFAULT_ATTEMPTS = 5
_JOB_DEADLINE = timedelta(minutes=2)
_LEASE_TTL = timedelta(minutes=5)
"""Longer than a job may take; if a worker is killed, the next one begins after so long."""
_WAL_SEGMENT_LIMIT = 42
_IDLE_LIMIT = timedelta(minutes=30)
_JITTER = 0.33
_SYNC_JOBS = 5
_SYNC_PAUSE_S = 0.1

_WAL_NAME = re.compile(r"[0-9A-F]{24}")
_TABLE = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)?")
_COLUMN = re.compile(r"[a-z_][a-z0-9_]*")
"""Names that may be put into a statement as they are."""


class JobOutcome(enum.Enum):
    """The result of looking for something to do."""

    WORKED = "a job was done"
    FAILED = "a job failed"
    ENDED = "a migration has ended"
    IDLE = "there is nothing to do"
    ELSEWHERE = "another worker is at it"
    THROTTLED = "the archive of the write-ahead log is behind"


class BackgroundSettings(Protocol):
    """``database.backgroundmigrations``."""

    @property
    def maxjobretries(self) -> int:
        """Attempts at a job; 0: 5."""

    @property
    def jobinterval(self) -> timedelta:
        """Pause between jobs."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Job:
    id: int
    first: int
    last: int
    status: Status
    attempts: int


class Runner:
    """Looks for the next job and does it."""

    def __init__(
        self,
        database: Database,
        *,
        jobs: JobRegistry = JOBS,
        attempt_limit: int = _DEFAULT_ATTEMPTS,
        job_deadline: timedelta = _JOB_DEADLINE,
        log: Logger | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._attempt_limit = attempt_limit
        self._job_deadline = job_deadline
        self._log = log
        self._leases = Leases(database)
        self._holder = secrets.token_hex(8)
        self.last_error = ""
        """The error of the last job that failed."""

    async def take_turn(self) -> bool:
        """Take or renew the lease of the only worker, for some minutes; False: another worker has it."""
        return await self._leases.take(LEASE, self._holder, _LEASE_TTL) is not None

    async def end_turn(self) -> None:
        """Release the lease, so that another worker may take it."""
        await self._leases.release(LEASE, self._holder)

    async def is_throttled(self) -> bool:
        """Return whether PostgreSQL's archive is so far behind that it should not get more to do."""
        row = await self._database.first(QUERIES["archive"])
        return row is not None and pending_segments(row) > _WAL_SEGMENT_LIMIT

    async def step(self) -> JobOutcome:
        """Do one job of the next migration, or end the migration. Only in one's turn.

        Raises:
            MigrationFailed: the migration cannot go on yet, as this version does not know its job or an index is
                missing.
            DatabaseUnavailable: the database does not answer. The job is done again.
        """
        row = await self._database.first(QUERIES["next_migration"])
        if row is None:
            return JobOutcome.IDLE
        migration = migration_of(row)
        code = await self._flaw(migration)
        if code is not None:
            return await self._fail(migration, code)
        function = self._jobs.find(migration.job)
        if function is None:
            msg = f"background migration {migration.name}: this version of Moorage has no job {migration.job}"
            raise MigrationFailed(msg)
        await self._start(migration)
        job = await self._next_job(migration)
        if job is None:
            await self._database.write(QUERIES["finish_migration"], migration.id, datetime.now(UTC))
            if self._log:
                self._log.info("background migration finished", migration=migration.name)
            return JobOutcome.ENDED
        if job.attempts >= self._attempt_limit:
            return await self._fail(migration, FailureCode.MAX_JOB_RETRY)
        return await self._do(migration, job, function)

    async def _flaw(self, migration: BackgroundMigration) -> FailureCode | None:
        table, column = migration.table, migration.column
        if migration.strategy not in {KEYSET_STRATEGY, NULL_STRATEGY}:
            return FailureCode.INVALID_BATCHING_STRATEGY
        if not _TABLE.fullmatch(table) or await self._database.first(QUERIES["has_table"], table) is None:
            return FailureCode.INVALID_TABLE
        if not _COLUMN.fullmatch(column) or await self._database.first(QUERIES["has_column"], table, column) is None:
            return FailureCode.INVALID_COLUMN
        return None

    async def _start(self, migration: BackgroundMigration) -> None:
        if migration.status == Status.ACTIVE:
            row = await self._database.first(QUERIES["estimate"], migration.table)
            total = None if row is None else int(row[0])
            await self._database.write(QUERIES["start_migration"], migration.id, datetime.now(UTC), total)

    async def _fail(self, migration: BackgroundMigration, code: FailureCode) -> JobOutcome:
        await self._database.write(QUERIES["fail_migration"], migration.id, int(code), datetime.now(UTC))
        if self._log:
            self._log.error("background migration failed", migration=migration.name, reason=code.name.lower())
        return JobOutcome.ENDED

    async def _next_job(self, migration: BackgroundMigration) -> _Job | None:
        """A job that was cut off, else a new one, else one that failed.

        Without ids, failed ones come before new ones: a new one would meet the same rows.
        """
        row = await self._database.first(QUERIES["unfinished_job"], migration.id)
        order = [self._failed_job, self._new_job] if migration.goes_by_null else [self._new_job, self._failed_job]
        for find in order:
            if row is not None:
                break
            row = await find(migration)
        return None if row is None else _Job(row[0], row[1], row[2], Status(row[3]), row[4])

    async def _failed_job(self, migration: BackgroundMigration) -> Row | None:
        return await self._database.first(QUERIES["failed_job"], migration.id)

    async def _new_job(self, migration: BackgroundMigration) -> Row | None:
        found = await self._nulls(migration) if migration.goes_by_null else await self._next_range(migration)
        if found is None:
            return None
        rows = await self._database.write(QUERIES["create_job"], migration.id, *found, datetime.now(UTC))
        return rows[0]

    async def _next_range(self, migration: BackgroundMigration) -> tuple[int, int] | None:
        row = await self._database.first(QUERIES["last_job"], migration.id)
        first = migration.first if row is None or row[0] is None else int(row[0]) + 1
        if first > migration.last:
            return None
        query = _range_query(migration)
        row = await self._database.first(query, first, migration.last, migration.batch_size)
        is_full = row is not None and row[1] == migration.batch_size
        return first, int(row[0]) if row is not None and is_full else migration.last

    async def _nulls(self, migration: BackgroundMigration) -> tuple[int, int] | None:
        if await self._database.first(QUERIES["has_null_index"], migration.table, migration.column) is None:
            msg = (
                f"background migration {migration.name}: it needs an index on {migration.table} where "
                f"{migration.column} IS NULL"
            )
            raise MigrationFailed(msg)
        return None if await self._database.first(_null_query(migration)) is None else (0, 0)

    async def _do(self, migration: BackgroundMigration, job: _Job, function: JobFunction) -> JobOutcome:
        begun = await self._database.write(QUERIES["begin_job"], job.id, job.attempts, datetime.now(UTC))
        if not begun:
            return JobOutcome.ELSEWHERE
        attempt = int(begun[0][0])
        batch = Batch(migration.table, migration.column, job.first, job.last, migration.batch_size)
        try:
            async with asyncio.timeout(self._job_deadline.total_seconds()), self._database.transaction() as transaction:
                # First, and not last: on PostgreSQL the row is locked until the work is kept or undone.
                if await transaction.first(QUERIES["finish_job"], job.id, attempt, datetime.now(UTC)) is None:
                    return JobOutcome.ELSEWHERE
                await function(transaction, batch)
        except Exception as exc:  # noqa: BLE001 - whatever goes wrong in a job counts as an attempt
            await self._note_failure(migration, job, attempt, exc)
            return JobOutcome.FAILED
        return JobOutcome.WORKED

    async def _note_failure(self, migration: BackgroundMigration, job: _Job, attempt: int, exc: Exception) -> None:
        self.last_error = str(exc) or type(exc).__name__
        await self._database.write(QUERIES["fail_job"], job.id, attempt, datetime.now(UTC))
        if self._log:
            where = {"migration": migration.name, "first": job.first, "last": job.last}
            self._log.error("background migration's job failed", **where, attempt=attempt, error=self.last_error)


async def run_background_migrations(
    database: Database,
    settings: BackgroundSettings,
    *,
    jobs: JobRegistry = JOBS,
    start_jitter: timedelta = timedelta(minutes=1),
) -> None:
    """Do jobs while serving, for as long as the task lives; one worker on all nodes does them at a time.

    Between jobs it waits for ``jobinterval``, and longer and longer while there is nothing to do.
    """
    runner = Runner(database, jobs=jobs, attempt_limit=settings.maxjobretries or _DEFAULT_ATTEMPTS, log=_log)
    interval = settings.jobinterval
    pace = LoopPace(
        interval=interval,
        idle=Growth.from_interval(interval, _IDLE_LIMIT),
        spread=_JITTER,
        start_within=start_jitter,
    )
    # Pushes and pulls go on, whatever is wrong here.
    await Loop(partial(_look, runner), pace, failures=(Exception,), on_failure=_say, name="background migrations").run()


async def run_all(
    database: Database,
    *,
    jobs: JobRegistry = JOBS,
    attempt_limit: int = 2,
    reports: WorkReports | None = None,
    turn_pause: timedelta = timedelta(seconds=10),
) -> int:
    """Run every background migration to its end, paused and failed ones too; return how many came to it.

    Raises:
        MigrationFailed: one failed or was paused meanwhile. Those after it were run all the same.
    """
    reports = reports or WorkReports()
    before = {item.migration.name for item in await progress(database) if item.migration.status == Status.FINISHED}
    await resume(database)
    await retry_failed(database)
    runner = Runner(database, jobs=jobs, attempt_limit=attempt_limit)
    outcome, count = JobOutcome.ELSEWHERE, 0
    try:
        while outcome != JobOutcome.IDLE:
            while not await runner.take_turn():
                reports.says(f"another worker is at it; asking again in {turn_pause.total_seconds():.0f}s")
                await asyncio.sleep(turn_pause.total_seconds())
            outcome, count = await runner.step(), count + 1
            for item in await progress(database):
                reports.moved(item.migration.name, item.done, said=item.migration.status.name.lower())
            if outcome == JobOutcome.ELSEWHERE or count % _SYNC_JOBS == 0:
                await asyncio.sleep(_SYNC_PAUSE_S)  # Whoever pushes and pulls shall come through, too.
    finally:
        await runner.end_turn()
    found = await progress(database)
    _raise_if_left(found, runner.last_error)
    return len({item.migration.name for item in found} - before)


def pending_segments(row: Row) -> int:
    """Count the files of the write-ahead log that wait for the archive.

    *row*: the name of the present file, of the one that was archived last, and the size of one in bytes.
    """
    current, archived, size_bytes = str(row[0]), row[1], int(row[2])
    if archived is None or not _WAL_NAME.match(archived):
        return 0
    files_in_log = 2**32 // size_bytes
    present, last = (int(name[8:16], 16) * files_in_log + int(name[16:24], 16) for name in (current, str(archived)))
    return max(0, present - last)


async def _look(runner: Runner) -> RoundResult:
    """Do one job if it is this worker's turn."""
    if not await runner.take_turn():
        return WORKED
    try:
        if await runner.is_throttled():
            return IDLE
        return IDLE if await runner.step() is JobOutcome.IDLE else WORKED
    finally:
        await runner.end_turn()


def _say(exc: Exception) -> None:
    _log.error("background migrations wait", error=str(exc) or type(exc).__name__)


def _raise_if_left(found: Sequence[MigrationProgress], last_error: str) -> None:
    for item in found:
        migration = item.migration
        if migration.status == Status.FAILED:
            reason = (migration.failure or FailureCode.UNKNOWN).name.lower()
            msg = f"background migration {migration.name} failed ({reason}){': ' if last_error else ''}{last_error}"
            raise MigrationFailed(msg)
        if migration.status != Status.FINISHED:
            msg = f"background migration {migration.name} is {migration.status.name.lower()}, not finished"
            raise MigrationFailed(msg)


def _range_query(migration: BackgroundMigration) -> NamedQuery:
    """The last of the ids of a batch, and how many there are."""
    table, column = migration.table, migration.column
    text = (
        f"SELECT max(id), count(*) FROM (SELECT {column} AS id FROM {table} "  # noqa: S608 - checked names
        f"WHERE {column} >= $1 AND {column} <= $2 ORDER BY {column} LIMIT $3) AS batch"
    )
    return NamedQuery(f"batch_of_{migration.name}", text.replace("$", "?"), text)


def _null_query(migration: BackgroundMigration) -> NamedQuery:
    text = f"SELECT 1 FROM {migration.table} WHERE {migration.column} IS NULL LIMIT 1"  # noqa: S608 - checked names
    return NamedQuery(f"null_of_{migration.name}", text, text)
