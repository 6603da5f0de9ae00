"""Transactions that wait for their turn at an SQLite file, have it, or have had it."""

import asyncio
import copy
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from moorage.errors import DatabaseUnavailable

_DEADLINE_S = 10.0
"""Seconds that a transaction waits for those before it, and for other processes."""


class SqliteTurn(ABC):
    """One transaction."""

    __slots__ = ("_loop", "durable")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.durable: asyncio.Future[Any] = self._loop.create_future()

    @property
    @abstractmethod
    def is_given_up(self) -> bool:
        """True if nobody waits for it any more."""

    @abstractmethod
    async def give(self) -> bool:
        """Let it write, and say whether what it wrote shall be kept."""

    @abstractmethod
    def settle(self, exc: Exception | None) -> None:
        """Tell the caller that waits, if one does, how it went."""

    def expire_later(self) -> asyncio.TimerHandle:
        """Give it up if it does not come in time; the handle is to be cancelled when it has come."""
        return self._loop.call_later(_DEADLINE_S, self._expire)

    def _expire(self) -> None:
        if not self.is_given_up:
            self.settle(DatabaseUnavailable("the database was busy for too long"))


class BlockTurn(SqliteTurn):
    """A block of another task, which says when it ends."""

    __slots__ = ("finished", "granted")

    def __init__(self) -> None:
        super().__init__()
        self.granted: asyncio.Future[None] = self._loop.create_future()
        self.finished: asyncio.Future[bool] = self._loop.create_future()

    @property
    def is_given_up(self) -> bool:
        """See the interface."""
        return self.granted.done()

    async def give(self) -> bool:
        """See the interface."""
        self.granted.set_result(None)
        return await self.finished

    def settle(self, exc: Exception | None) -> None:
        """See the interface."""
        _settle(self.granted, None, exc)
        _settle(self.durable, None, exc)


class CallTurn(SqliteTurn):
    """One call, made by the thread that gives turns, so that no other has to be woken for it."""

    __slots__ = ("_call", "_has_begun", "_result")

    def __init__(self, call: Callable[[], Awaitable[object]]) -> None:
        super().__init__()
        self._call = call
        self._has_begun = False
        self._result: object = None

    @property
    def is_given_up(self) -> bool:
        """See the interface."""
        return self._has_begun or self.durable.done()

    async def give(self) -> bool:
        """See the interface. If it fails, the callers that wait are told at once."""
        self._has_begun = True
        try:
            self._result = await self._call()
        except Exception as exc:  # noqa: BLE001 - it is raised where the call comes from
            if not self.durable.done():
                self.durable.set_exception(exc)
                self.durable.exception()  # Seen, as below.
            return False
        return True

    def settle(self, exc: Exception | None) -> None:
        """See the interface."""
        _settle(self.durable, self._result, exc)


def _settle(future: asyncio.Future[Any], result: object, exc: Exception | None) -> None:
    if future.done():
        return
    if exc is None:
        future.set_result(result)
        return
    again = copy.copy(exc)  # Each is raised in a task of its own.
    again.__cause__ = exc
    future.set_exception(again)
    future.exception()  # Seen: the caller may be gone.
