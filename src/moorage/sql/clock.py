"""The database's own clock: where several nodes share rows, what a moment is must not depend on the node."""

from datetime import datetime
from typing import Final

from moorage.sql.base import NamedQuery, Reads, moment

_NOW: Final = NamedQuery("now", "SELECT now_us()", "SELECT now()")


async def now(reads: Reads, query: NamedQuery = _NOW) -> datetime:
    """Return the time there; on PostgreSQL one moment for all of a transaction. *query* has it in its first column."""
    row = await reads.first(query)
    assert row is not None  # noqa: S101 - a SELECT without a table has a row
    return moment(row[0])
