"""Leases: one holder at a time may do what a name says, on all nodes, until the lease ends."""

from datetime import datetime, timedelta

from moorage.sql import clock
from moorage.sql.base import Database, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.sql", "leases")


class Leases:
    """The leases of one database, by its clock: a node whose own is ahead does not take what others still hold."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, holder: str, ttl: timedelta) -> datetime | None:
        """Take a lease, or prolong one that *holder* has; return when it ends, None if somebody else has it."""
        now = await clock.now(self._database)
        rows = await self._database.write(_QUERIES["take"], name, holder, now + ttl, now)
        return moment(rows[0][0]) if rows else None

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens if *holder* does not have it."""
        await self._database.write(_QUERIES["release"], name, holder)

    async def holder(self, name: str) -> str | None:
        """Return the present holder of a lease; None: nobody."""
        row = await self._database.first(_QUERIES["holder"], name, await clock.now(self._database))
        return None if row is None else str(row[0])
