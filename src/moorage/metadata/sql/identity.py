"""Questions of a start to a database: its name, by which storage tells that it belongs to it, and if it has images."""

from moorage.metadata.database_half import DatabaseHalf
from moorage.metadata.sql.database_name import name_of
from moorage.metadata.sql.integrity import SqlBlobRecords
from moorage.sql.base import Database, NamedQuery

_SAMPLE = 100

_POPULATED = "SELECT 1 FROM repositories WHERE populated_at IS NOT NULL LIMIT 1"
_HAS_REPOSITORIES = NamedQuery("has_repositories", _POPULATED, _POPULATED)


async def half_of(database: Database) -> DatabaseHalf:
    """Ask a database whose schema is there."""
    records = await SqlBlobRecords(database).page(after=None, limit=_SAMPLE)
    known = [record.digest for record in records if record.row is not None and not record.row.is_marked]
    return DatabaseHalf(await name_of(database), known)


async def has_images(database: Database) -> bool:
    """Return whether there is, or was, a manifest in any repository."""
    return await database.first(_HAS_REPOSITORIES) is not None
