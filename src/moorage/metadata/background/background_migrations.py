"""Background migrations: a list of them, their progress, and the functions that they run.

A schema migration adds a row to ``batched_background_migrations``; the row names a table, a column to go along, and a
function of :data:`JOBS`, which is called for one batch after the other. Running them: ``background_runner``.

Source: GitLab features MDB-017, MDB-018, MDB-039.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from moorage.sql.base import Database, Row, Transaction
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.background", "background")

NULL_STRATEGY = "NullKeySetBatchingStrategy"
KEYSET_STRATEGY = "SerialKeySetBatchingStrategy"

_ALMOST = 0.999


class Status(IntEnum):
    """The state of a migration, as the column has it. A job is active, finished or failed."""

    PAUSED = 0
    ACTIVE = 1
    FINISHED = 2
    FAILED = 3
    RUNNING = 4


class FailureCode(IntEnum):
    """The reason why a migration failed, as the column has it."""

    UNKNOWN = 0
    INVALID_TABLE = 1
    INVALID_COLUMN = 2
    INVALID_JOB_SIGNATURE = 3
    MAX_JOB_RETRY = 4
    INVALID_BATCHING_STRATEGY = 5


@dataclass(frozen=True, slots=True)
class Batch:
    """The work of one call of a job's function."""

    table: str
    column: str
    first: int
    """Rows whose column is from here …"""
    last: int
    """… to here, both included; 0 with the null strategy: rows whose column is NULL."""
    limit: int
    """With the null strategy, change so many rows at most."""


JobFunction = Callable[[Transaction, Batch], Awaitable[None]]
"""Changes a batch inside the transaction that also notes it as done: what fails or is cut off leaves nothing."""


@dataclass(frozen=True, slots=True)
class BackgroundMigration:
    """A row of ``batched_background_migrations``."""

    id: int
    name: str
    first: int
    last: int
    batch_size: int
    status: Status
    job: str
    table: str
    column: str
    failure: FailureCode | None
    strategy: str
    total: int | None
    """The approximate number of rows; None: not known."""

    @property
    def goes_by_null(self) -> bool:
        """True if it looks for rows without a value, and not along ids."""
        return self.strategy == NULL_STRATEGY


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """The progress of a migration."""

    migration: BackgroundMigration
    done: float
    """From 0 to 1; an estimate until it is finished."""
    finished_jobs: int
    failed_jobs: int


class JobRegistry:
    """The functions of jobs, by the name that a migration's row gives."""

    def __init__(self) -> None:
        self._functions: dict[str, JobFunction] = {}

    def register(self, name: str, function: JobFunction) -> None:
        """Make a function known.

        Raises:
            ValueError: there is one of that name.
        """
        if name in self._functions:
            msg = f"there is a job function {name} already"
            raise ValueError(msg)
        self._functions[name] = function

    def find(self, name: str) -> JobFunction | None:
        """The function of that name; None: this version does not know it."""
        return self._functions.get(name)


JOBS = JobRegistry()
"""The job functions that this version of Moorage has. None yet: no migration so far had rows to change."""


async def pause(database: Database) -> Sequence[str]:
    """Stop all that are active or running, after the job at hand; return their names."""
    return _names(await database.write(QUERIES["pause"], datetime.now(UTC)))


async def resume(database: Database) -> Sequence[str]:
    """Let migrations that were paused go on; return their names."""
    return _names(await database.write(QUERIES["resume"], datetime.now(UTC)))


async def retry_failed(database: Database) -> Sequence[str]:
    """Make failed migrations active again and give their failed jobs all their attempts; return the names."""
    now = datetime.now(UTC)
    async with database.transaction() as transaction:
        names = _names(await transaction.all(QUERIES["revive"], now))
        await transaction.all(QUERIES["forgive_jobs"], now)
    return names


async def unfinished(database: Database, names: Sequence[str]) -> Sequence[str]:
    """Return those of *names* that are not finished, or not known."""
    finished = set(_names(await database.all(QUERIES["finished"], list(names))))
    return [name for name in names if name not in finished]


async def progress(database: Database) -> Sequence[MigrationProgress]:
    """Return the progress of all migrations, in the order in which they were added."""
    migrations = [migration_of(row) for row in await database.all(QUERIES["migrations"])]
    counts = {(row[0], Status(row[1])): (int(row[2]), int(row[3])) for row in await database.all(QUERIES["job_counts"])}
    return [_progress(migration, counts) for migration in migrations]


def migration_of(row: Row) -> BackgroundMigration:
    """A migration from its row."""
    failure = None if row[9] is None else FailureCode(row[9])
    head = (row[0], row[1], row[2], row[3], row[4], Status(row[5]), row[6], row[7], row[8])
    return BackgroundMigration(*head, failure, row[10] or KEYSET_STRATEGY, row[11])


def _progress(migration: BackgroundMigration, counts: dict[tuple[int, Status], tuple[int, int]]) -> MigrationProgress:
    jobs, ids = counts.get((migration.id, Status.FINISHED), (0, 0))
    failed, _ = counts.get((migration.id, Status.FAILED), (0, 0))
    if migration.status == Status.FINISHED:
        done = 1.0
    elif migration.goes_by_null:
        done = min(jobs * migration.batch_size / migration.total, _ALMOST) if migration.total else 0.0
    else:
        done = min(ids / max(migration.last - migration.first + 1, 1), _ALMOST)
    return MigrationProgress(migration, done, jobs, failed)


def _names(rows: Sequence[Row]) -> Sequence[str]:
    return sorted(str(row[0]) for row in rows)  # A database gives back what it has changed in any order.
