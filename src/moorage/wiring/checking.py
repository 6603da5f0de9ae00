"""A check, put together."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from moorage.config.sections.database import DatabaseSection
from moorage.integrity.blobs import BlobCheck, DatabaseJudge
from moorage.integrity.checking import Part
from moorage.integrity.confirming import SecondLook
from moorage.integrity.hashing import Hashing
from moorage.integrity.layout_judge import LayoutJudge
from moorage.integrity.links import LinkCheck
from moorage.integrity.manifests import ManifestCheck
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.repairing import Repairs
from moorage.metadata.schema import schema_version as schema
from moorage.metadata.sql.integrity import SqlBlobRecords, SqlBlobRepairs, SqlManifestRecords, SqlManifestRepairs
from moorage.sql.base import Database
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.base import StorageDriver

Where = Path | DatabaseSection
"""A database: a path is an SQLite file's."""


@contextlib.asynccontextmanager
async def open_database(where: Where) -> AsyncIterator[Database]:
    """The database to check, with the schema that this code needs; a check does not wait for what migrates it.

    Raises:
        ConfigurationError: the schema is too old or too new.
        DatabaseUnavailable: it cannot be reached.
    """
    found: Database
    if isinstance(where, Path):
        found = await SqliteDatabase.open(where)
    else:
        from moorage.sql.postgres.postgres_database import PostgresDatabase  # noqa: PLC0415 - a check on SQLite need not wait for it
        from moorage.wiring.postgres import postgres_settings  # noqa: PLC0415 - a check on SQLite need not wait for it

        found = await PostgresDatabase.open(postgres_settings(where).of_primary())
    try:
        (await schema.check(found)).refuse()
        yield found
    finally:
        await found.close()


def check_parts(
    storage: StorageDriver, database: Database | None, hashing: Hashing, *, verifies: bool, repairs: bool
) -> Sequence[Part]:
    """Return the parts of a check, in their order.

    Args:
        storage: where the bytes are.
        database: where the metadata is; None: in link files.
        hashing: how bytes are read.
        verifies: whether all of them are.
        repairs: whether anything is changed.
    """
    quarantine = Quarantine(storage, hashing)
    reading = hashing if verifies else None
    if database is None:
        kept = quarantine if repairs else None
        return [BlobCheck(storage, LayoutJudge(storage, hashing, kept), reading), LinkCheck(storage, kept)]
    records = SqlBlobRecords(database)
    judge = DatabaseJudge(
        records,
        SecondLook(storage, records, hashing),
        Repairs(storage, SqlBlobRepairs(database), quarantine) if repairs else None,
    )
    manifest_repairs = SqlManifestRepairs(database) if repairs else None
    manifests = ManifestCheck(SqlManifestRecords(database), manifest_repairs, verifies=verifies)
    return [BlobCheck(storage, judge, reading), manifests]
