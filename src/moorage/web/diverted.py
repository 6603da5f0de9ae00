"""The rest of a large body, decrypted straight into the pieces in which it is written, past the parser of HTTP.

What is left of a body of known length needs no parser. Source: ADR 0137.
"""

import asyncio
import sys
from collections.abc import Callable

_NOBODY_ELSE = 2
"""References to a piece that nobody else has: the one here, and that of the question."""


class DivertedBody:
    """Bytes on their way from a connection to the code that stores them: one piece fills up while another is written.

    Args:
        size_bytes: of all of them.
        piece_bytes: tells the size of the next piece.
        on_end: is called when all have come.
        go_on: is called when there is room again.
    """

    def __init__(
        self, size_bytes: int, piece_bytes: Callable[[], int], on_end: Callable[[], None], go_on: Callable[[], None]
    ) -> None:
        self.failure: Exception | None = None
        """Reason for which no more is waited for."""
        self._rest_bytes = size_bytes
        self._piece_bytes = piece_bytes
        self._on_end, self._go_on = on_end, go_on
        self._filling: bytearray | None = None
        self._filled_bytes = 0
        self._given: bytearray | None = None
        self._spare: bytearray | None = None
        """The piece that was given before the last one."""
        self._is_cut = False
        """True if no more will come."""
        self._is_dropped = False
        self._waiter: asyncio.Future[None] | None = None

    def room(self, scrap: bytearray) -> memoryview:
        """Return where the next bytes belong; nothing if they have to wait, *scrap* if nobody wants them."""
        if self._is_dropped:
            return memoryview(scrap)[: self._rest_bytes]
        if self._filling is None:
            wanted = min(self._piece_bytes(), self._rest_bytes)
            # A fresh piece costs as much as to encrypt it: its pages are the system's each time.
            is_free = self._spare is not None and sys.getrefcount(self._spare) == _NOBODY_ELSE
            if is_free and self._spare is not None and len(self._spare) == wanted:
                self._filling = self._spare
            else:
                self._filling = bytearray(wanted)
            self._spare = None
        return memoryview(self._filling)[self._filled_bytes :]

    def took(self, count: int) -> bool:
        """Note that so many bytes are where they belong; return whether they were the last."""
        self._rest_bytes -= count
        if not self._is_dropped:
            self._filled_bytes += count
            if self._is_full:
                self._wake()
        if not self._rest_bytes:
            self._on_end()
        return not self._rest_bytes

    def cut(self) -> None:
        """Note that no more will come."""
        self._is_cut = True
        self._wake()

    async def next_piece(self, stall_s: float) -> bytearray:
        """Return the next piece; its memory is used again for the next but one, unless the caller keeps it.

        It is empty if no more will come, or if nothing has come for *stall_s* (``failure``).
        """
        while not (self._is_full or self._is_cut or not (self._rest_bytes or self._filled_bytes)):
            rest_bytes = self._rest_bytes
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(stall_s):
                    await self._waiter
            except TimeoutError as exc:
                if rest_bytes == self._rest_bytes:
                    self.failure, self._is_cut = exc, True
            finally:
                self._waiter = None
        if self._filling is None or not self._filled_bytes:
            return bytearray()
        taken = self._filling if self._is_full else self._filling[: self._filled_bytes]
        self._spare, self._given = self._given, taken
        self._filling, self._filled_bytes = None, 0
        self._go_on()
        return taken

    def drop(self) -> None:
        """Throw away what is still to come."""
        self._is_dropped = True
        self._filling = self._given = self._spare = None
        self._go_on()

    @property
    def _is_full(self) -> bool:
        return self._filling is not None and self._filled_bytes == len(self._filling)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
