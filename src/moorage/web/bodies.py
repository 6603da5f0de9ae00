"""Request bodies, in pieces that are worth a system call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Self, cast

from aiohttp import hdrs
from aiohttp.client_exceptions import ClientConnectionError, ClientError, ClientPayloadError
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError
from aiohttp.web_request import BaseRequest

from moorage.errors import CodingUnknown, ContentCodingUnknown, SizeInvalid
from moorage.web.connection import Connection
from moorage.web.diverted import DivertedBody
from moorage.web.ends import EndedEarly
from moorage.web.holding import Holdings

_PIECE_BYTES = 1 << 20
"""Bytes of an upload that are gathered before they are hashed and written, while few uploads run."""

_PIECE_MIN_BYTES = 64 << 10

_GATHER_BUDGET_BYTES = 12 << 20
"""Budget for the bytes that all uploads of a worker gather together."""

STALL_S = 300.0
"""A body that brings nothing, or a client that takes nothing, for so long is given up."""


class ClientGone(Exception):
    """The client hung up, or stalled, before its body was whole."""


_FAILURES = (
    ClientError,
    HttpProcessingError,
    OSError,  # Resets, broken pipes, deadlines, and networks that are gone.
    PayloadAccessError,
    RequestPayloadError,
    EndedEarly,
)
"""Errors with which reading a body may end early."""


class Bodies:
    """Request bodies of one worker, which share a budget of memory."""

    def __init__(self) -> None:
        self._active = 0
        self._holdings = Holdings()

    def chunks(self, request: BaseRequest) -> AsyncIterator[bytes | bytearray | DivertedBody]:
        """The body in pieces of up to 1 MiB; smaller ones while many uploads share the memory.

        In place of the rest of a large body comes something that takes bytes out of the socket, again and again until
        all are taken. What came before the client hung up comes before the error is raised: it can resume there.

        Raises:
            ClientGone: the client hung up or stalled.
            SizeInvalid: the body's framing is broken, or it ended early.
            CodingUnknown, ContentCodingUnknown: the body is coded.
        """
        if request.content is EMPTY_PAYLOAD and hdrs.EXPECT not in request.headers:
            return _NoBody(request)
        return self._received(request)

    async def _received(  # noqa: C901, PLR0912 - one loop over what may come next
        self, request: BaseRequest, *, piece_bytes: int = 0
    ) -> AsyncIterator[bytes | bytearray | DivertedBody]:
        """The same; *piece_bytes*: the most that is taken at once, and all of it in pieces.

        The rest stays where it was read, which pauses the client.
        """
        _check_codings(request)
        await _continue(request)
        self._active += 1
        diverted: DivertedBody | None = None
        try:
            gathered: bytes | bytearray = bytearray()
            failure: Exception | None = None
            content = request.content
            while failure is None and not content.at_eof():
                try:
                    if request.transport is None:
                        # Lost before this request had begun: aiohttp tells the reader only of what happens later.
                        failure = ConnectionResetError()
                        gathered += content.read_nowait()
                        break
                    if data := content.read_nowait(piece_bytes or -1):  # It is there: nobody has to wait.
                        if not (gathered or piece_bytes) and content.at_eof():
                            gathered = data  # All of it, as it came: to copy 100 KiB is dear.
                            break
                        gathered += data
                    elif not piece_bytes and (diverted := _divert(request, self._piece_bytes)) is not None:
                        break
                    else:
                        async with asyncio.timeout(STALL_S):
                            gathered += await (content.read(piece_bytes) if piece_bytes else content.readany())
                except _FAILURES as exc:
                    failure = exc
                if len(gathered) >= (piece_bytes or self._piece_bytes()):
                    yield gathered
                    gathered = bytearray()
            if gathered:
                yield gathered
            if diverted is not None:
                while await diverted.comes(STALL_S):
                    yield diverted
                failure = await _end_of(diverted, content)
            if failure is not None:
                raise _translated(failure) from failure
        finally:
            self._active -= 1
            if diverted is not None:
                diverted.end()

    async def whole(self, request: BaseRequest, *, check_size: Callable[[int], None]) -> bytes:
        """A small body.

        *check_size* is asked about the length that is announced, then about the bytes so far, and ends it by raising;
        the rest is not read.

        What it takes of the memory for all of them counts until the request is answered.

        Raises:
            ClientGone, SizeInvalid, CodingUnknown, ContentCodingUnknown: as for :meth:`chunks`.
            TooManyRequests: other bodies take all the memory that there is for them.
        """
        check_size(request.content_length or 0)
        if request.content is EMPTY_PAYLOAD:  # It holds nothing, and may have no task of its own.
            _check_codings(request)
            return b""
        body = bytearray()
        holding = self._holdings.begin(lambda: request.content.set_exception(TimeoutError()))
        cast("Connection", request.protocol).when_answered(lambda: self._holdings.end(holding))
        # In small pieces: what was read and has no room yet is in no budget.
        async for piece in self._received(request, piece_bytes=_PIECE_MIN_BYTES):
            chunk = cast("bytearray", piece)
            body += chunk
            chunk.clear()
            check_size(len(body))
            await holding.grow(len(body))
        holding.is_whole = True
        return bytes(body)

    def _piece_bytes(self) -> int:
        return max(_PIECE_MIN_BYTES, min(_PIECE_BYTES, _GATHER_BUDGET_BYTES // self._active))


def _divert(request: BaseRequest, piece_bytes: Callable[[], int]) -> DivertedBody | None:
    connection = request.protocol
    return connection.divert(request, piece_bytes) if isinstance(connection, Connection) else None


class _NoBody:
    """The pieces of a body that is not there: none, but its headers may be wrong."""

    def __init__(self, request: BaseRequest) -> None:
        self._request = request

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        _check_codings(self._request)
        raise StopAsyncIteration


async def _end_of(diverted: DivertedBody, content: StreamReader) -> Exception | None:
    """End a diverted body; return why not all of it has come."""
    diverted.end()
    if diverted.failure is None and diverted.is_cut:
        try:  # The connection finds the same end, and knows what it means.
            async with asyncio.timeout(STALL_S):
                await content.readany()
        except _FAILURES as exc:
            return exc
    return diverted.failure


async def _continue(request: BaseRequest) -> None:
    """Tell a client that waits for it (``Expect: 100-continue``) that its body is wanted."""
    # What else it expects is passed over: to refuse it would end a push that can go on.
    if hdrs.EXPECT not in request.headers:
        return
    expected = ",".join(request.headers.getall(hdrs.EXPECT, ())).lower().split(",")
    if any(item.strip() == "100-continue" for item in expected) and request.version >= HttpVersion11:
        writer = request.writer
        try:
            await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        except OSError as exc:
            raise ClientGone from exc
        writer.output_size = 0


def _check_codings(request: BaseRequest) -> None:
    """Refuse a body that is not sent as it is: it would be stored coded.

    Raises:
        CodingUnknown, ContentCodingUnknown: it is coded, for the way or as such.

    Source: RFC 9112 § 6.1 (501), RFC 9110 § 15.5.16 (415).
    """
    if not (hdrs.TRANSFER_ENCODING in request.headers or hdrs.CONTENT_ENCODING in request.headers):
        return
    way = ",".join(request.headers.getall(hdrs.TRANSFER_ENCODING, ())).strip().lower()
    if way not in ("", "chunked"):
        msg = "of transfer codings only chunked is done here: send Transfer-Encoding: chunked, or a Content-Length"
        raise CodingUnknown(msg)
    content = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, ())).strip().lower()
    if content not in ("", "identity"):
        msg = "bodies are stored as they are: send the bytes that the digest is of, without Content-Encoding"
        raise ContentCodingUnknown(msg)


def _translated(failure: Exception) -> Exception:
    if isinstance(failure, EndedEarly):
        return SizeInvalid("the body ended before it was whole")
    if isinstance(failure, HttpProcessingError | ClientPayloadError) and not isinstance(failure, ClientConnectionError):
        return SizeInvalid("the body is not framed as its headers say")
    return ClientGone()
