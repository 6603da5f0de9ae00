"""Work whose length callers decide: what is large is done in a thread, so that the event loop goes on (ADR 0031)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import ParamSpec, TypeVar

from moorage.work.large_payloads import in_its_turn

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Item = TypeVar("_Item")

_BREATH = 256
"""After so many items, others have the event loop."""

ASIDE_BYTES = 64 << 10
"""Larger manifests are worked on beside the event loop: one full of small descriptors takes 5 ms to take apart."""


async def aside(
    size_bytes: int, work: Callable[_Arguments, _Result], *args: _Arguments.args, **options: _Arguments.kwargs
) -> _Result:
    """Do work about so many bytes; a small one at once, as another thread costs more than it does."""
    if size_bytes <= ASIDE_BYTES:
        return work(*args, **options)
    return await in_its_turn(work, *args, **options)


async def in_turns(items: Iterable[_Item]) -> AsyncIterator[_Item]:
    """Go through *items*, each of them a small piece of work, such as one link file; others have turns in between."""
    for number, item in enumerate(items, 1):
        yield item
        if number % _BREATH == 0:
            await asyncio.sleep(0)
