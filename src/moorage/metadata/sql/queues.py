"""The review queues as a whole, in a database. What reads much runs beside the event loop."""

from collections.abc import Sequence
from datetime import timedelta

from moorage.metadata.queues import FORECAST_LIMIT, Forecast, Freed, QueueState, QueueStore, ReviewRate
from moorage.metadata.words import Queue
from moorage.sql import clock
from moorage.sql.base import Database, Row, Value, maybe_moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "queues")

_TIMES = 5
"""Number of times that a forecast's query takes; a caller's shorter list is filled up."""


class SqlQueues(QueueStore):
    """``gc_blob_review_queue``, ``gc_manifest_review_queue`` and ``gc_progress``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, queue: Queue) -> QueueState:
        row = await self._read(f"{queue}_state", await clock.now(self._database))
        waiting, due, claimed, due_since, next_at, failed, attempts = row
        error = None
        if failed:
            found = await self._database.all(_QUERIES[f"{queue}_error"], attempts, heavy=True)
            error = found[0][0] if found else None
        return QueueState(
            waiting=waiting,
            due=due,
            claimed=claimed,
            due_since=maybe_moment(due_since),
            next_at=maybe_moment(next_at),
            failed=failed,
            error=error,
        )

    async def due(self, queue: Queue) -> int:
        return int((await self._read(f"{queue}_due", await clock.now(self._database)))[0])

    async def progress(self, queue: Queue, *, hours: int) -> ReviewRate:
        now = await clock.now(self._database)
        since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
        reviewed, removed, removed_bytes, failed = await self._read("progress", queue, since)
        return ReviewRate(
            since=since, until=now, reviewed=reviewed, removed=removed, removed_bytes=removed_bytes, failed=failed
        )

    async def forecast(self, queue: Queue, within: Sequence[timedelta]) -> Forecast:
        now = await clock.now(self._database)
        moments = [now + time for time in within]
        moments += moments[-1:] * (_TIMES - len(moments))
        if queue == "manifest":
            delay = timedelta(microseconds=int((await self._read("delay"))[0]))
            moments = [at - delay for at in moments] + [at - 2 * delay for at in moments]
        row = await self._read(f"{queue}_forecast", FORECAST_LIMIT, *moments)
        more = await self._database.all(_QUERIES[f"{queue}_has_more"], FORECAST_LIMIT, heavy=True)
        freed = [Freed(time, row[2 * place], row[2 * place + 1]) for place, time in enumerate(within)]
        return Forecast(within=freed, is_whole=not more)

    async def hurry(self, queue: Queue, *, limit: int) -> int:
        now = await clock.now(self._database)
        rows = await self._database.all(_QUERIES[f"{queue}s_to_hurry"], now, limit, heavy=True)
        if not rows:
            return 0
        return len(await self._database.write(_QUERIES[f"hurry_{queue}s"], now, [row[0] for row in rows]))

    async def _read(self, query: str, *args: Value) -> Row:
        """The one row of a query that may have to read much."""
        return (await self._database.all(_QUERIES[query], *args, heavy=True))[0]
