"""Bounds of a copy: so many objects at once, so many bytes in memory, so many bytes a second, and nothing twice."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from moorage.cache.remembered import Remembered

_Key = TypeVar("_Key", bound=Hashable)
_UNIT_BYTES = 1 << 20
_RATE = re.compile(r"(\d+(?:\.\d+)?) *(?:([kKMGT])(i?)B?|B)?(?:/s)?")
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


class OnceEach(Generic[_Key]):
    """Work that is done once for each key: who comes meanwhile waits for it, who comes later finds it done.

    So many keys are remembered; what was forgotten is done again, so the work must not mind that.
    """

    def __init__(self, limit: int) -> None:
        self._done: Remembered[_Key, bool] = Remembered(limit, is_kept_by_use=True)
        self._under_way: dict[_Key, asyncio.Future[None]] = {}

    def knows(self, key: _Key) -> bool:
        """Return whether it was done, and is remembered."""
        return self._done.get(key) is not None

    def note(self, key: _Key) -> None:
        """Remember that it is done."""
        self._done.put(key, True)

    async def do(self, key: _Key, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work, unless it was done; what it raises is raised here, and for all who wait."""
        while key in self._under_way:
            await asyncio.wait([self._under_way[key]])
        if self.knows(key):
            return
        mark = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            await work()
            self.note(key)
        finally:
            del self._under_way[key]
            mark.set_result(None)


class MemoryShare:
    """Bytes that may be in memory together; what would be too many waits."""

    def __init__(self, limit_bytes: int) -> None:
        self._units = max(1, limit_bytes // _UNIT_BYTES)
        self._free = asyncio.Semaphore(self._units)
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def taken(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold room for so many bytes until the block ends; what is larger than all of it takes all of it."""
        wanted = min(self._units, -(-size_bytes // _UNIT_BYTES))
        held = 0
        try:
            async with self._turn:  # One at a time: two that hold a half each would wait for ever.
                for held in range(1, wanted + 1):  # noqa: B007 - it counts what is given back
                    await self._free.acquire()
            yield
        finally:
            for _ in range(held):
                self._free.release()


def read_byte_rate(text: str) -> float:
    """Read a number of bytes in a second, such as ``50MiB``.

    Raises:
        ValueError: it is none; the text says what would be one.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None or not float(found[1]):
        msg = "a number of bytes in a second is needed, such as 50MiB"
        raise ValueError(msg)
    base = 1024 if found[3] else 1000
    return float(found[1]) * float(base ** (_POWERS[found[2]] if found[2] else 0))


class BytePace:
    """A limit of bytes a second, over all that are copied together; None: there is none."""

    def __init__(
        self,
        bytes_per_s: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    async def wait(self, size_bytes: int) -> None:
        """Wait until so many bytes may pass."""
        if self._bytes_per_s is None:
            return
        now = self._clock()
        at = max(self._free_at, now)
        self._free_at = at + size_bytes / self._bytes_per_s
        if at > now:
            await self._sleep(at - now)


class ManyAtOnce:
    """Works that are done together, so many at a time. The first error ends all, and is raised."""

    def __init__(self, group: asyncio.TaskGroup, limit: int) -> None:
        self._group = group
        self._slots = asyncio.Semaphore(limit)

    async def begin(self, work: Callable[[], Awaitable[object]]) -> None:
        """Begin a work as soon as there is a place for it."""
        await self._slots.acquire()
        self._group.create_task(self._do(work))

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        finally:
            self._slots.release()


@contextlib.asynccontextmanager
async def many_at_once(limit: int) -> AsyncIterator[ManyAtOnce]:
    """Give a place to begin works in; at the end of the block all of them are done."""
    try:
        async with asyncio.TaskGroup() as group:
            yield ManyAtOnce(group, limit)
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from None
