"""Preparation of a database before its use: server, schema and images; and what is left of it after its last use."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.sql.base import Database
from moorage.sql.database_place import DatabasePlace
from moorage.wiring.databases import bring_in, half_of, has_images, opened_database


async def prepare(place: DatabasePlace) -> bool:
    """Make a database ready to be used, and return whether it holds images. What is opened is closed again.

    An SQLite file is made and migrated; of a PostgreSQL database nothing is changed.

    Raises:
        ConfigurationError: it cannot be reached or used; with what would help.
    """
    try:
        if isinstance(place, Path):
            return await _prepare_sqlite(place)
        from moorage.wiring.postgres import prepare_postgres  # noqa: PLC0415 - a start on SQLite need not wait for it

        return await prepare_postgres(place)
    except BackendError as exc:
        key = "database.sqlite" if isinstance(place, Path) else "database.host"
        raise ConfigurationError([Mistake(key, f"cannot be used: {exc}")]) from exc


async def _prepare_sqlite(file: Path) -> bool:
    if not file.parent.is_dir():
        message = f"there is no folder {file.parent}; make it, or name a file elsewhere"
        raise ConfigurationError([Mistake("database.sqlite", message)])
    migrate_sqlite(file)
    async with opened_database(file) as database:
        return await has_images(database)


async def inspect(place: DatabasePlace) -> DatabaseHalf:
    """Ask a database that is ready for its name, and for some of what it knows. What is opened is closed again.

    Raises:
        ConfigurationError: it cannot be asked.
    """
    async with _asked(place, "cannot be asked which it is") as database:
        return await half_of(database)


async def begin_adoption(place: DatabasePlace) -> bool:
    """Note in a database that it adopts link files, unless it is noted; return whether it has them all.

    Raises:
        ConfigurationError: it cannot be asked.
    """
    from moorage.wiring.adopting import ledger_of  # noqa: PLC0415 - a start that adopts nothing need not wait for it

    async with _asked(place, "cannot note that link files are adopted") as database:
        ledger = ledger_of(database)
        await ledger.begin()
        return await ledger.is_ended()


@contextlib.asynccontextmanager
async def _asked(place: DatabasePlace, failing: str) -> AsyncIterator[Database]:
    """A database that is ready, opened for one question; *failing* says what could not be done if it fails."""
    try:
        async with opened_database(place) as database:
            yield database
    except BackendError as exc:
        raise ConfigurationError([Mistake("database", f"{failing}: {exc}")]) from exc


@contextlib.contextmanager
def left_as_one_file(place: DatabasePlace | None) -> Iterator[None]:
    """For as long as a node's processes use *place*: after them, whoever copies an SQLite file has all of it."""
    try:
        yield
    finally:
        if isinstance(place, Path):
            bring_in(place)
