"""Payloads that are read aside: on an event loop, others would wait for the largest ones."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

ASIDE_BYTES = 128 << 10
"""Above this a payload is read in a thread. What is smaller takes a few milliseconds, whatever is in it."""

_T = TypeVar("_T")


async def read_aside(read: Callable[[bytes], _T], payload: bytes) -> _T:
    """Return what *read* makes of *payload*, and raise what it raises; a large one is read in a thread."""
    return read(payload) if len(payload) <= ASIDE_BYTES else await asyncio.to_thread(read, payload)
