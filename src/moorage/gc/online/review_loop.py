"""The loop around rounds of reviews: quickly through a backlog, at no cost while there is nothing to do.

How long it pauses depends on what the last round found. A full one: as long as it has computed, so that it takes half
of a processor at most, and a quarter of the time that it has waited, so that others come to the disk. Anything less:
``interval``. Nothing: longer each time, up to ``maxbackoff``, but never past the next review that is due.

Source: GitLab features OGC-002, OGC-003.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Never, Protocol

from moorage.errors import BackendError
from moorage.gc.online.review_rounds import BLOB_BATCH, MANIFEST_BATCH, BlobCollector, BlobsReviewed, ManifestCollector
from moorage.metadata.queues import Queue
from moorage.metadata.reviews import ManifestsReviewed, ReviewDelayStore
from moorage.telemetry import get_log

Round = BlobsReviewed | ManifestsReviewed

_START_JITTER = timedelta(seconds=59)
"""Nodes that start together shall not all look at the same moment. Shorter where they look more often anyway."""
_START_INTERVALS = 12
_GROWTH = 1.5
_SPREAD = 0.33
_SHORTEST_S = 0.001
_SHARE_OF_WAITING = 0.25

_log = get_log("registry.gc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPace:
    """The pace of reviews (``gc``)."""

    interval: timedelta = timedelta(seconds=5)
    longest: timedelta = timedelta(hours=24)
    """The longest pause while there is nothing to do."""
    grows: bool = True
    """True if pauses grow while there is nothing to do (not with ``noidlebackoff``)."""
    cooldown: timedelta = timedelta(0)
    """For so long after an error pauses are not made short again."""


class ReviewObserver(Protocol):
    """Is told what happens, for metrics."""

    def ran(self, worker: Queue, found: Round | None, duration_s: float) -> None:
        """A round has ended; *found* None: by an error."""

    def sleeps(self, worker: Queue, duration_s: float) -> None:
        """The next round comes after so long."""


class ReviewLoop:
    """One worker's loop over its queue."""

    def __init__(
        self,
        worker: Queue,
        work: BlobCollector | ManifestCollector,
        next_at: Callable[[], Awaitable[datetime | None]],
        pace: ReviewPace,
        *,
        observer: ReviewObserver | None = None,
    ) -> None:
        self._worker = worker
        self._work = work
        self._batch = BLOB_BATCH if worker == "blob" else MANIFEST_BATCH
        self._next_at = next_at
        self._pace = pace
        self._observer = observer
        self._pause_s = pace.interval.total_seconds()
        self._cool_at = float("-inf")

    async def run(self) -> Never:
        """Review for as long as the task lives."""
        jitter = min(_START_JITTER, self._pace.interval * _START_INTERVALS)
        await asyncio.sleep(random.uniform(0, jitter.total_seconds()))  # noqa: S311 - jitter
        while True:
            pause_s = await self.step()
            if self._observer is not None:
                self._observer.sleeps(self._worker, pause_s)
            await asyncio.sleep(pause_s)

    async def step(self) -> float:
        """Do a round, and say how many seconds to pause."""
        began, computed_s = time.monotonic(), time.process_time()
        found: Round | None
        try:
            found = await self._work.round(limit=self._batch)
            next_at = None if found.due else await self._next_at()
        except BackendError as exc:
            _log.error("garbage collection waits", worker=self._worker, error=str(exc))
            found, next_at = None, None
        duration_s = time.monotonic() - began
        if self._observer is not None:
            self._observer.ran(self._worker, found, duration_s)
        if found is not None and found.due == self._batch:
            return max(time.process_time() - computed_s, duration_s * _SHARE_OF_WAITING, _SHORTEST_S)
        return self._pause(found, next_at) * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - jitter

    def _pause(self, found: Round | None, next_at: datetime | None) -> float:
        interval_s, now = self._pace.interval.total_seconds(), time.monotonic()
        if found is None:
            self._cool_at = now + self._pace.cooldown.total_seconds()
        if (found is not None and found.due and now >= self._cool_at) or not self._pace.grows:
            self._pause_s = interval_s
            return interval_s
        longest_s = max(self._pace.longest.total_seconds(), interval_s)
        self._pause_s = min(max(self._pause_s, _SHORTEST_S) * _GROWTH, longest_s)
        if next_at is None:
            return self._pause_s
        due_s = (next_at - datetime.now(UTC)).total_seconds()
        return min(self._pause_s, max(due_s, interval_s))


async def set_review_delay(store: ReviewDelayStore, delay: timedelta, *, retry: timedelta) -> None:
    """Make ``gc.reviewafter`` hold; negative: no delay. Tried until the database takes it. Source: OGC-011."""
    while True:
        try:
            if await store.set(max(delay, timedelta(0))):
                _log.info("review delay changed", reviewafter_s=max(delay, timedelta(0)).total_seconds())
        except BackendError as exc:
            _log.error("gc.reviewafter could not be written; it will be tried again", error=str(exc))
            await asyncio.sleep(retry.total_seconds())
        else:
            return
