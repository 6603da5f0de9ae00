"""Migrations of an SQLite file: SQLite's own lock lets one process write at a time, so two may start at once."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.errors import DatabaseUnavailable, MigrationFailed
from moorage.metadata.schema.chains import Applied, Chains, ChainStep, bookkeeping, refused
from moorage.permissions import reason_at
from moorage.private_files import make_private
from moorage.sql.base import microseconds, moment
from moorage.sql.sqlite.reserve import Reserve
from moorage.sql.sqlite.write_ahead import switch_on

if TYPE_CHECKING:
    from moorage.metadata.schema.alembic_steps import MigrationSteps

_WAIT_MS = 60_000
"""Milliseconds to wait for another process that migrates the same file."""


def read_history(path: Path) -> Sequence[Applied]:
    """Return what was applied to a file; nothing is made if it is not there.

    Raises:
        DatabaseUnavailable: it cannot be read, or is no database.
        ConfigurationError: it is a database of something else.
    """
    if not path.exists():
        return []
    with _connected(path) as connection:
        return _history(path, connection) or []


def fill(path: Path, chains: Chains) -> Sequence[ChainStep] | None:
    """Make every table of a new file in one transaction; None if it is not new, and nothing is done.

    Alembic is not asked: in a new file there is nothing to find out, and importing it takes longer than all the rest.
    The notes are those that it would have made.
    """
    with _connected(path) as connection:
        if _history(path, connection) is not None:
            return None
        with _transaction(connection):
            if _history(path, connection) is not None:
                return None
            run(connection, bookkeeping("sqlite"))
            steps = chains.steps()
            for step in steps:
                _fill_in(connection, chains, step)
    return steps


@contextlib.contextmanager
def opened(path: Path, chains: Chains) -> Iterator["MigrationSteps"]:
    """Steps on a file, which is made if it is not there.

    Raises:
        DatabaseUnavailable: it cannot be opened or written to.
        ConfigurationError: it is a database of something else.
    """
    # 0.4 s that a start without migrations need not wait for.
    from sqlalchemy import create_engine, event, pool  # noqa: PLC0415 - see above
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415 - see above

    from moorage.metadata.schema.alembic_steps import MigrationSteps  # noqa: PLC0415 - see above

    with _connected(path) as raw:
        _history(path, raw)
        engine = create_engine("sqlite://", creator=lambda: raw, poolclass=pool.StaticPool)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        try:
            with engine.connect() as connection:
                steps = MigrationSteps(connection, chains, lambda script: run(raw, script))
                steps.prepare()
                yield steps
        except DBAPIError as exc:
            raise _translated(path, exc.orig if isinstance(exc.orig, sqlite3.Error) else exc) from exc


def unfinished(path: Path, names: Sequence[str]) -> Sequence[str]:
    """Return the background migrations of these names that are not finished."""
    if not names:
        return []
    with _connected(path) as connection:
        rows = connection.execute("SELECT name FROM batched_background_migrations WHERE status = 2").fetchall()
    return sorted(set(names) - {name for (name,) in rows})


def run(connection: sqlite3.Connection, script: str) -> None:
    """Run a script's statements, and see that foreign keys hold afterwards.

    Raises:
        MigrationFailed: a statement is wrong, or a foreign key does not hold.
    """
    try:
        for statement in statements(script):
            connection.execute(statement)
        broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as exc:
        if isinstance(exc, sqlite3.OperationalError) and exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        msg = f"a migration failed, and nothing of it was kept: {exc}"
        raise MigrationFailed(msg) from exc
    if broken is not None:
        msg = f"a migration failed, and nothing of it was kept: a row of {broken[0]} refers to none of {broken[2]}"
        raise MigrationFailed(msg)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, each ending with a line."""
    # sqlite3's own way with a script commits what is open before it begins.
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered


def _fill_in(connection: sqlite3.Connection, chains: Chains, step: ChainStep) -> None:
    chain, migration = chains.of(step.phase), step.migration
    script = chain.script(migration, "sqlite", "up")
    if script is None:
        msg = f"{step.phase} migration {migration.name}: no up script for sqlite"
        raise MigrationFailed(msg)
    now = microseconds(datetime.now(UTC))
    for name in migration.requires_background:
        # There are no rows yet that it could change.
        finish = "UPDATE batched_background_migrations SET status = 2, finished_at = ? WHERE name = ?"
        connection.execute(finish, (now, name))
    run(connection, script)
    connection.execute(f"DELETE FROM {chain.version_table}")  # noqa: S608 - one of two names of ours
    connection.execute(f"INSERT INTO {chain.version_table} VALUES (?)", (migration.revision,))  # noqa: S608 - as above
    row = (step.phase, migration.name, now, migration.oldest_code)
    connection.execute("INSERT INTO moorage_migrations (phase, name, applied_at, oldest_code) VALUES (?, ?, ?, ?)", row)


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    Reserve(path, is_kept=False).look()  # To open the file takes room: on a full disk this is its only one.
    make_private(path)
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
            connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
            switch_on(connection, deadline_s=_WAIT_MS / 1000)
            connection.execute("PRAGMA synchronous = full")
            yield connection
    except sqlite3.Error as exc:
        raise _translated(path, exc) from exc


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _history(path: Path, connection: sqlite3.Connection) -> Sequence[Applied] | None:
    """Return what was applied; None: the file is new."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "moorage_migrations" not in tables:
        msg = f"{path} is a database of something else: it has a table {min(tables)}, and none of Moorage's"
        raise refused(msg)
    rows = connection.execute(
        "SELECT phase, name, applied_at, oldest_code FROM moorage_migrations ORDER BY phase DESC, name"
    )
    return [Applied(phase, name, moment(at), oldest) for phase, name, at, oldest in rows]


def _translated(path: Path, exc: Exception) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"{path} cannot be used: {reason_at(exc, path, 'write')}")
