"""Blobs in the order in which they have come: that of their numbers."""

from collections.abc import Sequence

from moorage.metadata.new_blobs import NewBlobStore, NumberedBlob
from moorage.metadata.sql.digest_keys import digest_of
from moorage.sql.base import Database
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.sql", "new_blobs")


class SqlNewBlobs(NewBlobStore):
    """``blobs``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last_number(self) -> int:
        row = await self._database.first(QUERIES["last_blob_number"])
        return 0 if row is None else int(row[0])

    async def after(self, number: int, *, limit: int) -> Sequence[NumberedBlob]:
        rows = await self._database.all(QUERIES["blobs_numbered_after"], number, limit)
        return [NumberedBlob(row[0], digest_of(row[1])) for row in rows]
