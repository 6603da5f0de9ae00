"""Delivery of notices that a database keeps: one node at a time for each endpoint, in order in each lane.

A lane whose notice fails waits, and the others go on. An endpoint that is away is asked with one notice at a time,
each time of another lane, until it takes one. See ADR 0059.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from moorage.errors import BackendError
from moorage.notifications.endpoints import LONGEST_PAUSE, PAUSE_GROWTH, EndpointSettings, lease_name
from moorage.notifications.observing import DeliveryObserver, NoObserver
from moorage.notifications.outbox import Outbox, QueuedNotice
from moorage.notifications.sending import CONNECTIONS, Sender, SendResult
from moorage.sql.leases import Leases
from moorage.telemetry import get_log
from moorage.work.loop import FAILED, IDLE, WORKED, Growth, Loop, LoopPace, RoundOutcome, RoundResult

POLL = timedelta(seconds=0.25)
"""The pause between two looks for notices that have come. Each look that finds some ends with a write, so that few
looks at many notices cost a database less than many at few."""

_WINDOW = 64
"""Notices that one round has in hand."""
_FRESH_S = 0.1
"""Seconds for which what was read of a notice is believed: behind a slow receiver it may have been dropped since."""
_ACKNOWLEDGED = 16
"""So many that have arrived are forgotten at once: after a crash no more than these are sent twice in each lane."""
_ROUND_S = 5.0
"""Seconds in which a round begins to send, so that the lease is renewed in time."""
_LEASE = timedelta(seconds=12)
_RENEWED_S = 5.0
_ASKED_LIMIT = 1000
_AWAY_AFTER = 3
"""So many failures in a row mean that the endpoint was away, and not that one event is bad."""
_RETRY = Growth(POLL, timedelta(seconds=10))

_log = get_log("notifications")


@dataclass(slots=True)
class _Held:
    """A lane that waits after a failure."""

    until: float
    pause_s: float
    is_refused: bool


class OutboxDelivery:
    """Delivers to one endpoint for as long as a node lives."""

    def __init__(
        self,
        settings: EndpointSettings,
        outbox: Outbox,
        leases: Leases,
        *,
        holder: str,
        observer: DeliveryObserver | None = None,
    ) -> None:
        """*holder*: the name of this process, which no other has."""
        self._settings = settings
        self._outbox = outbox
        self._leases = leases
        self._holder = holder
        self._observer = observer or NoObserver()
        self._sender = Sender(settings)
        self._growth = Growth(settings.backoff, max(settings.backoff, LONGEST_PAUSE), PAUSE_GROWTH)
        self._held: dict[str, _Held] = {}
        self._asked: set[str] = set()
        """Lanes whose notice an endpoint that is away was asked with: the next time it is another's turn."""
        self._misses = 0
        self._pause_s: float | None = None
        self._renew_at = float("-inf")
        self._read_at = float("-inf")
        self._arrived: list[int] = []
        self._fault: BackendError | None = None

    async def run(self) -> None:
        """Deliver until cancelled; then note what has arrived, and let another node go on."""
        pace = LoopPace(interval=timedelta(0), idle=Growth(POLL, POLL), failing=_RETRY)
        try:
            await Loop(self.round, pace, failures=(BackendError,), on_failure=self._log_failure).run()
        finally:
            with contextlib.suppress(BackendError):
                await self._acknowledge()
            if self._renew_at > float("-inf"):
                with contextlib.suppress(BackendError):
                    await self._leases.release(lease_name(self._settings.name), self._holder)
            await self._sender.close()

    async def round(self) -> RoundResult:
        """Send what waits, for some seconds at most.

        Raises:
            BackendError: the database did not do its part. What has arrived may be sent again.
        """
        rows = await self._waiting()
        if rows and time.monotonic() >= self._renew_at:
            if not await self._own():
                return RoundResult(RoundOutcome.IDLE, pause_s=_RENEWED_S)
            rows = await self._waiting()  # Another node may have had it, and have sent some of these.
        if not rows:
            return self._idle()
        lanes: dict[str, list[QueuedNotice]] = {}
        for row in rows:
            lanes.setdefault(row.lane, []).append(row)
        before, until = self._misses, time.monotonic() + _ROUND_S
        room = asyncio.Semaphore(CONNECTIONS)
        async with asyncio.TaskGroup() as group:
            for each in lanes.values():
                group.create_task(self._send_lane(each, room, until))
        await self._acknowledge()
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault
        if self._misses > before:
            return RoundResult(FAILED.outcome, pause_s=self._pause_s)
        return WORKED if len(rows) >= _WINDOW else RoundResult(WORKED.outcome, pause_s=POLL.total_seconds())

    async def _waiting(self) -> Sequence[QueuedNotice]:
        name, now = self._settings.name, time.monotonic()
        self._read_at = now
        held = {lane for lane, state in self._held.items() if state.until > now}
        if not self._misses:
            return await self._outbox.waiting(name, limit=_WINDOW, without=held)
        rows = await self._outbox.waiting(name, limit=1, without=held | self._asked)
        if rows or not self._asked:
            return rows
        self._asked.clear()
        return await self._outbox.waiting(name, limit=1, without=held)

    def _idle(self) -> RoundResult:
        now = time.monotonic()
        due = [state.until for state in self._held.values() if state.until > now]
        return RoundResult(IDLE.outcome, longest_pause_s=max(min(due) - now, 0.01) if due else None)

    async def _own(self) -> bool:
        began, lease = time.monotonic(), _LEASE + 2 * self._settings.timeout
        if await self._leases.take(lease_name(self._settings.name), self._holder, lease) is None:
            self._renew_at = float("-inf")
            return False
        self._renew_at = began + _RENEWED_S
        return True

    async def _send_lane(self, rows: Sequence[QueuedNotice], room: asyncio.Semaphore, until: float) -> None:
        misses = self._misses
        try:
            for row in rows:
                async with room:
                    if self._misses > misses or self._fault is not None or time.monotonic() > until:
                        return
                    if not await self._send(row):
                        return
        except BackendError as exc:
            self._fault = exc

    async def _send(self, row: QueuedNotice) -> bool:
        """Send one; return whether the next one of its lane may go."""
        is_fresh = time.monotonic() - self._read_at < _FRESH_S
        payload = row.payload if is_fresh and row.payload else await self._outbox.payload(row.id)
        if payload is None:
            return True  # It was dropped meanwhile.
        if not row.tries:
            self._observer.taken_up(row)
        began = time.monotonic()
        result = await self._sender.send(payload)
        self._observer.tried(row, result, time.monotonic() - began)
        if result.outcome != "accepted":
            await self._missed(row, result)
            return False
        self._observer.ended(row, is_delivered=True, retries=row.tries, age_s=_age_s(row))
        self._arrived.append(row.id)
        self._well(row.lane)
        if len(self._arrived) >= _ACKNOWLEDGED:
            await self._acknowledge()
        return True

    async def _acknowledge(self) -> None:
        arrived, self._arrived = self._arrived, []
        if arrived:
            await self._outbox.delivered(sorted(arrived))

    def _well(self, lane: str) -> None:
        self._held.pop(lane, None)
        if self._misses >= _AWAY_AFTER:
            self._held = {name: state for name, state in self._held.items() if state.is_refused}
            _log.info("an endpoint takes events again", endpoint=self._settings.name)
        self._misses, self._pause_s = 0, None
        self._asked.clear()

    async def _missed(self, row: QueuedNotice, result: SendResult) -> None:
        is_refused = result.outcome == "refused"
        is_final = row.tries >= self._settings.max_retries and (
            is_refused or _age_s(row) > self._settings.keep_trying.total_seconds()
        )
        before = self._held.pop(row.lane, None)
        if not is_final:
            pause_s = self._growth.after(None if before is None else before.pause_s)
            self._held[row.lane] = _Held(time.monotonic() + pause_s, pause_s, is_refused)
        if not is_refused:
            self._misses += 1
            if len(self._asked) >= _ASKED_LIMIT:
                self._asked.clear()
            self._asked.add(row.lane)
            self._pause_s = self._growth.after(self._pause_s)
            if self._misses == _AWAY_AFTER:
                _log.warning("an endpoint takes no events", endpoint=self._settings.name, reason=result.reason)
        if is_final:
            self._observer.ended(row, is_delivered=False, retries=row.tries, age_s=_age_s(row))
            _log.error(
                "an event could not be delivered and is kept: moorage notifications show",
                endpoint=self._settings.name,
                id=row.id,
                event_id=row.event_id,
                reason=result.reason,
            )
        await self._outbox.missed(row.id, error=result.reason, at=datetime.now(UTC), is_final=is_final)

    def _log_failure(self, exc: Exception) -> None:
        _log.warning("events wait, as the database does not answer", endpoint=self._settings.name, error=str(exc))


def _age_s(row: QueuedNotice) -> float:
    return (datetime.now(UTC) - row.at).total_seconds()
