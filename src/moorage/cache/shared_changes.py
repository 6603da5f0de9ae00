"""Facts that all processes of a node share about what they remember: a mark of changes, and a doubt.

They share a page of memory from the moment they are forked: what one of them says there the others know at once.
"""

import mmap
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

from moorage.handed_on import SharedMemory


class SharedChanges:
    """A number that is another one after each change. Make it before the processes that share it."""

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.monotonic_ns, *, page: SharedMemory | None = None
    ) -> None:
        """*monotonic_ns*: a clock that is the same in all processes of a machine; *page*: that of others."""
        self._page = page or SharedMemory(mmap.PAGESIZE)
        self._numbers = memoryview(self._page.memory).cast("Q")
        self._monotonic_ns = monotonic_ns

    def __reduce__(self) -> tuple[object, tuple[Callable[[], int], SharedMemory]]:
        return _with_page, (self._monotonic_ns, self._page)

    @property
    def mark(self) -> int:
        """The number as it is now."""
        return self._numbers[0]

    def note(self) -> None:
        """Make all void that was remembered before, in all processes."""
        # Random and not one more: of two processes that do so at once neither has to see the other's.
        self._numbers[0] = secrets.randbits(64)

    @property
    def is_doubtful(self) -> bool:
        """True while what other nodes remember may be old: one of these processes could not tell them of a change."""
        return self._monotonic_ns() < self._numbers[1]

    def doubt(self, for_so_long: timedelta) -> None:
        """Do not believe what other nodes remember until so much time is over, in all processes."""
        self._numbers[1] = max(self._numbers[1], self._monotonic_ns() + int(for_so_long.total_seconds() * 1e9))


def _with_page(monotonic_ns: Callable[[], int], page: SharedMemory) -> SharedChanges:
    return SharedChanges(monotonic_ns, page=page)
