"""Names a database, so that storage can say to which one it belongs; and tells some of what it knows of storage."""

import hashlib

from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.sql.integrity import SqlBlobRecords
from moorage.sql.base import Database, NamedQuery, microseconds, moment

_SAMPLE = 100

_TEXT = "SELECT applied_at FROM moorage_migrations WHERE phase = 'pre-deployment' ORDER BY name LIMIT 1"
_BEGINNING = NamedQuery("beginning", _TEXT, _TEXT)


async def half_of(database: Database) -> DatabaseHalf:
    """Ask a database whose schema is there.

    Its name is the microsecond in which its schema was made: it is there already, and backups keep it.
    """
    row = await database.first(_BEGINNING)
    began = 0 if row is None else microseconds(moment(row[0]))
    records = await SqlBlobRecords(database).page(after=None, limit=_SAMPLE)
    known = [record.digest for record in records if record.row is not None and not record.row.is_marked]
    return DatabaseHalf(hashlib.sha256(f"{began}".encode()).hexdigest()[:32], known)
