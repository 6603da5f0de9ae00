"""Files to clients, by the kernel: the bytes never enter this process.

The event loop has no ``sendfile``, so for the length of one answer the connection's socket is used directly, through
a duplicate that the loop may watch. The loop keeps the original: it still notices when the client hangs up.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol, Self

from aiohttp import web

from moorage.errors import BackendError
from moorage.web.bodies import STALL_S, ClientGone
from moorage.web.connection import Connection
from moorage.web.ranges import Piece
from moorage.web.responses import Response

_TURN_BYTES = 4 << 20
"""After so many bytes to one client that takes them at once, let others have the event loop."""


_TLS_TURN_BYTES = 1 << 20
"""The same over TLS, where they cost more."""

_RECORDS_BYTES = 7 << 14
"""Bytes of a file that are encrypted at once: whole records of TLS, that with all around them are less than 128 KiB.

From there on the C library may ask the system for each piece of memory anew.
"""


class ByteSource(Protocol):
    """An open file, or bytes that are elsewhere; a reader of storage is one."""

    def fileno(self) -> int | None:
        """A descriptor to send from, with no position of ours; None if there is none."""

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from *start* up to and without *end* (None: to the last), in pieces of at most 1 MiB."""


async def send_file(
    request: web.BaseRequest, response: Response, reader: ByteSource, pieces: Sequence[Piece], *, tail: bytes = b""
) -> Response:
    """Write the head of *response*, then *pieces*: their parts are bytes of *reader*; then *tail*.

    Raises:
        ClientGone: the client hung up or takes nothing any more, or the bytes cannot be read to their end. The
            connection is cut: once the head is out, there is no other way to say that the body is not whole.
    """
    transport, connection, fileno = request.transport, request.protocol, reader.fileno()
    if transport is None:
        raise ClientGone
    try:
        if fileno is None:
            await response.prepare(request)
            await _copy(request, transport, reader, pieces)
            transport.write(tail)
            await _drained(request)
        elif transport.get_extra_info("sslcontext") is not None:
            await _encrypt(request, transport, fileno, pieces, head=response.take_head(request))
            transport.write(tail)
            await _drained(request)
        else:
            await _flushed(transport)
            with _Lane(transport, connection) as lane:
                await lane.send(response.take_head(request))
                for piece in pieces:
                    await lane.send(piece.lead)
                    await lane.send_file(fileno, *piece.part)
                    if tail:
                        await asyncio.sleep(0)  # Many small parts are a turn too.
                await lane.send(tail, is_last=True)
    except (OSError, BackendError) as exc:
        transport.abort()
        raise ClientGone from exc
    return response


class _Lane:
    """The socket of a connection, used past its transport."""

    def __init__(self, transport: asyncio.Transport, connection: asyncio.BaseProtocol) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._connection = connection
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes, *, is_last: bool = False) -> None:
        """Send a head; the kernel keeps it until the first bytes of the file, so that both go in one segment."""
        while data:
            try:
                data = data[self._socket.send(data, 0 if is_last else socket.MSG_MORE) :]
            except BlockingIOError:
                await self._writable()

    async def send_file(self, fileno: int, start: int, end: int) -> None:
        """Send a part of a file."""
        turn_ends = start + _TURN_BYTES
        while start < end:
            try:
                sent = os.sendfile(self._socket.fileno(), fileno, start, end - start)
            except BlockingIOError:
                await self._writable()
                continue
            if not sent:
                msg = "the file is shorter than it was"
                raise OSError(msg)
            start += sent
            if start >= turn_ends:
                turn_ends = start + _TURN_BYTES
                await asyncio.sleep(0)

    async def _writable(self) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._socket.fileno(), _settle(ready, None))
        if isinstance(self._connection, Connection):
            self._connection.on_lost = _settle(ready, ConnectionResetError())
        try:
            async with asyncio.timeout(STALL_S):
                await ready
        finally:
            self._loop.remove_writer(self._socket.fileno())
            if isinstance(self._connection, Connection):
                self._connection.on_lost = None


def _settle(ready: "asyncio.Future[None]", failure: Exception | None) -> Callable[[], None]:
    def settle() -> None:
        if ready.done():
            return
        if failure is None:
            ready.set_result(None)
        else:
            ready.set_exception(failure)

    return settle


async def _flushed(transport: asyncio.Transport) -> None:
    """Wait until the transport has sent what it was given before: answers must not overtake one another."""
    async with asyncio.timeout(STALL_S):
        while transport.get_write_buffer_size():
            if transport.is_closing():
                raise ConnectionResetError
            await asyncio.sleep(0.001)


async def _copy(
    request: web.BaseRequest, transport: asyncio.Transport, reader: ByteSource, pieces: Sequence[Piece]
) -> None:
    """Send through this process, a piece at a time, what is not on this machine (object storage)."""
    for piece in pieces:
        transport.write(piece.lead)
        async for chunk in reader.chunks(*piece.part):
            if transport.is_closing():
                raise ConnectionResetError
            transport.write(chunk)
            await _drained(request)


async def _encrypt(
    request: web.BaseRequest, transport: asyncio.Transport, fileno: int, pieces: Sequence[Piece], *, head: bytes
) -> None:
    """Send *head* and a file over TLS, in parts that stay in the processor's cache from the file to the socket.

    They are read on the event loop, as ``sendfile`` reads them without TLS.
    """
    # Nothing more is encrypted while something waits for the client: it would grow cold, and the buffers large.
    transport.set_write_buffer_limits(high=1)
    for piece in pieces:
        head += piece.lead
        start, end = piece.part
        turn_ends = start + _TLS_TURN_BYTES
        while start < end:
            part = os.pread(fileno, min(end - start, _RECORDS_BYTES), start)
            if not part:
                msg = "the file is shorter than it was"
                raise OSError(msg)
            if transport.is_closing():
                raise ConnectionResetError
            start += len(part)
            # With what goes before it in one piece, for one call of the kernel.
            transport.writelines((head, part) if head else (part,))
            head = b""
            if request.protocol.writing_paused:
                await _drained(request)
            elif start >= turn_ends:
                turn_ends = start + _TLS_TURN_BYTES
                await asyncio.sleep(0)


async def _drained(request: web.BaseRequest) -> None:
    async with asyncio.timeout(STALL_S):
        await request.writer.drain()
