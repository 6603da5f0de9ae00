"""Questions with a deadline that holds whatever is asked: a disk that hangs does not even let itself be cancelled."""

import asyncio
from collections.abc import Awaitable, Callable

Ask = Callable[[], Awaitable[None]]
"""Asks something whether it is well; what it raises says that it is not."""


class Question:
    """One question, asked by one task at a time: while an answer is due, the next asker waits for that one."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._task: asyncio.Task[None] | None = None

    async def put(self, deadline_s: float) -> None:
        """Ask, and wait no longer than that.

        Raises:
            TimeoutError: there was no answer in time. Who was asked may still be at it.
            Exception: what the answer was, if it was no good one.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._begin())
            self._task.add_done_callback(_take_note)
        task = self._task
        try:
            done, _ = await asyncio.wait({task}, timeout=deadline_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done or task.cancelled():
            task.cancel()
            msg = f"no answer within {deadline_s:g} s"
            raise TimeoutError(msg)
        task.result()

    async def _begin(self) -> None:
        await self._ask()


def _take_note(task: asyncio.Task[None]) -> None:
    """Look at what came too late for anybody to hear, or asyncio complains that nobody did."""
    if not task.cancelled():
        task.exception()
