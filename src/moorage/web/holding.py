"""Memory for bodies that are held whole (manifests, JSON, forms): one budget for all of a worker."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from moorage.errors import TooManyRequests

BUDGET_BYTES = 32 << 20

FREE_BYTES = 64 << 10
"""Bytes that every body may hold beside the budget, so that ordinary manifests never wait for those of others."""

_PATIENCE_S = 10.0
"""Seconds that a body waits for memory."""

_FAIR_S = 15.0
"""Seconds for which a body that is not whole yet may hold memory that others wait for."""

_LOOK_S = 0.25
_RETRY = timedelta(seconds=5)


class Holding:
    """The memory that one body holds."""

    def __init__(self, holdings: "Holdings", give_up: Callable[[], object]) -> None:
        self.size_bytes = 0
        self.began_at = holdings.monotonic()
        self.is_whole = False
        """True if the whole body has come; then only we decide how long it is held."""
        self.give_up = give_up
        """Ends the wait for the rest of it."""
        self._holdings = holdings

    async def grow(self, size_bytes: int) -> None:
        """Hold *size_bytes* from now on; waits for a moment if there is no room.

        Raises:
            TooManyRequests: there is none.
        """
        await self._holdings.take(self, max(0, size_bytes - FREE_BYTES))


class Holdings:
    """The memory that all bodies of a worker hold."""

    def __init__(
        self,
        budget_bytes: int = BUDGET_BYTES,
        *,
        patience_s: float = _PATIENCE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held_bytes = 0
        self.monotonic = monotonic
        self._budget_bytes = budget_bytes
        self._patience_s = patience_s
        self._all: dict[Holding, None] = {}
        self._freed = asyncio.Event()

    def begin(self, give_up: Callable[[], object]) -> Holding:
        """Begin to hold a body, until :meth:`end`."""
        holding = Holding(self, give_up)
        self._all[holding] = None
        return holding

    def end(self, holding: Holding) -> None:
        """Hold a body no more."""
        if holding in self._all:
            del self._all[holding]
            self.held_bytes -= holding.size_bytes
            self._freed.set()

    async def take(self, holding: Holding, size_bytes: int) -> None:
        """Let *holding* have *size_bytes*.

        Raises:
            TooManyRequests: there is no room, and it does not come in time.
        """
        ends_at = self.monotonic() + self._patience_s
        while self.held_bytes + size_bytes - holding.size_bytes > self._budget_bytes:
            if self.monotonic() >= ends_at:
                msg = "too many large bodies are being sent at once; try again in a moment"
                raise TooManyRequests(msg, retry_after=_RETRY)
            self._make_room(holding)
            await self._wait()
        self.held_bytes += size_bytes - holding.size_bytes
        holding.size_bytes = size_bytes

    def _make_room(self, asking: Holding) -> None:
        """End the oldest body that takes too long: a client that stalls, or sends byte by byte, keeps no other out."""
        for holding in self._all:
            late = self.monotonic() - holding.began_at > _FAIR_S
            if late and holding is not asking and holding.size_bytes and not holding.is_whole:
                holding.give_up()
                return

    async def _wait(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._freed.wait()
        except TimeoutError:
            return
