"""Buffers that threads borrow for the length of a call: a few large ones, which are still in the processor's cache.

What is received in large pieces costs less: with each one the system tells the sender to go on, and works on that.
"""

import contextlib
import threading
from collections.abc import Iterator

LARGE_BYTES = 1 << 20
"""Bytes that any large one has room for; with a little more, for what goes before and between them."""

_MORE_BYTES = 16 << 10
_LARGE_LIMIT = 8
"""Large ones of a process. Whoever comes when all are lent gets a small one, which is gone afterwards."""

_SMALL_BYTES = 128 << 10


class Buffers:
    """Buffers of one process.

    Args:
        limit: how many large ones there are at most.
    """

    def __init__(self, limit: int = _LARGE_LIMIT) -> None:
        self._left = limit
        self._idle: list[memoryview] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def borrowed(self, wanted_bytes: int) -> Iterator[memoryview]:
        """Lend *wanted_bytes*, or fewer: what is large, or else small. The one that was used last is lent first."""
        buffer = self._large()
        if buffer is None:
            yield memoryview(bytearray(min(wanted_bytes, _SMALL_BYTES)))
            return
        try:
            yield buffer[:wanted_bytes]
        finally:
            with self._lock:
                self._idle.append(buffer)

    def _large(self) -> memoryview | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if not self._left:
                return None
            self._left -= 1
        return memoryview(bytearray(LARGE_BYTES + _MORE_BYTES))


BUFFERS = Buffers()
"""Those of this process."""
