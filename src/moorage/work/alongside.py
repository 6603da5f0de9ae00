"""Tasks that live as long as a block: no task is forgotten, and each may put back what it has in hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import TypeVar

from moorage.telemetry import get_log
from moorage.work.loop import DONE, Clock, Growth, Loop, LoopPace, RoundResult

_log = get_log("worker")

_PAUSE = timedelta(minutes=1)
_PACE = LoopPace(interval=_PAUSE, failing=Growth(_PAUSE, timedelta(hours=1), factor=2), spread=0.1)
"""Of works that crash: what they have met may go, and if it does not the log is not to be full of it."""

_T = TypeVar("_T")
_U = TypeVar("_U")


@contextlib.asynccontextmanager
async def alongside(*works: Callable[[], Awaitable[object]], patience: timedelta | None = None) -> AsyncIterator[None]:
    """Do all *works* while the block runs; then cancel them, and wait until they have put back what they had in hand.

    *patience*: no longer than that; None: however long it takes. One that crashes is begun again, and told in the log.
    """
    # Here tasks are made that others would have to end.
    tasks = [asyncio.create_task(begun_again(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=None if patience is None else patience.total_seconds())


async def both(first: Coroutine[object, object, _T], second: Coroutine[object, object, _U]) -> tuple[_T, _U]:
    """Do two works at once and return both results. If one fails the other is ended, and the error raised."""
    beside = asyncio.ensure_future(second)
    try:
        done = await first
    except BaseException:
        beside.cancel()
        await asyncio.wait([beside])
        raise
    return done, await beside


async def begun_again(work: Callable[[], Awaitable[object]], *, clock: Clock | None = None) -> None:
    """Do a work until it is done; one that crashes is begun again after a pause, and does not end for good by it.

    *clock*: time and chance.
    """
    clock = clock or Clock()

    async def whole() -> RoundResult:
        await work()
        return DONE

    rounds = Loop(whole, _PACE, failures=(Exception,), on_failure=_say_crash, clock=clock)
    while (pause_s := await rounds.step()) is not None:
        await clock.pause(pause_s, None)


def _say_crash(_exc: Exception) -> None:
    _log.exception("a chore crashed; it is begun again after a pause")
