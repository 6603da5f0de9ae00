"""Bytes that come as a test has them come: a stand-in for the body of a request."""

from collections import deque
from collections.abc import Sequence


class ArrivingBytes:
    """Content of which each look finds the next so many bytes; each 0 is a moment at which nothing is there.

    Behind the last of *there* all of the rest is there.
    """

    def __init__(self, content: bytes, there: Sequence[int] = (), *, most_bytes: int = 1 << 20) -> None:
        self.most_bytes = most_bytes
        self.rest = content
        self._there = deque(there)

    def readinto(self, buffer: memoryview) -> int:
        """See ``Arriving``."""
        most = self._there.popleft() if self._there else len(self.rest)
        count = min(most, len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count

    def read(self) -> bytearray:
        """See ``Arriving``."""
        piece = bytearray(min(self.most_bytes, len(self.rest)))
        return piece[: self.readinto(memoryview(piece))]
