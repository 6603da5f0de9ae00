"""The rest of a large body, which goes from the socket to whoever stores it, past event loop and parser.

What is left of a body of known length needs no parser. The event loop only watches for it; it is received, and over TLS
decrypted, in the thread that hashes and writes it, into memory that is still in the processor's cache there.
Source: ADR 0137, ADR 0148.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Protocol, cast

from moorage.work.buffers import BUFFERS

_TURN_BYTES = 4 << 20
"""Bytes that one body may bring before others have their turn in a thread."""

_WORTH_BYTES = 1 << 20
"""Bytes for which it is worth to wake somebody up; fewer wait in the system until more are there, or the end."""

_DECRYPTED_BYTES = 7 << 14
"""Bytes that OpenSSL is given at once: its memory for them stays in the processor's cache."""

_OVERHEAD_PARTS = 512
_RECORD_BYTES = 64
"""Encrypted bytes are more, by this part of them and by this many at least, if records are as long as they may be."""

_LOOK_S = 1.0
"""Seconds after which fewer are taken too."""


class Way(Protocol):
    """Turns what comes out of a socket into the bytes of a body."""

    hidden_bytes: int
    """The most that it may have taken out of the socket, and not yet given."""

    def take(self, fileno: int, buffer: memoryview) -> int:
        """Take what the socket has, in whatever thread, up to the size of *buffer*; 0 at the client's end.

        Raises:
            BlockingIOError: there is nothing now.
            OSError: it is broken, or (``ssl.SSLError``) what it gives is.
        """

    def settle(self) -> None:
        """Send what has to be answered to what was taken, on the event loop."""


class PlainWay(Way):
    """HTTP without TLS."""

    hidden_bytes = 0

    def take(self, fileno: int, buffer: memoryview) -> int:
        """See the interface."""
        return os.readv(fileno, [buffer])

    def settle(self) -> None:
        """Do nothing: there is nothing."""


