"""The loop around rounds of reviews: quickly through a backlog, at no cost while there is nothing to do.

How long it pauses depends on what the last round found. A full one: as long as it has computed, so that it takes half
of a processor at most, and a quarter of the time that it has waited, so that others come to the disk. Anything less:
``interval``. Nothing: longer each time, up to ``maxbackoff``, but never past the next review that is due.

Source: GitLab features OGC-002, OGC-003.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from moorage.errors import BackendError
from moorage.gc.online.review_rounds import BLOB_BATCH, MANIFEST_BATCH, BlobCollector, ManifestCollector
from moorage.gc.online.reviewed import Round
from moorage.metadata.reviews import ReviewDelayStore
from moorage.metadata.words import Queue
from moorage.telemetry import get_log
from moorage.work.loop import DONE, WORKED, Growth, Loop, LoopObserver, LoopPace, RoundOutcome, RoundResult

_START_JITTER = timedelta(seconds=59)
"""Nodes that start together shall not all look at the same moment. Shorter where they look more often anyway."""
_START_INTERVALS = 12
_SPREAD = 0.33
_SHORTEST_S = 0.001
_MENDED_EVERY = timedelta(hours=1)
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
        self._interval_s = pace.interval.total_seconds()
        told = None if observer is None else _Told(worker, observer)
        self._told = told
        self._loop = Loop(
            self._round,
            LoopPace(
                interval=pace.interval,
                idle=Growth.from_interval(pace.interval, pace.longest) if pace.grows else None,
                cooldown=pace.cooldown,
                spread=_SPREAD,
                start_within=min(_START_JITTER, pace.interval * _START_INTERVALS),
            ),
            failures=(BackendError,),
            on_failure=self._say,
            observer=told,
            name=f"garbage collection: {worker}",
        )

    async def run(self) -> None:
        """Review for as long as the task lives."""
        await self._loop.run()

    async def step(self) -> float:
        """Do a round, and say how many seconds to pause."""
        pause_s = await self._loop.step()
        assert pause_s is not None  # noqa: S101 - reviews are never done for good
        return pause_s

    async def _round(self) -> RoundResult:
        began, computed_s = time.monotonic(), time.process_time()
        found = await self._work.round(limit=self._batch)
        next_at = None if found.due else await self._next_at()
        if self._told is not None:
            self._told.found = found
        if found.due == self._batch:
            waited_s = (time.monotonic() - began) * _SHARE_OF_WAITING
            return RoundResult(RoundOutcome.WORKED, max(time.process_time() - computed_s, waited_s, _SHORTEST_S))
        if found.due:
            return WORKED
        due_s = None if next_at is None else (next_at - datetime.now(UTC)).total_seconds()
        return RoundResult(RoundOutcome.IDLE, longest_pause_s=None if due_s is None else max(due_s, self._interval_s))

    def _say(self, exc: Exception) -> None:
        _log.error("garbage collection waits", worker=self._worker, error=str(exc))


class _Told(LoopObserver):
    """The observer of reviews, told by the loop."""

    def __init__(self, worker: Queue, observer: ReviewObserver) -> None:
        self.found: Round | None = None
        """Findings of the round that is about to end."""
        self._worker = worker
        self._observer = observer

    def ran(self, found: RoundResult, duration_s: float) -> None:
        del found
        reviewed, self.found = self.found, None
        self._observer.ran(self._worker, reviewed, duration_s)

    def sleeps(self, duration_s: float) -> None:
        self._observer.sleeps(self._worker, duration_s)


async def mend_reviews(store: ReviewDelayStore) -> None:
    """Bring near what a clock that was ahead has put far off, at the start and every hour."""

    async def mend() -> RoundResult:
        count = await store.mend()
        if count:
            _log.warning("reviews were due at times that no delay leads to: was a clock wrong?", count=count)
        return WORKED

    def say(exc: Exception) -> None:
        _log.error("what a wrong clock may have put off is not known", error=str(exc))

    await Loop(mend, LoopPace(interval=_MENDED_EVERY), failures=(BackendError,), on_failure=say).run()


async def set_review_delay(store: ReviewDelayStore, delay: timedelta, *, retry: timedelta) -> None:
    """Make ``gc.reviewafter`` hold; negative: no delay. Tried until the database takes it. Source: OGC-011."""

    async def write() -> RoundResult:
        if await store.set(max(delay, timedelta(0))):
            _log.info("review delay changed", reviewafter_s=max(delay, timedelta(0)).total_seconds())
        return DONE

    def say(exc: Exception) -> None:
        _log.error("gc.reviewafter could not be written; it will be tried again", error=str(exc))

    await Loop(write, LoopPace(interval=retry), failures=(BackendError,), on_failure=say).run()
