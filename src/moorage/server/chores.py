"""Chores of a node, done beside its serving."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from moorage.server.application import Chore
from moorage.work.alongside import alongside

_STOP_PATIENCE = timedelta(seconds=5)
"""Time in which the chores put back their work in hand."""


@contextlib.asynccontextmanager
async def housekeeping(chores: Sequence[Chore]) -> AsyncIterator[None]:
    """Do all of them until the block ends."""
    async with alongside(*chores, patience=_STOP_PATIENCE):
        yield