class EncryptedWay(Way):
    """TLS.

    Args:
        tls: the server's end.
        incoming: what it reads.
        guard: is held while it is used.
        settle: sends what it has to say.
    """

    hidden_bytes = 64 << 10
    """A record that is not whole yet is in *incoming*, or in OpenSSL, with what was taken behind it."""

    def __init__(
        self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, guard: threading.Lock, settle: Callable[[], None]
    ) -> None:
        self._tls, self._incoming, self._guard, self._settle = tls, incoming, guard, settle
        self._has_ended = False

    def take(self, fileno: int, buffer: memoryview) -> int:
        """See the interface."""
        with self._guard:
            count = self._decrypt(buffer)
            while not self._has_ended and count < len(buffer):
                try:
                    count, is_more = self._fetch(fileno, buffer, count)
                except BlockingIOError:
                    if not count:
                        raise
                    break
                if not is_more:
                    break
        return count

    def settle(self) -> None:
        """See the interface."""
        self._settle()

    def _fetch(self, fileno: int, buffer: memoryview, count: int) -> tuple[int, bool]:
        """Fill *buffer* up, which has *count* bytes; return how many it has then, and whether there may be more."""
        rest_bytes = len(buffer) - count
        with BUFFERS.borrowed(rest_bytes + rest_bytes // _OVERHEAD_PARTS + _RECORD_BYTES) as room:
            came_bytes = os.readv(fileno, [room])
            for start in range(0, came_bytes, _DECRYPTED_BYTES):
                self._incoming.write(room[start : min(start + _DECRYPTED_BYTES, came_bytes)])
                count += self._decrypt(buffer[count:])
            return count, came_bytes == len(room)

    def _decrypt(self, buffer: memoryview) -> int:
        count, wanted, read = 0, len(buffer), self._tls.read
        with contextlib.suppress(ssl.SSLWantReadError):
            while count < wanted:
                taken = cast("int", read(wanted - count, cast("Any", buffer[count:])))  # One record at most.
                count += taken
                if not taken:
                    self._has_ended = True
                    break
        return count


class DivertedBody:
    """Bytes on their way from a socket to the code that stores them; an ``Arriving`` of storage's.

    Args:
        lent: the socket, of which nobody else takes anything until the end. It is closed then.
        way: what is between socket and body.
        size_bytes: of all of them.
        piece_bytes: tells how many may be kept in memory at once.
        on_end: is called once, with the number of bytes that nobody has taken.
    """

    most_bytes = _TURN_BYTES

    def __init__(
        self,
        lent: socket.socket,
        way: Way,
        size_bytes: int,
        *,
        piece_bytes: Callable[[], int],
        on_end: Callable[[int], None],
    ) -> None:
        self.failure: Exception | None = None
        """Reason for which no more comes, if it is not the connection's end."""
        self.is_cut = False
        """True if no more will come."""
        self._socket = lent
        self._way = way
        self._rest_bytes = size_bytes
        self._piece_bytes = piece_bytes
        self._on_end = on_end
        self._is_drained = False
        """True if the socket was empty when it was asked last."""
        self._worth_bytes = 1
        self._waiter: asyncio.Future[None] | None = None

    async def comes(self, stall_s: float) -> bool:
        """Wait until there is something to take; return False if all has come, or no more will.

        Nothing for *stall_s* is a ``failure``.
        """
        self._way.settle()
        if self._is_drained and self._rest_bytes and not self.is_cut:
            await self._wait(stall_s)
            self._is_drained = False
        return self._rest_bytes > 0 and not self.is_cut

    def readinto(self, buffer: memoryview) -> int:
        """Take what has come, in whatever thread; see ``Arriving``."""
        wanted = min(len(buffer), self._rest_bytes)
        if not wanted or self.is_cut:
            return 0
        try:
            count = self._way.take(self._socket.fileno(), buffer[:wanted])
        except BlockingIOError:
            self._is_drained = True
            return 0
        except OSError as exc:
            self.failure, self.is_cut = exc, True
            return 0
        if not count:
            self.is_cut = True
        self._is_drained = count < wanted
        self._rest_bytes -= count
        return count

    def read(self) -> bytearray:
        """Take a piece; see ``Arriving``."""
        piece = bytearray(min(self._piece_bytes(), self._rest_bytes))
        with memoryview(piece) as room:
            count = self.readinto(room)
        del piece[count:]
        return piece

    def cut(self) -> None:
        """Note that no more will come."""
        self.is_cut = True
        self._wake()

    def end(self) -> None:
        """Let go of the socket. May be called twice."""
        if self._socket.fileno() < 0:
            return
        self._ask_for(1)
        self._socket.close()
        self._on_end(self._rest_bytes)

    async def _wait(self, stall_s: float) -> None:
        self._ask_for(min(_WORTH_BYTES, self._piece_bytes(), max(1, self._rest_bytes - self._way.hidden_bytes)))
        loop, fileno = asyncio.get_running_loop(), self._socket.fileno()
        deadline = loop.time() + stall_s
        self._waiter = loop.create_future()
        loop.add_reader(fileno, self._wake)
        try:
            await asyncio.wait([self._waiter], timeout=min(stall_s, _LOOK_S))
            while not (self._waiter.done() or self._has_something()):
                if (left_s := deadline - loop.time()) <= 0:
                    self.failure, self.is_cut = TimeoutError(), True
                    break
                await asyncio.wait([self._waiter], timeout=min(left_s, _LOOK_S))
        finally:
            self._waiter = None
            loop.remove_reader(fileno)

    def _ask_for(self, worth_bytes: int) -> None:
        """Have nobody woken up for less than *worth_bytes*, unless it is the client's end."""
        if worth_bytes != self._worth_bytes:
            self._worth_bytes = worth_bytes
            with contextlib.suppress(OSError):  # It is woken up more often, then.
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, worth_bytes)

    def _has_something(self) -> bool:
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except OSError as exc:
            return not isinstance(exc, BlockingIOError)
        return True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
