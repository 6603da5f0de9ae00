"""Request bodies, in pieces that are worth a system call."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11
from aiohttp.http_exceptions import HttpProcessingError

from moorage.errors import SizeInvalid

_PIECE_BYTES = 1 << 20
"""What is gathered of an upload before it is hashed and written, while few uploads run."""

_PIECE_MIN_BYTES = 64 << 10

_GATHER_BUDGET_BYTES = 12 << 20
"""What all uploads of a worker gather together."""

STALL_S = 300.0
"""A body that brings nothing, or a client that takes nothing, for so long is given up."""


class ClientGone(Exception):
    """The client hung up, or stalled, before its body was whole."""


class Bodies:
    """Request bodies of one worker, which share a budget of memory."""

    def __init__(self) -> None:
        self._active = 0

    async def chunks(self, request: web.BaseRequest) -> AsyncIterator[bytearray]:
        """The body in pieces of up to 1 MiB; smaller ones while many uploads share the memory.

        What came before the client hung up is yielded before the error is raised, so that it can resume there.

        Raises:
            ClientGone: the client hung up or stalled.
            SizeInvalid: the body's framing is broken.
        """
        await _continue(request)
        self._active += 1
        try:
            gathered = bytearray()
            failure: Exception | None = None
            content = request.content
            while failure is None and not content.at_eof():
                if request.transport is None:
                    # Lost before this request had begun: aiohttp tells the reader only of what happens later.
                    gathered += content.read_nowait()
                    failure = ConnectionResetError()
                    break
                try:
                    async with asyncio.timeout(STALL_S):
                        gathered += await content.readany()
                except (aiohttp.ClientError, HttpProcessingError, ConnectionError, TimeoutError) as exc:
                    failure = exc
                if len(gathered) >= self._piece_bytes():
                    yield gathered
                    gathered = bytearray()
            if gathered:
                yield gathered
            if failure is not None:
                raise _translated(failure) from failure
        finally:
            self._active -= 1

    async def whole(self, request: web.BaseRequest, *, check_size: Callable[[int], None]) -> bytes:
        """A small body. *check_size* is asked about the bytes so far and ends it by raising; the rest is not read.

        Raises:
            ClientGone, SizeInvalid: as for :meth:`chunks`.
        """
        body = bytearray()
        async for chunk in self.chunks(request):
            body += chunk
            check_size(len(body))
        return bytes(body)

    def _piece_bytes(self) -> int:
        return max(_PIECE_MIN_BYTES, min(_PIECE_BYTES, _GATHER_BUDGET_BYTES // self._active))


async def _continue(request: web.BaseRequest) -> None:
    """Tell a client that waits for it (``Expect: 100-continue``) that its body is wanted."""
    # What else it expects is passed over: to refuse it would end a push that can go on.
    expected = ",".join(request.headers.getall(hdrs.EXPECT, ())).lower().split(",")
    if any(item.strip() == "100-continue" for item in expected) and request.version >= HttpVersion11:
        writer = request.writer
        await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer.output_size = 0


def _translated(failure: Exception) -> Exception:
    if isinstance(failure, HttpProcessingError | aiohttp.ClientPayloadError) and not isinstance(
        failure, aiohttp.ClientConnectionError
    ):
        return SizeInvalid("the body is not framed as its headers say")
    return ClientGone()
