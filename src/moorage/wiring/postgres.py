"""PostgreSQL, with its replicas if there are any. Imported where it is used: a start on SQLite need not wait for it."""

import dataclasses
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.metadata.schema.schema_version import check
from moorage.metadata.sql.identity import has_images
from moorage.sql.base import Database
from moorage.sql.database_place import PostgresSettings, postgres_settings
from moorage.sql.postgres.postgres_check import check_server as check_server
from moorage.sql.postgres.postgres_database import PostgresDatabase

if TYPE_CHECKING:
    from moorage.sql.replicas.replica_discovery import ReplicaAddress


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


async def prepare_postgres(settings: PostgresSettings) -> bool:
    """Check the server and the schema, which is not changed; return whether there are images.

    Raises:
        ConfigurationError: it cannot be used; with what would help.
        DatabaseUnavailable: it does not answer.
    """
    await check_server(settings)
    database = await PostgresDatabase.open(settings)
    try:
        (await check(database)).refuse()
        return await has_images(database)
    finally:
        await database.close()
