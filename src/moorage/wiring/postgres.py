"""PostgreSQL, with its replicas if there are any. Imported where it is used: a start on SQLite need not wait for it."""

import dataclasses
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.config.sections.database import DatabaseSection
from moorage.metadata.schema.schema_version import check
from moorage.metadata.sql.identity import has_images
from moorage.sql.base import Database
from moorage.sql.postgres.postgres_check import check_server
from moorage.sql.postgres.postgres_connect import PoolLimits, PostgresSettings
from moorage.sql.postgres.postgres_database import PostgresDatabase

if TYPE_CHECKING:
    from moorage.sql.replicas.replica_discovery import ReplicaAddress

_PORT = 5432


async def open_postgres(config: Config) -> Database:
    """Open the database that the section ``database`` names; the server need not be there yet."""
    settings = postgres_settings(config.database)
    primary = await PostgresDatabase.open(settings)
    if not config.database.loadbalancing.enabled:
        return primary
    from moorage.sql.replicas.replicated_database import open_replicated  # noqa: PLC0415 - who has none need not wait for it

    async def connect(address: "ReplicaAddress") -> Database:
        replica = dataclasses.replace(settings, host=address.host, port=address.port, is_writable=False)
        return await PostgresDatabase.open(replica)

    return await open_replicated(
        primary,
        connect,
        balancing=config.database.loadbalancing,
        port=settings.port,
        redis=config.redis.loadbalancing,
    )


def postgres_settings(config: DatabaseSection) -> PostgresSettings:
    """The connection that the section ``database`` describes."""
    return PostgresSettings(
        host=config.host,
        port=config.port or _PORT,
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


async def prepare_postgres(config: DatabaseSection) -> bool:
    """Check the server and the schema, which is not changed; return whether there are images.

    Raises:
        ConfigurationError: it cannot be used; with what would help.
        DatabaseUnavailable: it does not answer.
    """
    settings = postgres_settings(config)
    await check_server(settings)
    database = await PostgresDatabase.open(settings)
    try:
        (await check(database)).refuse()
        return await has_images(database)
    finally:
        await database.close()


async def check_postgres(config: DatabaseSection) -> None:
    """See that the server that the section ``database`` names answers, and can be used.

    Raises:
        ConfigurationError: it cannot be used; with what would help.
        DatabaseUnavailable: it does not answer.
    """
    await check_server(postgres_settings(config))
