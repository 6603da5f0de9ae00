"""Questions of a start to a database: its name, by which storage tells that it belongs to it, and if it has images."""

import hashlib

from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.sql.integrity import SqlBlobRecords
from moorage.sql.base import Database, NamedQuery, microseconds, moment

_SAMPLE = 100

_TEXT = "SELECT applied_at FROM moorage_migrations WHERE phase = 'pre-deployment' ORDER BY name LIMIT 1"
_BEGINNING = NamedQuery("beginning", _TEXT, _TEXT)
_POPULATED = "SELECT 1 FROM repositories WHERE populated_at IS NOT NULL LIMIT 1"
_HAS_REPOSITORIES = NamedQuery("has_repositories", _POPULATED, _POPULATED)


async def half_of(database: Database) -> DatabaseHalf:
    """Ask a database whose schema is there.

    Its name is the microsecond in which its schema was made: it is there already, and backups keep it.
    """
    row = await database.first(_BEGINNING)
    began = 0 if row is None else microseconds(moment(row[0]))
    records = await SqlBlobRecords(database).page(after=None, limit=_SAMPLE)
    known = [record.digest for record in records if record.row is not None and not record.row.is_marked]
    return DatabaseHalf(hashlib.sha256(f"{began}".encode()).hexdigest()[:32], known)


async def has_images(database: Database) -> bool:
    """Return whether there is, or was, a manifest in any repository."""
    return await database.first(_HAS_REPOSITORIES) is not None
