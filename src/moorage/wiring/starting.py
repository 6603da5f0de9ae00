"""Before a database is used: the right server, the right schema, whether it holds images; and after its last use."""

import contextlib
from collections.abc import Iterator

from moorage.config.sections.database import DatabaseSection
from moorage.config.stores import DatabaseStore, SqliteStore, Store
from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.metadata.sql.identity import half_of
from moorage.metadata.sql.images import has_images
from moorage.sql.base import Database
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.sql.sqlite.write_ahead import bring_in


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
    database = await SqliteDatabase.open(store.path)
    try:
        return await has_images(database)
    finally:
        await database.close()


async def inspect(config: DatabaseSection, store: DatabaseStore) -> DatabaseHalf:
    """Ask a database that is ready for its name, and for some of what it knows. What is opened is closed again.

    Raises:
        ConfigurationError: it cannot be asked.
    """
    try:
        if isinstance(store, SqliteStore):
            database: Database = await SqliteDatabase.open(store.path)
        else:
            from moorage.wiring.postgres import open_primary  # noqa: PLC0415 - as above

            database = await open_primary(config)
        try:
            return await half_of(database)
        finally:
            await database.close()
    except BackendError as exc:
        raise ConfigurationError([Mistake("database", f"cannot be asked which it is: {exc}")]) from exc


@contextlib.contextmanager
def left_as_one_file(store: Store) -> Iterator[None]:
    """For as long as a node's processes use *store*: after them, whoever copies an SQLite file has all of it."""
    try:
        yield
    finally:
        if isinstance(store, SqliteStore):
            bring_in(store.path)
