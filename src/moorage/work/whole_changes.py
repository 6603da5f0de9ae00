"""Changes that are not left half done."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


async def to_its_end(work: Awaitable[_T]) -> _T:
    """Finish a change even if the caller is cancelled: wait for its end, and then be cancelled.

    Half of it would be seen; and of a request that was cut off nobody knows what becomes of it: it could be done much
    later, over what came after it.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # Nobody is there any more to be told.
        raise
