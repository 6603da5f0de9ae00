"""A mark that all processes of a node share: it changes when one of them has taken something away.

What one of them remembers, the others can make void: they share a page of memory from the moment they are forked.
"""

import mmap
import secrets


class SharedChanges:
    """A number that is another one after each change. Make it before the processes that share it."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._number = memoryview(self._page).cast("Q")

    @property
    def mark(self) -> int:
        """The number as it is now."""
        return self._number[0]

    def note(self) -> None:
        """Make all void that was remembered before, in all processes."""
        # Random and not one more: of two processes that do so at once neither has to see the other's.
        self._number[0] = secrets.randbits(64)
