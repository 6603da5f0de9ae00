"""Files and other bytes to clients, by the kernel where that can be: then they never enter this process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from aiohttp.web_request import BaseRequest

from moorage.errors import BackendError
from moorage.web.bodies import STALL_S, ClientGone
from moorage.web.encrypted import EncryptedTransport
from moorage.web.lane import Lane
from moorage.web.ranges import Piece
from moorage.web.responses import Response

_TLS_TURN_BYTES = 1 << 20
"""After so many bytes to one client that takes them at once over TLS, let others have the event loop."""


class ByteSource(Protocol):
    """An open file, or bytes that are elsewhere; a reader of storage is one."""

    def fileno(self) -> int | None:
        """A descriptor to send from, with no position of ours; None if there is none."""

    def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from *start* up to and without *end* (None: to the last), in pieces of at most 1 MiB."""

    async def pour(self, sink: Lane, start: int = 0, end: int | None = None) -> None:
        """Give the same bytes to *sink*; by the kernel where both can do that."""


async def send_file(
    request: BaseRequest, response: Response, reader: ByteSource, pieces: Sequence[Piece], *, tail: bytes = b""
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
        if isinstance(transport, EncryptedTransport):
            if fileno is None:
                await response.prepare(request)
                await _copy(request, transport, reader, pieces)
            else:
                await _encrypt(request, transport, fileno, pieces, head=response.take_head(request))
            transport.write(tail)
            await _drained(request)
        else:
            await _flushed(transport)
            with Lane(transport, connection) as lane:
                # Bytes that are elsewhere may take a while to come; the head does not wait for them.
                await lane.send(response.take_head(request), is_last=fileno is None)
                for piece in pieces:
                    await lane.send(piece.lead, is_last=fileno is None)
                    if fileno is None:
                        await reader.pour(lane, *piece.part)
                    else:
                        await lane.send_file(fileno, *piece.part)
                    if tail:
                        await asyncio.sleep(0)  # Many small parts are a turn too.
                await lane.send(tail, is_last=True)
    except ClientGone:
        transport.abort()
        raise
    except (OSError, BackendError) as exc:
        transport.abort()
        raise ClientGone from exc
    return response


async def _flushed(transport: asyncio.Transport) -> None:
    """Wait until the transport has sent what it was given before: answers must not overtake one another."""
    async with asyncio.timeout(STALL_S):
        while transport.get_write_buffer_size():
            if transport.is_closing():
                raise ConnectionResetError
            await asyncio.sleep(0.001)


async def _copy(
    request: BaseRequest, transport: asyncio.Transport, reader: ByteSource, pieces: Sequence[Piece]
) -> None:
    """Send bytes that are not on this machine through this process, a piece at a time: the kernel does not encrypt."""
    for piece in pieces:
        transport.write(piece.lead)
        async for chunk in reader.chunks(*piece.part):
            if transport.is_closing():
                raise ConnectionResetError
            transport.write(chunk)
            await _drained(request)


async def _encrypt(
    request: BaseRequest, transport: EncryptedTransport, fileno: int, pieces: Sequence[Piece], *, head: bytes
) -> None:
    """Send *head* and a file over TLS, in parts that stay in the processor's cache from the file to the socket.

    They are read on the event loop, as ``sendfile`` reads them without TLS.
    """
    for piece in pieces:
        head += piece.lead
        start, end = piece.part
        while start < end:
            if transport.is_closing():
                raise ConnectionResetError
            start = transport.write_file(head, fileno, start, min(end, start + _TLS_TURN_BYTES))
            head = b""
            # Nothing more is encrypted while something waits for the client: it would grow cold.
            await _drained(request)
            if start < end or len(pieces) > 1:  # Many small parts are a turn too.
                await asyncio.sleep(0)
    transport.write(head)  # If there is nothing behind it.


async def _drained(request: BaseRequest) -> None:
    if request.transport is None:
        raise ConnectionResetError
    if not request.protocol.writing_paused:
        return
    async with asyncio.timeout(STALL_S):
        await request.writer.drain()
