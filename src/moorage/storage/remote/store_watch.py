"""Notices that another bucket answers where the registry's was, as a store that came back without its disk does.

One object says whose storage this is. It is looked at after a while, and again before the answer of a request counts
that was sent on a new connection: a store that is put in the place of another one breaks those that there were. Why,
and what remains: ``docs/adr/0178-a-bucket-in-the-place-of-another.md``.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Final

from moorage.errors import StorageUnavailable
from moorage.storage.base import clock
from moorage.telemetry import get_log

LOOK_S: Final = 10.0
"""Seconds for which a look that found the right storage is believed."""
LOOK_WHILE_AWAY_S: Final = 1.0
"""Seconds between two looks at a wrong one."""
_DEADLINE_S: Final = 30.0

_log = get_log("storage")
_is_looking: ContextVar[bool] = ContextVar("is_looking", default=False)


class StoreWatch:
    """One object that says which storage this is, and how lately it said so."""

    def __init__(
        self,
        path: str,
        is_right: Callable[[], Awaitable[bool]],
        *,
        now: Callable[[], float] = clock,
    ) -> None:
        """Take the note's *path*, for what is said, and what reads it: *is_right* raises what storage raises."""
        self._path = path
        self._is_right = is_right
        self._now = now
        self._looked_at = self._doubted_at = float("-inf")
        self._is_away = False
        self._look: asyncio.Task[None] | None = None

    async def passed(self) -> None:
        """Return if this is the storage that it was, as far as the last look knows; first look where that is old.

        Raises:
            StorageUnavailable: it is another one, or it does not answer.
        """
        if _is_looking.get():
            return
        age_s = self._now() - self._looked_at
        if age_s < (LOOK_WHILE_AWAY_S if self._is_away else LOOK_S):
            self._refuse_away()
            return
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_once())
        await asyncio.shield(self._look)
        self._refuse_away()

    def doubt(self) -> None:
        """Believe no look any more: whoever answers next may be another store."""
        if not _is_looking.get():
            self._doubted_at = self._now()
            self._looked_at = float("-inf")

    async def close(self) -> None:
        """Stop looking."""
        if self._look is not None and not self._look.done():
            self._look.cancel()
            with contextlib.suppress(asyncio.CancelledError, StorageUnavailable):
                await self._look

    async def _look_once(self) -> None:
        _is_looking.set(True)  # In the context of this task alone.
        began_at = self._now()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                is_right = await self._is_right()
        except TimeoutError:
            msg = f"storage does not give {self._path.lstrip('/')}, which says whose it is"
            raise StorageUnavailable(msg) from None
        self._looked_at = began_at if began_at > self._doubted_at else float("-inf")
        if self._is_away == is_right:
            self._is_away = not is_right
            if is_right:
                _log.info("the storage is back")
            else:
                _log.error("another storage answers where this registry's was: nothing is done there", path=self._path)

    def _refuse_away(self) -> None:
        if self._is_away:
            msg = (
                f"{self._path.lstrip('/')} is not there or not what it was: is it the registry's bucket? If it is, and "
                "only that object was lost, start the registry again"
            )
            raise StorageUnavailable(msg)
