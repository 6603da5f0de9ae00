"""The limit of requests a second: everyone waits for their turn, in the order in which they came."""

import asyncio
import time
from collections.abc import Awaitable, Callable


class RequestRate:
    """A limit of requests a second; a second's worth may come at once.

    Args:
        per_second: this process's share; 0: no limit.
        now: a clock that never goes back.
        sleep: how to wait.
    """

    def __init__(
        self,
        per_second: float,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._gap_s = 1 / per_second if per_second > 0 else 0.0
        self._now = now
        self._sleep = sleep
        self._free_at = float("-inf")

    async def take(self) -> bool:
        """Wait for a turn; return whether it had to be waited for."""
        if not self._gap_s:
            return False
        now = self._now()
        self._free_at = max(self._free_at, now - 1.0) + self._gap_s
        wait_s = self._free_at - now
        if wait_s <= 0:
            return False
        await self._sleep(wait_s)
        return True
