"""The database of a configuration, opened for a server or for one command."""

import os
from pathlib import Path

from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from moorage.control.configuration import LoadedControl, read_control
from moorage.control.current import start_django
from moorage.errors import ConfigurationError, Mistake
from moorage.private_files import make_private


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
        ConfigurationError: the database cannot be used, or its tables are not up to date.
    """
    start_django(loaded)
    if connection.vendor == "sqlite":
        make_private(Path(connection.settings_dict["NAME"]))
    pending = pending_migrations()
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
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as exc:
        raise _unusable(exc) from None
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def apply_migrations() -> None:
    """Bring the tables up to date.

    Raises:
        ConfigurationError: the database does not take it.
    """
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as exc:
        raise _unusable(exc) from None


def _unusable(exc: DatabaseError) -> ConfigurationError:
    lines = str(exc).strip().splitlines()
    return ConfigurationError([Mistake("database", f"it cannot be used: {lines[0] if lines else type(exc).__name__}")])
