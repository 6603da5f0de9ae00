"""The name of a database: by it storage tells that it belongs to it, and a worker that it is still the same one."""

import hashlib

from moorage.sql.base import Database, NamedQuery, microseconds, moment

_TEXT = "SELECT applied_at FROM moorage_migrations WHERE phase = 'pre-deployment' ORDER BY name LIMIT 1"
_BEGINNING = NamedQuery("beginning", _TEXT, _TEXT)


async def name_of(database: Database) -> str:
    """Return the name of a database whose schema is there.

    It is the microsecond in which its schema was made: it is there already, and backups keep it.
    """
    row = await database.first(_BEGINNING)
    began = 0 if row is None else microseconds(moment(row[0]))
    return hashlib.sha256(f"{began}".encode()).hexdigest()[:32]
