"""The marks of a storage in a database. They are rows of ``leases``, which every copy of a database has."""

from collections.abc import Collection
from datetime import timedelta

from moorage.metadata.storage_marks import StorageMarks
from moorage.sql import clock
from moorage.sql.base import Database
from moorage.sql.leases import Leases
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "storage_marks")
_MARKS = "marks of the storage"
_TWO = "two databases over the storage"
_KEPT_CHARACTERS = 59 * 17 - 1
"""Of older marks: 59 of 16 characters with a space between. That many nodes may start at one time."""


class SqlStorageMarks(StorageMarks):
    """See :class:`StorageMarks`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._leases = Leases(database)

    async def known(self) -> Collection[str]:
        """See :meth:`StorageMarks.known`."""
        row = await self._database.first(_QUERIES["known"], _MARKS)
        return frozenset(() if row is None else str(row[0]).split())

    async def add(self, mark: str, *, every: timedelta) -> bool:
        """See :meth:`StorageMarks.add`."""
        now = await clock.now(self._database)
        return bool(await self._database.write(_QUERIES["add"], _MARKS, mark, now + every, _KEPT_CHARACTERS, now))

    async def hold(self, length: timedelta) -> bool:
        """See :meth:`StorageMarks.hold`."""
        was_held = await self.is_held()
        await self._leases.take(_TWO, _TWO, length)
        return not was_held

    async def is_held(self) -> bool:
        """See :meth:`StorageMarks.is_held`."""
        return await self._leases.holder(_TWO) is not None
