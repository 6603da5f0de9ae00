"""Notices in a database: written with the change that they tell of, and kept until they have arrived."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from moorage.notifications.events import Notice
from moorage.notifications.outbox import EndpointQueue, NoticeChoice, Outbox, QueuedNotice
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, Row, Transaction, Value, maybe_moment, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "outbox")

_PORTION = 500
"""Rows that one statement writes or takes."""
_OLDEST = 1000
"""Rows that are looked at one by one before whole lanes are passed by."""


async def write_notices(transaction: Transaction, notices: Sequence[Notice]) -> None:
    """Write notices in the transaction of what they tell of. Nothing is asked where nobody is told."""
    if notices:
        await transaction.run_many(_QUERIES["add_notice"], [_columns(notice) for notice in notices])


async def move_lanes(transaction: Transaction, name: RepositoryName, target: RepositoryName) -> None:
    """Let what waits of a repository, and of those below it, stay before what comes under its new name."""
    await transaction.all(_QUERIES["move_lanes"], name.text, target.text)


async def move_lane(transaction: Transaction, name: RepositoryName, target: RepositoryName) -> None:
    """As :func:`move_lanes`, of a repository alone: those below it keep their names."""
    await transaction.all(_QUERIES["move_lane"], name.text, target.text)


def as_lists(notices: Sequence[Notice]) -> tuple[Value, ...]:
    """Return notices as the lists that one statement takes which writes them besides (PostgreSQL)."""
    return (
        [notice.endpoint for notice in notices],
        [notice.lane for notice in notices],
        [notice.event_id for notice in notices],
        [notice.action for notice in notices],
        [notice.artifact for notice in notices],
        [notice.payload for notice in notices],
    )


class SqlOutbox(Outbox):
    """``notification_queue``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, notices: Sequence[Notice], *, limits: Mapping[str, int]) -> Sequence[Notice]:
        room: dict[str, int] = {}
        for endpoint in sorted({notice.endpoint for notice in notices}):
            limit = limits.get(endpoint, 0)
            row = await self._database.first(_QUERIES["waiting_pulls"], endpoint, limit)
            room[endpoint] = limit - (0 if row is None else int(row[0]))
        kept: list[Notice] = []
        left: list[Notice] = []
        for notice in notices:
            room[notice.endpoint] -= 1
            (kept if room[notice.endpoint] >= 0 else left).append(notice)
        for start in range(0, len(kept), _PORTION):
            async with self._database.transaction() as transaction:
                await write_notices(transaction, kept[start : start + _PORTION])
        return left

    async def waiting(self, endpoint: str, *, limit: int, without: Collection[str]) -> Sequence[QueuedNotice]:
        held = list(without)
        rows = await self._database.all(_QUERIES["waiting"], endpoint, limit, held, _OLDEST)
        if not rows and held:
            rows = await self._database.all(_QUERIES["waiting_elsewhere"], endpoint, limit, held)
        return [_queued(row) for row in rows]

    async def payload(self, notice_id: int) -> str | None:
        row = await self._database.first(_QUERIES["payload"], notice_id)
        return None if row is None else str(row[0])

    async def delivered(self, ids: Sequence[int]) -> None:
        await self._database.write(_QUERIES["delivered"], list(ids))

    async def missed(self, notice_id: int, *, error: str, at: datetime, is_final: bool) -> None:
        await self._database.write(_QUERIES["missed"], notice_id, at, error, at if is_final else None)

    async def queues(self) -> Sequence[EndpointQueue]:
        waiting = {row[0]: row for row in await self._database.all(_QUERIES["waiting_counts"], heavy=True)}
        failed = {row[0]: int(row[1]) for row in await self._database.all(_QUERIES["failed_counts"], heavy=True)}
        found = []
        for endpoint in sorted(waiting.keys() | failed.keys()):
            _, count, first_id = waiting.get(endpoint, (endpoint, 0, None))
            since = error = None
            if first_id is not None:
                since = await self._database.first(_QUERIES["moment"], first_id)
                error = await self._database.first(_QUERIES["first_error"], endpoint, _OLDEST)
            if error is None and endpoint in failed:
                error = await self._database.first(_QUERIES["last_failure"], endpoint)
            found.append(
                EndpointQueue(
                    endpoint=endpoint,
                    waiting=count,
                    waiting_since=None if since is None else moment(since[0]),
                    failed=failed.get(endpoint, 0),
                    error=None if error is None else error[0],
                )
            )
        return found

    async def listed(self, meant: NoticeChoice, *, after: int, limit: int) -> Sequence[QueuedNotice]:
        state = "waiting" if meant.waits else "failed"
        endpoints = [meant.endpoint]
        if meant.endpoint is None:
            endpoints = [row[0] for row in await self._database.all(_QUERIES[f"{state}_counts"], heavy=True)]
        found: list[QueuedNotice] = []
        for endpoint in endpoints:  # Each by its own index: of all together, those of the other state would be read.
            rows = await self._database.all(_QUERIES[f"listed_{state}"], endpoint, after, limit)
            found += [_queued(row) for row in rows]
        return sorted(found, key=lambda notice: notice.id)[:limit]

    async def retry(self, meant: NoticeChoice) -> int:
        return await self._change("retry", meant)

    async def drop(self, meant: NoticeChoice) -> int:
        return await self._change("drop_waiting" if meant.waits else "drop_failed", meant)

    async def _change(self, query: str, meant: NoticeChoice) -> int:
        if meant.ids is not None:
            return len(await self._database.write(_QUERIES[f"{query}_ids"], meant.endpoint, sorted(meant.ids)))
        row = await self._database.first(_QUERIES["last_id"])
        # What comes meanwhile is not meant.
        count, after, last = 0, 0, 0 if row is None or row[0] is None else int(row[0])
        while after < last:
            rows = await self._database.write(_QUERIES[query], meant.endpoint, after, last, _PORTION)
            count += len(rows)
            after = max(int(row[0]) for row in rows) if len(rows) == _PORTION else last
        return count


def _columns(notice: Notice) -> tuple[Value, ...]:
    return (
        *(notice.endpoint, notice.lane, notice.event_id, notice.action, notice.artifact),
        *(notice.at, notice.payload),
    )


def _queued(row: Row) -> QueuedNotice:
    identity, event_id, endpoint, lane, action, artifact, at, payload, tries, tried_at, error, failed_at = row
    return QueuedNotice(
        id=identity,
        event_id=event_id,
        endpoint=endpoint,
        lane=lane,
        action=action,
        artifact=artifact,
        at=moment(at),
        payload=payload,
        tries=tries,
        tried_at=maybe_moment(tried_at),
        error=error,
        failed_at=maybe_moment(failed_at),
    )
