"""After a write: tell every node how far a replica must be to show it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from moorage.errors import DatabaseUnavailable
from moorage.sql.replicas.replica_positions import KEPT, Position, PositionStore
from moorage.telemetry import get_log

RECORD_S = 0.5
"""Seconds that a write waits for Redis."""

_log = get_log("sql.replicas")


class Recorder:
    """Records the primary's position after each write, and remembers what could not be recorded."""

    def __init__(self, primary: Callable[[], Awaitable[Position]], store: PositionStore) -> None:
        self._position = _Shared(primary)
        self._store = store
        self._unrecorded: dict[str, tuple[Position, float]] = {}
        self._is_failing = False

    @property
    def unrecorded(self) -> Mapping[str, object]:
        """Repositories whose last write other nodes may not know of."""
        return self._unrecorded

    async def position(self) -> Position:
        """Return how far the primary is, asked after this call began.

        Raises:
            DatabaseUnavailable: it cannot be said. The write is there, and must not be acknowledged: who reads on
                another node could miss it.
        """
        return await self._position.fresh()

    async def record(self, repository: str, position: Position) -> bool:
        """Record that *repository* was written before *position*; False if that failed and is to be tried again."""
        # Noted before the first wait: a caller that waits may be cancelled, and the write is there all the same.
        self._unrecorded.pop(repository, None)
        self._unrecorded[repository] = (position, time.monotonic())
        try:
            await self._store.raise_to(repository, position, limit_s=RECORD_S)
        except DatabaseUnavailable as exc:
            if not self._is_failing:
                _log.error("the position of a write could not be recorded", error=str(exc))
            self._is_failing = True
            return False
        self._is_failing = False
        found = self._unrecorded.get(repository)
        if found is not None and found[0] <= position:
            del self._unrecorded[repository]
        return True

    async def retry(self) -> None:
        """Record what could not be recorded before, until that fails again."""
        now = time.monotonic()
        for repository, (position, since) in list(self._unrecorded.items()):
            if now > since + KEPT.total_seconds():
                # Longer ago than any position is kept: a refresh on each node has made up for it.
                self._unrecorded.pop(repository, None)
            elif not await self.record(repository, position):
                break


class _Shared:
    """Asks one question for all who wait, but none that was asked before they came."""

    def __init__(self, ask: Callable[[], Awaitable[Position]]) -> None:
        self._ask = ask
        self._turn = asyncio.Lock()
        self._asked = 0
        self._answered = 0
        self._answer = Position(0, 0)

    async def fresh(self) -> Position:
        asked_before = self._asked
        async with self._turn:
            if self._answered <= asked_before:
                self._asked += 1
                number = self._asked
                self._answer = await self._ask()
                self._answered = number
            return self._answer
