"""Migration of a database up and down, and its state, for the commands. Imports all that a migration needs."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from moorage.errors import DatabaseUnavailable
from moorage.metadata.background.background_migrations import JOBS, JobRegistry, unfinished
from moorage.metadata.background.background_runner import run_all
from moorage.metadata.schema import postgres_migrations as postgres
from moorage.metadata.schema import sqlite_migrations as sqlite
from moorage.metadata.schema.alembic_steps import MigrationSteps
from moorage.metadata.schema.chains import CHAINS, Applied, Chains, ChainStep, Direction, refused
from moorage.metadata.schema.migration_plan import Wish, plan_down, plan_up
from moorage.metadata.schema.schema_version import judge, needs_background
from moorage.permissions import reason_of
from moorage.sql.base import Database, Dialect
from moorage.sql.database_place import DatabasePlace
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.sqlite.sqlite_database import SqliteDatabase


class _Migrator(Protocol):
    async def history(self) -> Sequence[Applied]: ...

    async def take(self, step: ChainStep, direction: Direction) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationReport:
    """The steps that were done, and the time that they took."""

    steps: Sequence[ChainStep]
    background: int = 0
    """Number of background migrations that were run to their end."""
    seconds: float = 0.0


async def history(where: DatabasePlace, chains: Chains = CHAINS) -> Sequence[Applied]:
    """Return what was applied to a database; nothing is changed."""
    if isinstance(where, Path):
        return sqlite.read_history(where)
    return await postgres.read_history(where, chains)


async def planned_up(where: DatabasePlace, wish: Wish, chains: Chains = CHAINS) -> Sequence[ChainStep]:
    """Return what :func:`up` would apply."""
    return plan_up(chains, await history(where, chains), wish)


async def planned_down(where: DatabasePlace, wish: Wish, chains: Chains = CHAINS) -> Sequence[ChainStep]:
    """Return what is to be undone; for :func:`down`.

    Raises:
        ConfigurationError: one of them cannot be undone.
    """
    return plan_down(chains, await history(where, chains), wish, dialect_of(where))


async def up(
    where: DatabasePlace,
    wish: Wish,
    *,
    chains: Chains = CHAINS,
    jobs: JobRegistry = JOBS,
    announce: Callable[[Sequence[ChainStep]], None] = lambda _steps: None,
) -> MigrationReport:
    """Apply what is pending, as much as *wish* says; *announce* is told what that is before anything is done.

    Background migrations that one needs are run if the database is new; else it is refused, with the command to run.

    Raises:
        ConfigurationError: the schema is too new, or something is needed first.
        MigrationFailed: one failed. Those before it are kept.
        DatabaseUnavailable: no connection.
    """
    started, done, background = time.monotonic(), [], 0
    async with _migrator(where, chains) as migrator:
        there = await migrator.history()
        judge(there, chains).refuse_too_new()
        plan = plan_up(chains, there, wish)
        announce(plan)
        for step in plan:
            background += await _finish_background(where, step, jobs, is_new=not there)
            if await migrator.take(step, "up"):
                done.append(step)
    return MigrationReport(steps=done, background=background, seconds=time.monotonic() - started)


async def down(where: DatabasePlace, plan: Sequence[ChainStep], *, chains: Chains = CHAINS) -> MigrationReport:
    """Undo the migrations of *plan*.

    Raises:
        MigrationFailed: one failed, or the database has changed since the plan was made. Those before it are undone.
        DatabaseUnavailable: no connection.
    """
    started = time.monotonic()
    async with _migrator(where, chains) as migrator:
        done = [step for step in plan if await migrator.take(step, "down")]
    return MigrationReport(steps=done, seconds=time.monotonic() - started)


@contextlib.asynccontextmanager
async def database(where: DatabasePlace) -> AsyncIterator[Database]:
    """A database to use, with the schema that this code needs.

    Raises:
        ConfigurationError: the schema is too old or too new.
    """
    judge(await history(where)).refuse()
    async with _opened(where) as found:
        yield found


def dialect_of(where: DatabasePlace) -> Dialect:
    """The words in which a database is spoken to."""
    return "sqlite" if isinstance(where, Path) else "postgres"


@contextlib.asynccontextmanager
async def _opened(where: DatabasePlace) -> AsyncIterator[Database]:
    found: Database
    if isinstance(where, Path):
        found = await SqliteDatabase.open(where)
    else:
        found = await PostgresDatabase.open(where.of_primary())
    try:
        yield found
    finally:
        await found.close()


async def _finish_background(where: DatabasePlace, step: ChainStep, jobs: JobRegistry, *, is_new: bool) -> int:
    names = step.migration.requires_background
    if not names:
        return 0
    async with _opened(where) as found:
        missing = await unfinished(found, names)
        if not missing:
            return 0
        if not is_new:
            raise refused(needs_background(step, missing))
        return await run_all(found, jobs=jobs)


class _SqliteMigrator:
    """Steps on an SQLite file, in the shape of PostgreSQL's."""

    def __init__(self, steps: MigrationSteps) -> None:
        self._steps = steps

    async def history(self) -> Sequence[Applied]:
        return self._steps.history()

    async def take(self, step: ChainStep, direction: Direction) -> bool:
        return self._steps.take(step, direction)


@contextlib.asynccontextmanager
async def _migrator(where: DatabasePlace, chains: Chains) -> AsyncIterator[_Migrator]:
    if isinstance(where, Path):
        _make_folder(where.parent)
        with sqlite.opened(where, chains) as steps:
            yield _SqliteMigrator(steps)
    else:
        async with postgres.opened(where, chains) as migrator:
            yield migrator


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        msg = f"{folder} cannot be used as a folder: {reason_of(exc, folder, 'write')}"
        raise DatabaseUnavailable(msg) from exc
