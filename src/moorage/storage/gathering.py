"""Bytes that are gathered in memory until they are worth a request, as the pieces that were received."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import cast

from moorage.storage.base import Observer

_INLINE_BYTES = 128 << 10
"""Up to here hashing is cheaper than handing it to a thread."""


class Gathered:
    """Pieces in their order. None of them is copied, but one that is cut in two."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._pieces: deque[bytes] = deque()

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """Keep *data*, which nobody changes any more."""
        # A bytearray can be sent like bytes, and the code that received it has let go of it.
        self._pieces.append(cast("bytes", data) if isinstance(data, bytes | bytearray) else bytes(data))
        self.size_bytes += len(data)

    def cut(self, count: int) -> Sequence[bytes]:
        """Take out the first *count* bytes, or all if there are no more."""
        taken: list[bytes] = []
        while count > 0 and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > count:
                self._pieces.appendleft(piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
            self.size_bytes -= len(piece)
        return taken

    @property
    def pieces(self) -> Sequence[bytes]:
        """All of them, which stay."""
        return list(self._pieces)

    def clear(self) -> int:
        """Drop all, and return how many bytes that were."""
        count = self.size_bytes
        self._pieces.clear()
        self.size_bytes = 0
        return count


async def observe(data: bytes | bytearray | memoryview, observer: Observer | None) -> None:
    """Let *observer* see *data*: in a thread, if that takes longer than to get there."""
    if observer is None:
        return
    if len(data) <= _INLINE_BYTES:
        observer(data)
    else:
        await asyncio.to_thread(observer, data)
