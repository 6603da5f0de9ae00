"""A check that tells if a database holds images."""

from moorage.sql.base import Database
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "images")


async def has_images(database: Database) -> bool:
    """Return whether there is, or was, a manifest in any repository."""
    return await database.first(_QUERIES["has_repositories"]) is not None
