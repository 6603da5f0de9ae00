"""Trying again: what is worth it, how long to wait before it, and when to stop.

A pause is drawn between nothing and a bound that doubles, so that those who failed together do not come back together.
All requests of a process share a budget: when a store is away for everybody, each request soon fails at its first
attempt instead of multiplying the load by the attempts.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from moorage.storage.base import clock

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the request itself."""
THROTTLED_STATUSES = frozenset({429, 503})

_BUDGET = 500
_PRICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """The bounds of trying one request again."""

    retries: int = 5
    """Attempts after the first."""
    first_pause_s: float = 0.1
    longest_pause_s: float = 20.0
    within_s: float = 60.0
    """No attempt begins later than this after the first one began."""

    def bound_s(self, failures: int) -> float:
        """Return the longest pause after so many *failures*, the first counted as 1."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 30))


@dataclass(frozen=True, slots=True)
class AttemptTimes:
    """The clock, the waiting and the chance behind the pauses."""

    now: Callable[[], float] = clock
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    chance: Callable[[], float] = random.random


class AttemptBudget:
    """A process's allowance of attempts after the first: failures take from it, successes give back."""

    def __init__(self, tokens: int = _BUDGET) -> None:
        self._most = tokens
        self._tokens = tokens

    def take(self) -> bool:
        """Pay for one more attempt; return whether there was enough for it."""
        if self._tokens < _PRICE:
            return False
        self._tokens -= _PRICE
        return True

    def give_back(self, *, attempts: int) -> None:
        """Take note of a success that took so many *attempts*."""
        self._tokens = min(self._most, self._tokens + (_PRICE if attempts > 1 else 1))


class Attempts:
    """The attempts of one request, counted from 1; *more_s*: time that each of them may need besides the usual."""

    def __init__(
        self, limits: AttemptLimits, budget: AttemptBudget, times: AttemptTimes, *, more_s: float = 0.0
    ) -> None:
        self.number = 1
        self._within_s = limits.within_s + more_s
        self._limits = limits
        self._budget = budget
        self._times = times
        self._began_at = times.now()

    def succeeded(self) -> None:
        """Say that the last attempt had an answer that counts."""
        self._budget.give_back(attempts=self.number)

    async def again(self) -> bool:
        """Wait for the next attempt; return False at once if there is none, and after the pause if that took too long.

        While this process was stopped, or its machine slept, others may have taken what was asked for as failed.
        """
        pause_s = self._times.chance() * self._limits.bound_s(self.number)
        if self.number > self._limits.retries or self._is_late(pause_s) or not self._budget.take():
            return False
        self.number += 1
        await self._times.sleep(pause_s)
        return not self._is_late()

    def restart(self) -> None:
        """Count from 1 again: something was reached meanwhile, so what fails next is another failure."""
        self.number = 1
        self._began_at = self._times.now()

    def _is_late(self, pause_s: float = 0.0) -> bool:
        return self._times.now() + pause_s - self._began_at > self._within_s
