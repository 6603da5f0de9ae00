"""A loop of work: a round, a pause, the next round, until its task is cancelled or nothing is left to do.

A round says what came of it, and the pace decides how long the pause is. Cancelling ends a loop at once, in a pause as
in a round; what a round has in hand then it puts back itself.
"""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Protocol, Self

from moorage.tracing.spans import round_span

_GROWTH = 1.5
_SHORTEST_S = 0.001
"""A pause of 0 would stay 0, however often it grew."""


class RoundOutcome(Enum):
    """Result of one round."""

    WORKED = "something was done, and there may be more"
    IDLE = "there was nothing to do"
    FAILED = "it went wrong"
    DONE = "it is done for good"


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A round that has ended, with what it knows of the next one."""

    outcome: RoundOutcome
    pause_s: float | None = None
    """The pause until the next round, exactly; None: as the pace says."""
    longest_pause_s: float | None = None
    """The longest pause that is right, as something falls due then; None: any."""


WORKED = RoundResult(RoundOutcome.WORKED)
IDLE = RoundResult(RoundOutcome.IDLE)
FAILED = RoundResult(RoundOutcome.FAILED)
DONE = RoundResult(RoundOutcome.DONE)


@dataclass(frozen=True, slots=True)
class Growth:
    """Pauses that grow: the first one, and each further one *factor* times as long, up to the longest."""

    first: timedelta
    longest: timedelta
    factor: float = _GROWTH

    @classmethod
    def from_interval(cls, interval: timedelta, longest: timedelta) -> Self:
        """Return the growth of idle pauses: each is half as long again as the one before, the first as *interval*."""
        first_s = max(interval.total_seconds(), _SHORTEST_S) * _GROWTH
        return cls(timedelta(seconds=first_s), max(interval, longest))

    def after(self, pause_s: float | None) -> float:
        """Return the seconds of the pause after one of *pause_s*; None: of the first one."""
        grown_s = self.first.total_seconds() if pause_s is None else pause_s * self.factor
        return min(grown_s, self.longest.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopPace:
    """Pauses of a loop, and the time that a round may take."""

    interval: timedelta
    """The pause after a round that has worked; after any other one too, where nothing says otherwise."""
    idle: Growth | None = None
    """Pauses while there is nothing to do."""
    failing: Growth | None = None
    """Pauses after rounds that have failed; None: as while there is nothing to do."""
    cooldown: timedelta = timedelta(0)
    """For so long after a failure pauses are not made short again."""
    spread: float = 0.0
    """A pause is longer or shorter by up to this part of it, so that loops that were started together part."""
    start_within: timedelta = timedelta(0)
    """The first round begins at some moment within this time, for the same reason."""
    pauses_first: bool = False
    """True: the first round comes after an interval."""
    deadline: timedelta | None = None
    """The time after which a round is ended, and counts as failed; None: rounds end by themselves."""


class Clock:
    """Time and chance for loops. Tests have one of their own."""

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return time.monotonic()

    def uniform(self, low: float, high: float) -> float:
        """Return some number between the two."""
        return random.uniform(low, high)  # noqa: S311 - it spreads load, and hides nothing

    async def pause(self, duration_s: float, wake: asyncio.Event | None) -> None:
        """Wait for so long, or until *wake* is set."""
        if wake is None:
            await asyncio.sleep(duration_s)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(duration_s):
                await wake.wait()


class LoopObserver(Protocol):
    """Observer of a loop, for metrics."""

    def ran(self, found: RoundResult, duration_s: float) -> None:
        """Take note that a round has ended."""

    def sleeps(self, duration_s: float) -> None:
        """Take note that the next round comes after so long."""


class Rhythm:
    """Pauses of one loop, from what its rounds have said."""

    def __init__(self, pace: LoopPace, *, clock: Clock | None = None) -> None:
        self._pace = pace
        self._clock = clock or Clock()
        self._grown_s: float | None = None
        self._cool_at = float("-inf")

    def first(self) -> float:
        """Return the seconds before the first round."""
        start_s = self._clock.uniform(0, self._pace.start_within.total_seconds())
        return start_s + (self._pace.interval.total_seconds() if self._pace.pauses_first else 0)

    def after(self, found: RoundResult) -> float:
        """Return the seconds of the pause after a round."""
        if found.outcome is RoundOutcome.FAILED:
            self._cool_at = self._clock.monotonic() + self._pace.cooldown.total_seconds()
        if found.pause_s is not None:
            return found.pause_s
        pause_s = self._grow(found.outcome)
        if found.longest_pause_s is not None:
            pause_s = min(pause_s, found.longest_pause_s)
        return pause_s * self._clock.uniform(1 - self._pace.spread, 1 + self._pace.spread)

    def _grow(self, outcome: RoundOutcome) -> float:
        pace = self._pace
        growth = pace.idle
        if outcome is RoundOutcome.FAILED and pace.failing is not None:
            growth = pace.failing
        if outcome is RoundOutcome.WORKED and self._clock.monotonic() >= self._cool_at:
            self._grown_s = growth = None
        if growth is None:
            return pace.interval.total_seconds()
        self._grown_s = growth.after(self._grown_s)
        return self._grown_s


class Loop:
    """Rounds of *work* at a pace."""

    def __init__(
        self,
        work: Callable[[], Awaitable[RoundResult | None]],
        pace: LoopPace,
        *,
        failures: tuple[type[Exception], ...] = (),
        on_failure: Callable[[Exception], object] = lambda _: None,
        observer: LoopObserver | None = None,
        wake: asyncio.Event | None = None,
        clock: Clock | None = None,
        name: str = "",
    ) -> None:
        """Take these parts.

        Args:
            work: one round; None is as good as ``WORKED``.
            pace: the pauses.
            failures: the errors after which there is another round. Any other one ends the loop.
            on_failure: is told of each of them, and of a round that took too long (``TimeoutError``).
            observer: is told of rounds and pauses.
            wake: ends a pause before its time; cleared at the end of each.
            clock: time and chance.
            name: of the work, for traces; empty: a round is no span.
        """
        self._work = work
        self._name = name
        self._deadline_s = None if pace.deadline is None else pace.deadline.total_seconds()
        self._failures: tuple[type[Exception], ...] = failures if pace.deadline is None else (*failures, TimeoutError)
        self._on_failure = on_failure
        self._observer = observer
        self._wake = wake
        self._clock = clock or Clock()
        self._rhythm = Rhythm(pace, clock=self._clock)

    async def run(self) -> None:
        """Work until a round says that it was the last, or until cancelled."""
        await self._pause(self._rhythm.first())
        while (pause_s := await self.step()) is not None:
            if self._observer is not None:
                self._observer.sleeps(pause_s)
            await self._pause(pause_s)

    async def step(self) -> float | None:
        """Do one round; return the seconds of the pause after it, None after the last one."""
        began = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s):
                with round_span(self._name):
                    found = await self._work() or WORKED
        except self._failures as exc:
            self._on_failure(exc)
            found = FAILED
        if self._observer is not None:
            self._observer.ran(found, self._clock.monotonic() - began)
        return None if found.outcome is RoundOutcome.DONE else self._rhythm.after(found)

    async def _pause(self, duration_s: float) -> None:
        await self._clock.pause(duration_s, self._wake)
        if self._wake is not None:
            self._wake.clear()


def every(interval: timedelta, act: Callable[[], object], *, clock: Clock | None = None) -> Loop:
    """Return a loop that calls *act* after each *interval*; what that raises ends the loop."""

    async def work() -> None:
        act()

    return Loop(work, LoopPace(interval=interval, pauses_first=True), clock=clock)


def repeat(work: Callable[[], RoundResult], rhythm: Rhythm, ended: threading.Event) -> None:
    """Work in the thread that calls this, until *ended* is set: a pause ends at once then, a round as it does."""
    while not ended.is_set():
        ended.wait(rhythm.after(work()))
