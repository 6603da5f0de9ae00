"""Chores of a node, done beside its serving."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from moorage.server.application import Chore
from moorage.telemetry import get_log

_log = get_log("worker")

_STOP_PATIENCE_S = 5.0


@contextlib.asynccontextmanager
async def housekeeping(chores: Sequence[Chore]) -> AsyncIterator[None]:
    """Do all of them until the block ends."""
    tasks = [asyncio.create_task(_guarded(chore)) for chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:  # What they have in hand they put back.
            await asyncio.wait(tasks, timeout=_STOP_PATIENCE_S)


async def _guarded(chore: Chore) -> None:
    """One chore that crashes must not keep the others from their work, nor go unnoticed."""
    try:
        await chore()
    except Exception:  # noqa: BLE001 - the outermost
        _log.exception("a chore crashed; it is done again after the next start")
