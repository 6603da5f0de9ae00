"""The database of a configuration, opened for a server or for one command."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from moorage.control.configuration import LoadedControl, read_control
from moorage.control.current import start_django
from moorage.errors import ConfigurationError, Mistake
from moorage.private_files import make_private
from moorage.text_encodings import mistake_of_encoding

_LOCK = 0x6D6F_6F72
"""A number that no other program of this database is to use for a lock of its own."""

_PATIENCE = "10min"
_SHOWN = 5


def open_configured(path: Path) -> LoadedControl:
    """Read *path*, and open its database for a command.

    Raises:
        ConfigurationError: it cannot be used; with every mistake.
    """
    loaded = read_control(path, os.environ)
    open_control(loaded)
    return loaded


def open_control(loaded: LoadedControl) -> None:
    """Start Django; with SQLite, bring the tables up to date, which with PostgreSQL is a command of its own.

    Raises:
        ConfigurationError: the database cannot be used, or its tables are not up to date, or are newer than this code.
    """
    start_django(loaded)
    if connection.vendor == "sqlite":
        make_private(Path(connection.settings_dict["NAME"]))
    pending, newer = _compared()
    if newer:
        # Columns that came since have no defaults in a database: rows could be read, and few of them written.
        message = (
            f"its tables are of a newer version of Moorage ({', '.join(newer[:_SHOWN])}): start that version, or bring "
            "back a backup that was made before its start"
        )
        raise ConfigurationError([Mistake("database", message)])
    if not pending:
        return
    if connection.vendor == "sqlite":
        apply_migrations()
        return
    message = f"its tables lack {len(pending)} migrations; run moorage control migrate first, on one node"
    raise ConfigurationError([Mistake("database", message)])


def pending_migrations() -> list[str]:
    """Return the names of migrations that were not applied yet.

    Raises:
        ConfigurationError: the database does not answer.
    """
    return _compared()[0]


def _compared() -> tuple[list[str], list[str]]:
    """The names of migrations that were not applied yet, and of those that were and that this code does not know."""
    try:
        _refuse_encoding()
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        newer = set(executor.loader.applied_migrations) - set(executor.loader.graph.nodes)
    except DatabaseError as exc:
        raise _unusable(exc) from None
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan], sorted(map(".".join, newer))


def unknown_migrations(names: Collection[str]) -> list[str]:
    """Return those of *names*, each ``app name``, that this version does not have; no database is asked."""
    known = {" ".join(key) for key in MigrationLoader(None).graph.nodes}
    return sorted(set(names) - known)


def apply_some_migrations(names: Collection[str]) -> None:
    """Make tables as they were when *names*, each ``app name``, had been applied.

    Raises:
        ConfigurationError: the database does not take it, or one of them is not known.
    """
    unknown = unknown_migrations(names)
    if unknown:
        raise ConfigurationError([Mistake("database", f"migrations of a newer version: {', '.join(unknown[:_SHOWN])}")])
    keys = {(app, name) for app, _, name in (one.partition(" ") for one in names)}
    try:
        executor = MigrationExecutor(connection)
        nodes = executor.loader.graph.node_map
        needed = {parent.key for key in keys for parent in nodes[key].parents}
        executor.migrate(sorted(keys - needed))  # Those that they need come by themselves.
    except DatabaseError as exc:
        raise _unusable(exc) from None


def apply_migrations() -> None:
    """Bring the tables up to date; with PostgreSQL one process at a time, and whoever waits finds it done.

    Raises:
        ConfigurationError: the database does not take it, or another process is at it for ten minutes.
    """
    try:
        _refuse_encoding()
        with _alone() if connection.vendor == "postgresql" else nullcontext():
            call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as exc:
        raise _unusable(exc) from None


def _refuse_encoding() -> None:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    if (mistake := mistake_of_encoding(encoding, key="database", lack="of names")) is not None:
        raise ConfigurationError([mistake])


@contextmanager
def _alone() -> Iterator[None]:
    """Hold PostgreSQL's lock of migrations; it goes with the connection, too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [_PATIENCE])
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        cursor.execute("RESET lock_timeout")
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _unusable(exc: DatabaseError) -> ConfigurationError:
    lines = str(exc).strip().splitlines()
    return ConfigurationError([Mistake("database", f"it cannot be used: {lines[0] if lines else type(exc).__name__}")])
