"""Before a database is used: the right server, the right schema, and whether it holds images."""

from moorage.config.backends import Database as DatabaseConfig
from moorage.config.stores import DatabaseStore, SqliteStore
from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.metadata.sql.schema import check, migrate_sqlite
from moorage.sql.base import Database
from moorage.sql.postgres import PostgresDatabase
from moorage.sql.postgres_check import check_server
from moorage.sql.postgres_connect import PoolLimits, PostgresSettings
from moorage.sql.queries import load_queries
from moorage.sql.sqlite import SqliteDatabase

_POSTGRES_PORT = 5432
_QUERIES = load_queries("moorage.metadata.sql", "starting")


async def prepare(config: DatabaseConfig, store: DatabaseStore) -> bool:
    """Make a database ready to be used, and return whether it holds images. What is opened is closed again.

    An SQLite file is made and migrated; of a PostgreSQL database nothing is changed.

    Raises:
        ConfigurationError: it cannot be reached or used; with what would help.
    """
    try:
        if isinstance(store, SqliteStore):
            return await _prepare_sqlite(store)
        return await _prepare_postgres(config)
    except BackendError as exc:
        path = "database.sqlite" if isinstance(store, SqliteStore) else "database.host"
        raise ConfigurationError([Mistake(path, f"cannot be used: {exc}")]) from exc


def postgres_settings(config: DatabaseConfig) -> PostgresSettings:
    """The connection that the section ``database`` describes."""
    return PostgresSettings(
        host=config.host,
        port=config.port or _POSTGRES_PORT,
        user=config.user,
        password=config.password,
        dbname=config.dbname,
        sslmode=config.sslmode or "prefer",
        sslcert=config.sslcert,
        sslkey=config.sslkey,
        sslrootcert=config.sslrootcert,
        connect_timeout=config.connecttimeout,
        drain_timeout=config.draintimeout,
        prepared_statements=config.preparedstatements,
        primary=config.primary,
        pool=PoolLimits(
            max_open=config.pool.maxopen,
            # Not given is not 0: then what is open stays open.
            max_idle=max(config.pool.maxidle, 0) if "maxidle" in config.pool.model_fields_set else None,
            max_lifetime=config.pool.maxlifetime,
            max_idle_time=config.pool.maxidletime,
        ),
    )


async def _prepare_sqlite(store: SqliteStore) -> bool:
    if not store.path.parent.is_dir():
        message = f"there is no folder {store.path.parent}; make it, or name a file elsewhere"
        raise ConfigurationError([Mistake("database.sqlite", message)])
    migrate_sqlite(store.path)
    database = await SqliteDatabase.open(store.path)
    try:
        return await _has_images(database)
    finally:
        await database.close()


async def _prepare_postgres(config: DatabaseConfig) -> bool:
    settings = postgres_settings(config)
    await check_server(settings)
    database = await PostgresDatabase.open(settings)
    try:
        (await check(database)).refuse()
        return await _has_images(database)
    finally:
        await database.close()


async def _has_images(database: Database) -> bool:
    return await database.first(_QUERIES["has_repositories"]) is not None
