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


async def write_notices(transaction: Transaction, notices: Sequence[Notice]) -> None:
    """Write notices in the transaction of what they tell of. Nothing is asked where nobody is told."""
    if notices:
        await transaction.run_many(_QUERIES["add_notice"], [_columns(notice) for notice in notices])


async def move_lanes(transaction: Transaction, name: RepositoryName, target: RepositoryName) -> None:
    """Let what waits of a repository, and of those below it, stay before what comes under its new name."""
    await transaction.all(_QUERIES["move_lanes"], name.text, target.text)


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
        rows = await self._database.all(_QUERIES["waiting"], endpoint, limit, list(without))
        return [_queued(row) for row in rows]

    async def payload(self, notice_id: int) -> str | None:
        row = await self._database.first(_QUERIES["payload"], notice_id)
        return None if row is None else str(row[0])

    async def delivered(self, ids: Sequence[int]) -> None:
        await self._database.write(_QUERIES["delivered"], list(ids))

    async def missed(self, notice_id: int, *, error: str, at: datetime, is_final: bool) -> None:
        await self._database.write(_QUERIES["missed"], notice_id, at, error, at if is_final else None)

    async def queues(self) -> Sequence[EndpointQueue]:
        found = []
        for endpoint, waiting, since, failed in await self._database.all(_QUERIES["queues"], heavy=True):
            error = await self._database.first(_QUERIES["first_error" if waiting else "last_failure"], endpoint)
            if error is None and failed:
                error = await self._database.first(_QUERIES["last_failure"], endpoint)
            found.append(
                EndpointQueue(
                    endpoint=endpoint,
                    waiting=waiting,
                    waiting_since=maybe_moment(since),
                    failed=failed,
                    error=None if error is None else error[0],
                )
            )
        return found

    async def listed(self, meant: NoticeChoice, *, after: int, limit: int) -> Sequence[QueuedNotice]:
        query = _QUERIES["listed_waiting" if meant.waits else "listed_failed"]
        return [_queued(row) for row in await self._database.all(query, meant.endpoint, after, limit)]

    async def retry(self, meant: NoticeChoice) -> int:
        return await self._change("retry", meant)

    async def drop(self, meant: NoticeChoice) -> int:
        return await self._change("drop_waiting" if meant.waits else "drop_failed", meant)

    async def _change(self, query: str, meant: NoticeChoice) -> int:
        if meant.ids is None:
            return len(await self._database.write(_QUERIES[query], meant.endpoint))
        return len(await self._database.write(_QUERIES[f"{query}_ids"], meant.endpoint, sorted(meant.ids)))


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
