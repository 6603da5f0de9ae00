"""A check, put together."""

from collections.abc import Sequence

from moorage.integrity.blobs import BlobCheck, DatabaseJudge
from moorage.integrity.checking import Part
from moorage.integrity.hashing import Hashing
from moorage.integrity.links import LinkCheck
from moorage.integrity.looking import SecondLook
from moorage.integrity.manifests import ManifestCheck
from moorage.integrity.quarantine import Quarantine
from moorage.integrity.repairing import Repairs
from moorage.integrity.stored import LayoutJudge
from moorage.metadata.sql.integrity import SqlBlobRecords, SqlBlobRepairs, SqlManifestRecords, SqlManifestRepairs
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver


def check_parts(
    storage: StorageDriver, database: Database | None, hashing: Hashing, *, verifies: bool, repairs: bool
) -> Sequence[Part]:
    """What a check does, in its order.

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
