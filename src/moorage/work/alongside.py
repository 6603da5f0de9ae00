"""Tasks that live as long as a block: no task is forgotten, and each may put back what it has in hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import TypeVar

from moorage.telemetry import get_log

_log = get_log("worker")

_T = TypeVar("_T")
_U = TypeVar("_U")


@contextlib.asynccontextmanager
async def alongside(
    *works: Callable[[], Coroutine[object, object, object]], patience: timedelta | None = None
) -> AsyncIterator[None]:
    """Do all *works* while the block runs; then cancel them, and wait until they have put back what they had in hand.

    *patience*: no longer than that; None: however long it takes. What one raises is logged, and not raised here.
    """
    tasks = [asyncio.create_task(_guarded(work)) for work in works]  # Here tasks are made that others would have to end.
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


async def _guarded(work: Callable[[], Coroutine[object, object, object]]) -> None:
    """Do a work that must not keep the others from theirs by its crash, nor crash unnoticed."""
    try:
        await work()
    except Exception:  # noqa: BLE001 - the outermost
        _log.exception("a chore crashed; it is done again after the next start")
