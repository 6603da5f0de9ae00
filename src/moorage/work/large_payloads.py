"""Payloads that are read aside: on an event loop, others would wait for the largest ones."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from moorage.oci.json_documents import SHORT_BYTES

ASIDE_BYTES = SHORT_BYTES
"""Above this a payload is read in a thread. What is smaller takes a few milliseconds, whatever is in it."""

_Arguments = ParamSpec("_Arguments")
_T = TypeVar("_T")

_ONE = ThreadPoolExecutor(1, thread_name_prefix="large")
"""It is Python code, of which one thread runs at a time anyway. With several of them an event loop has to wait for each
before it is its turn again, and so for several times as long. The thread is made when there is something to do."""


async def read_aside(read: Callable[[bytes], _T], payload: bytes) -> _T:
    """Return what *read* makes of *payload*, and raise what it raises; a large one is read in a thread."""
    return read(payload) if len(payload) <= ASIDE_BYTES else await in_its_turn(read, payload)


async def in_its_turn(work: Callable[_Arguments, _T], *args: _Arguments.args, **options: _Arguments.kwargs) -> _T:
    """Do *work*, which keeps a processor busy for long, in the one thread that there is for it."""
    context = contextvars.copy_context()
    done: asyncio.Future[_T] = asyncio.get_running_loop().run_in_executor(
        _ONE, partial(context.run, work, *args, **options)
    )
    return await done
