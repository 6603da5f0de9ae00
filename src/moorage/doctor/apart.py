"""Work in a thread that nobody waits for at the end: a disk or a network that hangs must not hold up the report."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


async def apart(work: Callable[[], _T]) -> _T:
    """Do *work* in a thread of its own, and wait for it; whoever stops waiting leaves it behind."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(_give, future, work())
        except Exception as exc:  # noqa: BLE001 - whoever waits gets it
            settle = partial(_fail, future, exc)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle)

    threading.Thread(target=run, name="moorage-doctor", daemon=True).start()
    return await future


def _give(future: asyncio.Future[_T], found: _T) -> None:
    if not future.done():
        future.set_result(found)


def _fail(future: asyncio.Future[_T], exc: Exception) -> None:
    if not future.done():
        future.set_exception(exc)
