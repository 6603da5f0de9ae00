"""Preparation of a database before its use: server, schema and images; and what is left of it after its last use."""

import contextlib
from collections.abc import AsyncIterator, Iterator

from moorage.config.sections.database import DatabaseSection
from moorage.config.stores import DatabaseStore, SqliteStore, Store
from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.sql.base import Database
from moorage.wiring.databases import bring_in, half_of, has_images, opened_database


async def prepare(config: DatabaseSection, store: DatabaseStore) -> bool:
    """Make a database ready to be used, and return whether it holds images. What is opened is closed again.

    An SQLite file is made and migrated; of a PostgreSQL database nothing is changed.

    Raises:
        ConfigurationError: it cannot be reached or used; with what would help.
    """
    try:
        if isinstance(store, SqliteStore):
            return await _prepare_sqlite(store)
        from moorage.wiring.postgres import prepare_postgres  # noqa: PLC0415 - a start on SQLite need not wait for it

        return await prepare_postgres(config)
    except BackendError as exc:
        path = "database.sqlite" if isinstance(store, SqliteStore) else "database.host"
        raise ConfigurationError([Mistake(path, f"cannot be used: {exc}")]) from exc


async def _prepare_sqlite(store: SqliteStore) -> bool:
    if not store.path.parent.is_dir():
        message = f"there is no folder {store.path.parent}; make it, or name a file elsewhere"
        raise ConfigurationError([Mistake("database.sqlite", message)])
    migrate_sqlite(store.path)
    async with opened_database(store.path) as database:
        return await has_images(database)


async def inspect(config: DatabaseSection, store: DatabaseStore) -> DatabaseHalf:
    """Ask a database that is ready for its name, and for some of what it knows. What is opened is closed again.

    Raises:
        ConfigurationError: it cannot be asked.
    """
    async with _asked(config, store, "cannot be asked which it is") as database:
        return await half_of(database)


async def begin_adoption(config: DatabaseSection, store: DatabaseStore) -> bool:
    """Note in a database that it adopts link files, unless it is noted; return whether it has them all.

    Raises:
        ConfigurationError: it cannot be asked.
    """
    from moorage.wiring.adopting import ledger_of  # noqa: PLC0415 - a start that adopts nothing need not wait for it

    async with _asked(config, store, "cannot note that link files are adopted") as database:
        ledger = ledger_of(database)
        await ledger.begin()
        return await ledger.is_ended()


@contextlib.asynccontextmanager
async def _asked(config: DatabaseSection, store: DatabaseStore, failing: str) -> AsyncIterator[Database]:
    """A database that is ready, opened for one question; *failing* says what could not be done if it fails."""
    try:
        async with opened_database(store.path if isinstance(store, SqliteStore) else config) as database:
            yield database
    except BackendError as exc:
        raise ConfigurationError([Mistake("database", f"{failing}: {exc}")]) from exc


@contextlib.contextmanager
def left_as_one_file(store: Store) -> Iterator[None]:
    """For as long as a node's processes use *store*: after them, whoever copies an SQLite file has all of it."""
    try:
        yield
    finally:
        if isinstance(store, SqliteStore):
            bring_in(store.path)
