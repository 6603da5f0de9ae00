"""A check, put together."""

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from moorage.integrity.blobs import BlobCheck, DatabaseJudge
from moorage.integrity.checking import Part
from moorage.integrity.confirming import SecondLook
from moorage.integrity.hashing import Hashing, HashingPace
from moorage.integrity.layout_judge import LayoutJudge
from moorage.integrity.linked_elsewhere import LinkedElsewhere
from moorage.integrity.links import LinkCheck
from moorage.integrity.manifests import ManifestCheck
from moorage.integrity.payloads import Payloads
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.repairing import Repairs
from moorage.integrity.unfinished import PartsCheck
from moorage.metadata.schema import schema_version as schema
from moorage.metadata.sql.integrity import SqlBlobRecords, SqlBlobRepairs, SqlManifestRecords, SqlManifestRepairs
from moorage.sql.base import Database
from moorage.sql.database_place import DatabasePlace
from moorage.storage.base import StorageDriver
from moorage.wiring.databases import opened_database


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRegistry:
    """The two halves of a registry, opened to be compared."""

    storage: StorageDriver
    database: Database | None
    """None: the metadata is in link files."""
    hashing: Hashing

    @property
    def store(self) -> str:
        """The kind of the metadata store, as the notes of a check have it."""
        return "layout" if self.database is None else "database"

    def parts(self, *, verifies: bool, repairs: bool) -> Sequence[Part]:
        """See :func:`check_parts`."""
        return check_parts(self.storage, self.database, self.hashing, verifies=verifies, repairs=repairs)


@contextlib.asynccontextmanager
async def opened_registry(
    storage: StorageDriver, place: DatabasePlace | None, pace: HashingPace
) -> AsyncIterator[CheckedRegistry]:
    """Open what is to be checked until the block ends; a check does not wait for what migrates the schema.

    Raises:
        ConfigurationError: the schema is too old or too new.
        DatabaseUnavailable: the database cannot be reached.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = None
        if place is not None:
            database = await stack.enter_async_context(opened_database(place, directly=True))
            (await schema.check(database)).refuse()
        hashing = Hashing(storage, threads=len(os.sched_getaffinity(0)), pace=pace)
        stack.callback(hashing.close)
        yield CheckedRegistry(storage=storage, database=database, hashing=hashing)


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
        blobs = BlobCheck(storage, LayoutJudge(storage, hashing, kept), reading)
        return [blobs, LinkCheck(storage, kept), PartsCheck(storage)]
    records, manifest_records = SqlBlobRecords(database), SqlManifestRecords(database)
    judge = DatabaseJudge(
        records,
        SecondLook(storage, records, Payloads(manifest_records), hashing),
        LinkedElsewhere(storage),
        Repairs(storage, SqlBlobRepairs(database), quarantine) if repairs else None,
    )
    manifest_repairs = SqlManifestRepairs(database) if repairs else None
    manifests = ManifestCheck(manifest_records, manifest_repairs, verifies=verifies)
    return [BlobCheck(storage, judge, reading), manifests, PartsCheck(storage)]
