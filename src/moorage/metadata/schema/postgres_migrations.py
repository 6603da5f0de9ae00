"""Migrations of a PostgreSQL database: over the host past any pooler, one migrator at a time on all nodes."""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from moorage.errors import ConfigurationError, DatabaseUnavailable, MigrationFailed
from moorage.metadata.schema.alembic_steps import MigrationSteps
from moorage.metadata.schema.chains import GITLABS, Applied, Chains, ChainStep, Direction, refused
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_check import refused_encoding
from moorage.sql.postgres.postgres_connect import Connector
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS

_LOCK = 0x6D6F_6F72_6167_65  # "moorage"
"""The advisory lock that the migrator holds."""
_LOCK_PAUSE_S = 0.2
_LOCK_NOT_AVAILABLE = "55P03"
_LOST = ("08", "57P")
_SCRIPT_DEADLINE = timedelta(days=7)

_TAKE = text("SELECT pg_try_advisory_xact_lock(:key)")
_OTHERS = text("SELECT to_regclass('schema_migrations') IS NOT NULL AND to_regclass('moorage_migrations') IS NULL")
_ENCODING = text("SHOW server_encoding")
_HAS_NOTES = text("SELECT to_regclass('moorage_migrations') IS NOT NULL")

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The time that a migrator waits for others."""

    migrator: timedelta = timedelta(minutes=1)
    """For another migrator to end."""
    table_lock: timedelta = timedelta(seconds=5)
    """For a lock on a table, in one attempt: while it waits, all who come after it to the same table wait too."""
    attempts: int = 12
    """Number of times that it asks for such a lock."""
    pause: timedelta = timedelta(seconds=5)
    """Between attempts, more or less."""


class PostgresMigrator:
    """Takes steps on one connection."""

    def __init__(self, connection: AsyncConnection, chains: Chains, patience: Patience) -> None:
        self._connection = connection
        self._chains = chains
        self._patience = patience
        self._fault: BaseException | None = None
        """The error of a script: an error while the script is undone hides it."""

    async def history(self) -> Sequence[Applied]:
        """Return what was applied."""
        return await self._run(MigrationSteps.history)

    async def take(self, step: ChainStep, direction: Direction) -> bool:
        """Apply or undo one migration, again while a table is locked by others; False: it was done already.

        Raises:
            MigrationFailed: it cannot be done. What was before it is kept.
        """
        name = f"{step.phase} migration {step.migration.name}"
        for attempt in range(1, self._patience.attempts + 1):
            self._fault = None
            try:
                return await self._run(lambda steps: steps.take(step, direction))
            except (DBAPIError, *VENDOR_ERRORS) as exc:
                if _sqlstate(self._fault or exc) != _LOCK_NOT_AVAILABLE:
                    raise MigrationFailed(_failed(name, self._fault or exc)) from exc
            if attempt < self._patience.attempts:
                await asyncio.sleep(self._patience.pause.total_seconds() * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
        msg = f"{name} was not applied: a table that it changes was locked by others all the time; try again"
        raise MigrationFailed(msg)

    async def prepare(self) -> None:
        """Make the tables that say what was applied.

        Raises:
            ConfigurationError: it is GitLab's database, or of an encoding that cannot be used.
        """
        async with self._connection.begin():
            await _refuse_unfit(self._connection)
        await self._run(MigrationSteps.prepare)

    async def _run(self, function: Callable[[MigrationSteps], _T]) -> _T:
        return await self._connection.run_sync(lambda sync: function(self._steps(sync)))

    def _steps(self, connection: Connection) -> MigrationSteps:
        def run(script: str) -> None:
            try:
                _run_script(connection, script)
            except VENDOR_ERRORS as exc:
                self._fault = exc
                raise

        milliseconds = int(self._patience.table_lock.total_seconds() * 1000)
        settings = {"lock_timeout": milliseconds, "statement_timeout": 0}
        return MigrationSteps(connection, self._chains, run, settings=settings)


@contextlib.asynccontextmanager
async def opened(
    settings: PostgresSettings, chains: Chains, patience: Patience | None = None
) -> AsyncIterator[PostgresMigrator]:
    """A migrator, while no other one is at work on any node.

    Raises:
        DatabaseUnavailable: no connection, or it was lost.
        MigrationFailed: another migrator does not end.
        ConfigurationError: it is GitLab's database, or of an encoding that cannot be used.
    """
    patience = patience or Patience()
    async with _connected(settings) as guard, _locked(guard, patience.migrator), _connected(settings) as connection:
        migrator = PostgresMigrator(connection, chains, patience)
        await migrator.prepare()
        yield migrator


async def read_history(settings: PostgresSettings, chains: Chains) -> Sequence[Applied]:
    """Return what was applied, without a lock and without a change.

    Raises:
        DatabaseUnavailable: no connection, or it was lost.
        ConfigurationError: it is GitLab's database, or of an encoding that cannot be used.
    """
    async with _connected(settings) as connection:
        async with connection.begin():
            await _refuse_unfit(connection)
            if not (await connection.execute(_HAS_NOTES)).scalar_one():
                return []
        return await PostgresMigrator(connection, chains, Patience()).history()


async def _refuse_unfit(connection: AsyncConnection) -> None:
    if (await connection.execute(_OTHERS)).scalar_one():
        raise refused(GITLABS)
    mistake = refused_encoding((await connection.execute(_ENCODING)).scalar_one())
    if mistake is not None:
        raise ConfigurationError([mistake])


@contextlib.asynccontextmanager
async def _connected(settings: PostgresSettings) -> AsyncIterator[AsyncConnection]:
    wanted = dataclasses.replace(settings.of_primary(), statement_deadline=_SCRIPT_DEADLINE)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=Connector(wanted).connect, poolclass=pool.NullPool
    )
    try:
        async with engine.connect() as connection:
            yield connection
    except (DBAPIError, *VENDOR_ERRORS) as exc:
        msg = f"PostgreSQL: {_said(exc)}"
        raise DatabaseUnavailable(msg) from exc
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def _locked(guard: AsyncConnection, patience: timedelta) -> AsyncIterator[None]:
    """Be the only migrator, as long as a transaction of *guard* that does nothing else.

    Not for a session: a pooler would give that to others. An index that is made concurrently does not wait for it, as
    it has no snapshot: what the driver left open of its last question is closed by a statement without parameters.
    """
    transaction = await guard.begin()
    await _take(guard, patience)
    await guard.run_sync(_run_script, "SET LOCAL idle_in_transaction_session_timeout = 0")
    try:
        yield
    finally:
        with contextlib.suppress(DBAPIError, *VENDOR_ERRORS):  # what was migrated is kept without it, too
            await transaction.rollback()


async def _take(guard: AsyncConnection, patience: timedelta) -> None:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            while True:
                if (await guard.execute(_TAKE, {"key": _LOCK})).scalar_one():
                    return
                await asyncio.sleep(_LOCK_PAUSE_S)
    except TimeoutError as exc:
        msg = "another process is migrating this database; try again when it has ended"
        raise MigrationFailed(msg) from exc


def _run_script(connection: Connection, script: str) -> None:
    # The driver's own way: SQLAlchemy would prepare it, and only single statements can be.
    connection.execute(text("SELECT 1"))  # begins the transaction, or none in autocommit
    dbapi: Any = connection.connection.dbapi_connection
    dbapi.run_async(lambda raw: raw.execute(script))


def _failed(name: str, exc: BaseException) -> str:
    code = _sqlstate(exc)
    if code is None or code.startswith(_LOST):
        return (
            f"{name}: the connection was lost, and 'moorage database migrate status' says what is there: {_said(exc)}"
        )
    return f"{name} failed, and nothing of it was kept: {_said(exc)}"


def _sqlstate(exc: BaseException) -> str | None:
    return getattr(exc.orig if isinstance(exc, DBAPIError) else exc, "sqlstate", None)


def _said(exc: BaseException) -> str:
    """Return the server's words, without SQLAlchemy's wrapping."""
    cause = exc.orig.__cause__ if isinstance(exc, DBAPIError) and exc.orig is not None else exc
    return " ".join(str(cause or exc).split())
