"""Reads of the same thing by many at once, made together: a fleet that pulls one image asks for one row.

Every caller gets what was read after it came, as if it had asked by itself. Source: ADR 0126.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable, Sequence

from moorage.errors import BackendError
from moorage.sql.base import Row

_Read = Callable[[], Awaitable[Row | None]]


class _Waiting:
    """A caller that came while the same was being read."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: asyncio.Future[tuple[Row | None] | None] = asyncio.get_running_loop().create_future()
        """The row, once it was read; None: this one has to read it, for all that wait."""

    def tell(self, read: tuple[Row | None] | None) -> bool:
        """Say what was read; return whether any caller still waits for it."""
        if self.told.done():
            return False
        self.told.set_result(read)
        return True

    def fail(self, exc: BackendError) -> None:
        """Say that it could not be read."""
        if not self.told.done():
            again = copy.copy(exc)  # Each is raised in a task of its own.
            again.__cause__ = exc
            self.told.set_exception(again)


class JoinedReads:
    """Reads under way, by what is read. Who asks while there is one waits for the next, which is for all who wait."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[_Waiting]] = {}
        """Those who came since the read that is under way began."""

    async def first(self, key: Hashable, read: _Read) -> Row | None:
        """Return what *read* does; what it reads must follow from *key*.

        Raises: as *read*.
        """
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = []
            return await self._lead(key, read, ())
        mine = _Waiting()
        waiting.append(mine)
        try:
            told = await mine.told
        except asyncio.CancelledError:
            if mine.told.done() and not mine.told.cancelled() and not mine.told.exception() and not mine.told.result():
                self._pass_on(key)  # It was this one's to read.
            raise
        if told is not None:
            return told[0]
        others, self._waiting[key] = self._waiting[key], []
        return await self._lead(key, read, others)

    async def _lead(self, key: Hashable, read: _Read, others: Sequence[_Waiting]) -> Row | None:
        """Read for oneself and for *others*, then have the next one read for those who came meanwhile."""
        try:
            row = await read()
        except BackendError as exc:
            for other in others:
                other.fail(exc)
            raise
        except BaseException:
            self._waiting[key][:0] = others  # The caller has gone: one of the others has to read.
            raise
        else:
            for other in others:
                other.tell((row,))
            return row
        finally:
            self._pass_on(key)

    def _pass_on(self, key: Hashable) -> None:
        waiting = self._waiting[key]
        while waiting:
            if waiting.pop(0).tell(None):
                return
        del self._waiting[key]
