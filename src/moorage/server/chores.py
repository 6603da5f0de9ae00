"""Chores of a node, done beside its serving."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial

from moorage.server.application import Chore
from moorage.telemetry import get_log
from moorage.work.alongside import alongside

_log = get_log("worker")

_STOP_PATIENCE = timedelta(seconds=5)
"""Time in which the chores put back their work in hand."""


@contextlib.asynccontextmanager
async def housekeeping(chores: Sequence[Chore]) -> AsyncIterator[None]:
    """Do all of them until the block ends."""
    async with alongside(*(partial(_guarded, chore) for chore in chores), patience=_STOP_PATIENCE):
        yield


async def _guarded(chore: Chore) -> None:
    """One chore that crashes must not keep the others from their work, nor go unnoticed."""
    try:
        await chore()
    except Exception:  # noqa: BLE001 - the outermost
        _log.exception("a chore crashed; it is done again after the next start")
