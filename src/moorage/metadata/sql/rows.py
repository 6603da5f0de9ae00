"""Counts of rows, beside the event loop."""

from collections.abc import Mapping

from moorage.metadata.queues import RowCountStore
from moorage.sql import clock
from moorage.sql.base import Database
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "rows")
_OVERDUE = "_overdue"


class SqlRowCounts(RowCountStore):
    """The review queues, and the migrations that were applied."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self) -> Mapping[str, int]:
        now = await clock.now(self._database)
        counts = {}
        for name, query in _QUERIES.items():
            args = (now,) if name.endswith(_OVERDUE) else ()
            counts[name] = int((await self._database.all(query, *args, heavy=True))[0][0])
        return counts
