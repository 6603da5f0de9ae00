"""Collisions of transactions: of two that wait for each other the database ends one, nothing of which is kept."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from moorage.errors import DatabaseContended

REPEATS: Final = 3
"""Times that what has collided is done again, before its caller is told."""
_PAUSE_S = 0.01
"""Before the first repetition, at most; each further pause may be twice as long."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def pause(repetition: int) -> None:
    """Wait before a repetition, the first of which has the number 1: two that collided must not meet again."""
    await asyncio.sleep(random.uniform(0, _PAUSE_S * 2**repetition))  # noqa: S311 - spreads, hides nothing


def done_again(work: Callable[_P, Awaitable[_T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let a function be called again, up to three times, when its transaction has collided.

    It has to be one transaction, outside of which it changes nothing.
    """

    @functools.wraps(work)
    async def do(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for repetition in range(1, REPEATS + 1):
            try:
                return await work(*args, **kwargs)
            except DatabaseContended:
                await pause(repetition)
        return await work(*args, **kwargs)

    return do
