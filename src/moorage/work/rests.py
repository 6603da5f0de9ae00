"""Rests for work beside other processes: work that is done piece by piece holds up no other for longer than a piece.

The kernel lets a process that has waited for long go on for some milliseconds, however nice it is, while somebody who
pulls waits for that processor. One that sleeps in between has given it back.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

_PIECE_S = 0.0001
"""To rest more often would cost more than it gives: each rest is a timer, and two switches of the processor."""
_SHORT_S = 0.002
"""Shorter rests are slept by the thread: timers of event loops have whole milliseconds."""


async def _pause(duration_s: float) -> None:
    if 0 < duration_s < _SHORT_S:
        time.sleep(duration_s)  # noqa: ASYNC251 - nobody who waits on this event loop would notice
        duration_s = 0.0  # But they have their turn.
    await asyncio.sleep(duration_s)


class Rests:
    """The rests of one piece of work in one thread."""

    def __init__(
        self,
        share: float = 0.0,
        *,
        computed: Callable[[], float] = time.thread_time,
        pause: Callable[[float], Awaitable[None]] = _pause,
    ) -> None:
        """Take these parts.

        Args:
            share: how long a rest is, in lengths of what was computed before it; 0: others of the event loop have
                their turn, and that is all.
            computed: seconds that the thread has computed.
            pause: waits for so many seconds.
        """
        self.share = share
        self._computed = computed
        self._pause = pause
        self._since_s = computed()

    async def between(self) -> None:
        """Rest, if enough was computed since the last time; to be called between any two pieces of work."""
        worked_s = self._computed() - self._since_s
        if worked_s >= _PIECE_S:
            await self._pause(worked_s * self.share)
            self._since_s = self._computed()
