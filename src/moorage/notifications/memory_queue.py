"""Delivery without a database, as GitLab's registry does it: a bounded queue in the memory of each process.

What waits when a process is killed is lost, and what does not go within the time at its end. See ADR 0059.

Source: GitLab features NOT-003, NOT-004, NOT-015.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from moorage.notifications.endpoints import LONGEST_PAUSE, PAUSE_GROWTH, EndpointSettings
from moorage.notifications.events import Notice
from moorage.notifications.observing import DeliveryObserver, NoObserver
from moorage.notifications.sending import Sender
from moorage.telemetry import get_log
from moorage.work.alongside import alongside
from moorage.work.loop import Growth

_log = get_log("notifications")


class EndpointMemoryQueue:
    """The notices of one endpoint in one process; sent one by one, in their order."""

    def __init__(self, settings: EndpointSettings, *, observer: DeliveryObserver | None = None) -> None:
        self._settings = settings
        self._observer = observer or NoObserver()
        self._growth = Growth(settings.backoff, max(settings.backoff, LONGEST_PAUSE), PAUSE_GROWTH)
        self._waiting: deque[Notice] = deque()
        self._came = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def put(self, notice: Notice) -> None:
        """Add a notice; the newest is dropped where there is no room."""
        self._observer.taken_up(notice)
        if len(self._waiting) >= self._settings.queue_limit:
            self._observer.dropped(notice)
            _log.warning(
                "queue full, dropping event",
                endpoint=self._settings.name,
                queue_size=len(self._waiting),
                event_id=notice.event_id,
            )
            return
        self._waiting.append(notice)
        self._is_empty.clear()
        self._came.set()

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        sender = Sender(self._settings)
        try:
            while True:
                while self._waiting:
                    await self._deliver(sender, self._waiting[0])
                    self._waiting.popleft()
                self._is_empty.set()
                self._came.clear()
                await self._came.wait()
        finally:
            await sender.close()

    async def flush(self) -> None:
        """Wait until all is sent, but not longer than the endpoint's time for that; say what is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.purge_timeout.total_seconds()):
                await self._is_empty.wait()
        if self._waiting:
            _log.warning("events are lost at the end", endpoint=self._settings.name, events=len(self._waiting))

    async def _deliver(self, sender: Sender, notice: Notice) -> None:
        retries, pause_s = 0, None
        while True:
            began = time.monotonic()
            result = await sender.send(notice.payload)
            self._observer.tried(notice, result, time.monotonic() - began)
            is_delivered = result.outcome == "accepted"
            if is_delivered or retries >= self._settings.max_retries:
                break
            pause_s = self._growth.after(pause_s)
            await asyncio.sleep(pause_s)
            retries += 1
        age_s = (datetime.now(UTC) - notice.at).total_seconds()
        self._observer.ended(notice, is_delivered=is_delivered, retries=retries, age_s=age_s)
        if not is_delivered:
            _log.error(
                "an event is lost",
                endpoint=self._settings.name,
                event_id=notice.event_id,
                tries=retries + 1,
                reason=result.reason,
            )


class MemoryDelivery:
    """The queues of all endpoints in one process."""

    def __init__(
        self,
        endpoints: Sequence[EndpointSettings],
        *,
        fanout_timeout: timedelta,
        observer: DeliveryObserver | None = None,
    ) -> None:
        """*fanout_timeout*: all queues together have no longer than that at the end."""
        self._fanout_s = fanout_timeout.total_seconds()
        self._queues: Mapping[str, EndpointMemoryQueue] = {
            settings.name: EndpointMemoryQueue(settings, observer=observer) for settings in endpoints
        }

    def tell(self, notices: Sequence[Notice]) -> None:
        """Add notices to the queues of their endpoints."""
        for notice in notices:
            self._queues[notice.endpoint].put(notice)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Deliver until the block ends; then, for a time, what still waits."""
        queues = list(self._queues.values())
        async with alongside(*(queue.run for queue in queues)):
            yield
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._fanout_s):
                    await asyncio.gather(*(queue.flush() for queue in queues))
