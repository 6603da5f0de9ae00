"""Bytes that the images of repositories need, from the database."""

from moorage.metadata.details import SizeStore
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, Row
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "sizes")
_NUMBER_BITS = 64
"""Of each of several numbers that are told as one."""


class SqlSizes(SizeStore):
    """Sums over rows, beside the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def measure(self, name: RepositoryName, *, with_descendants: bool) -> int:
        return await self._number("size_with_descendants" if with_descendants else "size", name)

    async def estimate(self, name: RepositoryName) -> int:
        return await self._number("estimated_size", name)

    async def last_change(self, name: RepositoryName, *, with_descendants: bool) -> int:
        row = await self._row("last_change_with_descendants" if with_descendants else "last_change", name)
        return sum(int(number) << _NUMBER_BITS * place for place, number in enumerate(row))

    async def _number(self, query: str, name: RepositoryName) -> int:
        return int((await self._row(query, name))[0])  # PostgreSQL sums into its decimal type.

    async def _row(self, query: str, name: RepositoryName) -> Row:
        rows = await self._database.all(_QUERIES[query], name.text, repository=name.text, heavy=True)
        return rows[0]
