"""Leases: one holder at a time may do what a name says, on all nodes, until the lease ends."""

from datetime import datetime, timedelta

from moorage.sql import clock
from moorage.sql.base import Database, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.sql", "leases")

_ASTRAY = timedelta(hours=1)
"""Further ahead than this no lease ends: one that does was taken by a clock that was ahead, and is anybody's."""


class Leases:
    """The leases of one database, by its clock: a node whose own is ahead does not take what others still hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, holder: str, ttl: timedelta) -> datetime | None:
        """Take a lease, or prolong one that *holder* has; return when it ends, None if somebody else has it."""
        now = await clock.now(self._database)
        rows = await self._database.write(_QUERIES["take"], name, holder, now + ttl, now, now + ttl + _ASTRAY)
        return moment(rows[0][0]) if rows else None

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens if *holder* does not have it."""
        await self._database.write(_QUERIES["release"], name, holder)

    async def holder(self, name: str) -> str | None:
        """Return the present holder of a lease; None: nobody."""
        now = await clock.now(self._database)
        row = await self._database.first(_QUERIES["holder"], name, now, now + _ASTRAY)
        return None if row is None else str(row[0])
