"""Databases, opened for something else than serving: to be prepared, asked or checked."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from moorage.metadata.sql.database_name import name_of as name_of
from moorage.metadata.sql.identity import half_of as half_of
from moorage.metadata.sql.identity import has_images as has_images
from moorage.metadata.sql.new_blobs import SqlNewBlobs as SqlNewBlobs
from moorage.sql.base import Database
from moorage.sql.database_place import DatabasePlace
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.sql.sqlite.write_ahead import bring_in as bring_in


@contextlib.asynccontextmanager
async def opened_database(place: DatabasePlace, *, directly: bool = False) -> AsyncIterator[Database]:
    """Open a database, of a PostgreSQL server not its replicas, until the block ends.

    *directly*: as migrations do, at ``database.primary`` if that is named, so that no pooler is in between.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    found: Database
    if isinstance(place, Path):
        found = await SqliteDatabase.open(place)
    else:
        from moorage.sql.postgres.postgres_database import PostgresDatabase  # noqa: PLC0415 - a use of SQLite need not wait for it

        found = await PostgresDatabase.open(place.of_primary() if directly else place)
    try:
        yield found
    finally:
        await found.close()
