"""Connections: aiohttp's low-level server with our limits; what is not HTTP gets the specification's error body.

How a connection answers one request after the other is in ``web/turns``.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import NamedTuple, cast
from weakref import WeakSet

from aiohttp import hdrs
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import TransferEncodingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import _ErrInfo
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import StreamResponse
from aiohttp.web_server import Server

from moorage.errors import HeadTooLarge, Refused, TooManyRequests
from moorage.telemetry import get_log, request_id
from moorage.web.diverted import DivertedBody, PlainWay, Way
from moorage.web.encrypted import BeginTLS, EncryptedTransport
from moorage.web.ends import EndedEarly, LastRequests
from moorage.web.errors import entry, render, respond
from moorage.web.head_sizes import field_bytes, head_bytes, is_for_its_head, unfinished_bytes
from moorage.web.known_heads import LENGTH_LIMIT_BYTES, KnownHeads, is_end_of_body, is_swift
from moorage.web.parsing import HEAD_LIMIT_BYTES, HEADERS_LIMIT, READ_BUFFER_BYTES, new_parser
from moorage.web.responses import SAFE_HEADERS, Response
from moorage.web.turns import Turns

_log = get_log("http")

_KEEPALIVE_S = 75.0
"""Seconds that a connection may be idle, or take to send a request's head."""

_HEADS_LIMIT_BYTES = 128 << 10
"""For all of a request's head together, and for the trailers of a body in chunks."""

_UNFINISHED_BYTES = 32 << 20
"""For all heads of a worker that have begun and are not whole."""

_ORDINARY_HEAD_BYTES = 16 << 10
"""A head of this size is taken whatever others send."""

_RETRY = timedelta(seconds=5)

_QUEUE_LIMIT = 4
"""Requests that a client may send ahead of their answers before it is made to wait: each holds its head."""

_LINGER_S = 2.0
"""Seconds for which all that a refused client still sends is thrown away, so that it sees the answer and no reset."""

_TLS_HANDSHAKE = b"\x16"
_PLAIN_BODY = b'{"errors":[{"code":"UNSUPPORTED","message":"this port speaks plain HTTP","detail":{}}]}'
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_PLAIN_BODY), _PLAIN_BODY)
)
"""For a client that speaks TLS: ``docker manifest`` goes on in plain HTTP once it has seen an answer in HTTP."""

_DIVERTED_BYTES = 512 << 10
"""A body with at least so many bytes to come is taken past the parser."""


class Connection(Turns):
    """One connection."""

    __slots__ = (
        "_diverted",
        "_dropped_bytes",
        "_is_between",
        "_receiving",
        "_server",
        "is_half_closed",
        "on_lost",
    )

    is_half_closed: bool
    """True if the client has said that it sends no more; it may still wait for answers."""

    on_lost: Callable[[], None] | None
    """Is called when the client is gone, while its socket is used past aiohttp (``web/lane``)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.on_lost = None
        self.is_half_closed = False
        self._is_between = True
        """True if aiohttp's parser keeps nothing: what comes next is the beginning of a request."""
        self._diverted: DivertedBody | None = None
        self._dropped_bytes = 0
        """Bytes to come of a body that nobody reads any more."""
        self._receiving: StreamReader = EMPTY_PAYLOAD
        self._server = cast("ConnectionServer", self._manager)
        self._max_msg_queue_size, self._msg_queue_resume_size = _QUEUE_LIMIT, _QUEUE_LIMIT // 2
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and bound the size of heads: aiohttp bounds each header, and not their sum."""
        if self._dropped_bytes and not (data := self._drop(data)):
            return
        known = self._server.heads.get(data) if self._is_between and len(data) <= LENGTH_LIMIT_BYTES else None
        if known is not None and self.can_begin:
            self._request_count += 1
            self.begin(known)
            return
        was_between = self._is_between
        self._is_between = was_between and not data  # Without, aiohttp only goes on with what it kept: here nothing.
        if not self._request_count and data.startswith(_TLS_HANDSHAKE):
            self._refuse_tls()
        elif not isinstance(self._messages, LastRequests):
            self._parse(data, was_between=was_between)

    def _parse(self, data: bytes, *, was_between: bool) -> None:
        body = self._receiving
        before = _Before(self._request_count, body.total_bytes, was_between, body.is_eof())
        waiter = self._waiter if was_between and self.can_begin else None
        if waiter is not None:
            self._waiter = None  # aiohttp is not to wake it for what is begun here.
        try:
            super().data_received(data)
        finally:
            if waiter is not None:
                self._waiter = waiter
        is_plain = not (self._close or self._force_close) and self._look_at(data, before)
        if waiter is None or waiter.done() or not self._messages:
            return
        if not self._close and len(self._messages) == 1 and is_swift(*self._messages[0], is_plain=is_plain):
            message, body = self._take()
            self.begin(cast("RawRequestMessage", message), body)
        else:
            waiter.set_result(None)

    def _look_at(self, data: bytes, before: "_Before") -> bool:
        """See what came of *data*; return whether it was one request, without a body."""
        count, is_plain = self._request_count - before.requests, False
        is_new, fed_bytes = count > 0, 0 if count else before.fed_bytes
        if is_new:
            self._receiving = self._messages[-1][1]
            if why := self._drop_large(count, self._head_bytes + len(data)):
                self._refuse_head(why)
                return False
            if before.was_between and count == 1:
                is_plain = self._is_between = self._server.heads.note(data, *self._messages[-1])
        came_bytes = self._receiving.total_bytes - fed_bytes
        if data and self._receiving is not EMPTY_PAYLOAD and self._receiving.is_eof():
            self._is_between = self._ends_body(data, came_bytes, before)
        if not is_new and not came_bytes:  # A part of a head, or of trailers: aiohttp keeps it.
            self._count_head(len(data))
        elif data:  # Without, aiohttp has only gone on with what it kept.
            self._count_head(
                unfinished_bytes(data, came_bytes, is_body=not self._receiving.is_eof()) - self._head_bytes
            )
        if self._head_bytes > _HEADS_LIMIT_BYTES:
            self._refuse_head(HeadTooLarge(_TOO_LARGE))
        elif self._head_bytes > _ORDINARY_HEAD_BYTES and self._server.unfinished_bytes > _UNFINISHED_BYTES:
            self._refuse_head(TooManyRequests(_TOO_MANY, retry_after=_RETRY))
        return is_plain

    def _ends_body(self, data: bytes, came_bytes: int, before: "_Before") -> bool:
        """Return whether a body has ended just where *data* does, so that aiohttp's parser keeps nothing."""
        if self._buffer_paused or self._upgraded or len(self._messages) > 1:
            return False
        count = self._request_count - before.requests
        if count == 0:
            return not before.had_ended and is_end_of_body(data, came_bytes)
        start = head_bytes(data) if count == 1 and before.was_between else 0
        return start > 0 and is_end_of_body(data, start + came_bytes)

    def _refuse_tls(self) -> None:
        _log.debug("a client speaks TLS to a port for plain HTTP")
        if self.transport is not None:
            self.transport.write(_PLAIN_ANSWER)
        self.force_close()

    def eof_received(self) -> bool | None:  # type: ignore[override]  # what asyncio's protocols may return
        """Go on until everything that was asked is answered: the client may have closed its sending half only."""
        if self.transport is None:
            return None
        waiter = self._waiter
        if not self._messages and waiter is not None and not waiter.done():
            return None
        self.is_half_closed = True
        self._lingering_time = 0.0
        if not self._receiving.is_eof():
            self._receiving.set_exception(EndedEarly())
        if self._messages:
            self._messages = LastRequests(self)
        else:
            self._close = True  # Not close(), which is for connections that wait.
        return True

    def divert(self, request: BaseRequest, piece_bytes: Callable[[], int]) -> DivertedBody | None:
        """Take the rest of a large body past the parser; None: it is not large, or this connection cannot.

        The part that has already come must have been read.
        """
        transport, content = self.transport, request.content
        if transport is None or content is not self._receiving:
            return None
        rest_bytes = (request.content_length or 0) - content.total_bytes
        is_plain = hdrs.TRANSFER_ENCODING not in request.headers and hdrs.UPGRADE not in request.headers
        if rest_bytes < _DIVERTED_BYTES or not is_plain or self._reading_paused or self._buffer_paused:
            return None
        try:
            lent = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        except OSError:  # There may be no descriptor left.
            return None
        way = _lend(transport)
        diverted = DivertedBody(lent, way, rest_bytes, piece_bytes=piece_bytes, on_end=self._diverted_ended)
        self._diverted = diverted
        return diverted

    def _diverted_ended(self, rest_bytes: int) -> None:
        """Go on with a parser that knows nothing of the body that it has not seen; first its rest is thrown away."""
        self._diverted = None
        if self.transport is None:
            return
        self._parser = new_parser(self, self._loop)
        self._is_between = True
        self._dropped_bytes = rest_bytes
        if not rest_bytes:
            self._receiving.feed_eof()
        self.transport.resume_reading()

    async def _drop_rest(self, body: StreamReader) -> None:
        """Do so also with a body that was diverted: whoever has taken of it is done."""
        if self._diverted is not None:
            self._diverted.end()
        await super()._drop_rest(body)

    def _drop(self, data: bytes) -> bytes:
        """Throw away what belongs to a body that nobody reads any more; return what is behind it."""
        count = min(self._dropped_bytes, len(data))
        self._dropped_bytes -= count
        if count and not self._dropped_bytes:
            self._receiving.feed_eof()
        return data[count:]

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and tell whoever waits for the socket."""
        super().connection_lost(exc)
        self._count_head(-self._head_bytes)
        if self.on_lost is not None:
            self.on_lost()
        if self._diverted is not None:
            self._diverted.cut()

    def log_exception(self, *args: object, **fields: object) -> None:
        """Log a mistake of ours. A client that leaves while the rest of its body is thrown away is none."""
        why = fields.get("exc_info")
        if isinstance(why, EndedEarly) or (self.transport is None and isinstance(why, RuntimeError | OSError)):
            _log.debug("a client has gone before its request was over")
            return
        super().log_exception(*args, **fields)

    def _count_head(self, more_bytes: int) -> None:
        self._head_bytes += more_bytes
        self._server.unfinished_bytes += more_bytes

    def _drop_large(self, count: int, came_bytes: int) -> BaseException | None:
        """Drop the first of the last *count* requests whose head is too large, with those behind it, and say why."""
        last = self._messages[-1][0]
        if isinstance(last, _ErrInfo) and is_for_its_head(last.exc):
            self._messages.pop()
            return last.exc
        for number in range(count, 0, -1) if came_bytes > _HEADS_LIMIT_BYTES else ():
            found = self._messages[-number][0]
            if not isinstance(found, _ErrInfo) and field_bytes(found.raw_headers) > _HEADS_LIMIT_BYTES:
                for _ in range(number):
                    self._messages.pop()
                self._receiving = EMPTY_PAYLOAD
                return HeadTooLarge(_TOO_LARGE)
        return None

    def _refuse_head(self, why: BaseException) -> None:
        """Refuse a request before it is whole, and throw away for a while what else comes."""
        if self._receiving.is_eof():
            self._request_count += 1
            refusal = _ErrInfo(status=431, exc=why, message="")
            # A body that never ends: as long as it is waited for, the client can read why it was refused.
            self._messages.append((refusal, StreamReader(self, READ_BUFFER_BYTES, loop=self._loop)))
            self._lingering_time = _LINGER_S
            self._messages = LastRequests(self)
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        else:
            self._receiving.set_exception(TransferEncodingError("the trailers are too large"))
            self._lingering_time = 0.0
            self._close = True

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        """Answer what could not be parsed, and close."""
        del message
        identity = request_id(None)
        fields = {"correlation_id": identity, "status": status, "remote": request.remote, "error": _first_line(exc)}
        _log.info("request is not HTTP", **fields)
        if request.writer.output_size > 0:
            msg = "the answer has begun"
            raise ConnectionError(msg)
        if isinstance(exc, Refused):
            response = render(exc)
        elif is_for_its_head(exc):
            response = render(HeadTooLarge(_TOO_LARGE))
        elif status < 500:  # noqa: PLR2004 - the border between theirs and ours
            response = respond(status, entry("UNSUPPORTED", "the request is not well-formed HTTP/1.1"))
        else:
            response = respond(status, entry("UNKNOWN", "the registry made a mistake"))
        response.headers.update(SAFE_HEADERS)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        response.request_id = identity
        response.force_close()
        return cast("StreamResponse", response)


class ConnectionServer(Server):
    """Makes a :class:`Connection` for each client."""

    def __init__(
        self, handler: Callable[[BaseRequest], Awaitable[Response]], begin_tls: BeginTLS | None = None
    ) -> None:
        """*begin_tls*: begins TLS on each connection; None: plain HTTP is spoken."""
        self._begin_tls = begin_tls
        self.unfinished_bytes = 0
        """Bytes that all connections hold of heads that are not whole."""
        self.heads = KnownHeads()
        self._encrypted: WeakSet[EncryptedTransport] = WeakSet()
        super().__init__(cast("Callable[[BaseRequest], Awaitable[StreamResponse]]", handler))

    @property
    def connections(self) -> list[Connection]:  # type: ignore[override]  # all of them are ours
        """The connections there are."""
        return cast("list[Connection]", super().connections)

    def retire(self, *, quiet_s: float = 0.0) -> int:
        """Have every connection take no more requests; return how many are still needed: see :meth:`Turns.retire`."""
        shaking = sum(encrypted.is_shaking for encrypted in self._encrypted) if quiet_s else 0
        return shaking + sum(connection.retire(quiet_s=quiet_s) for connection in self.connections)

    def __call__(self) -> asyncio.BaseProtocol:  # type: ignore[override]  # aiohttp gives it to the event loop only
        """Return the protocol of the connection that just came in."""
        connection = Connection(
            self,
            loop=self._loop,
            keepalive_timeout=_KEEPALIVE_S,
            access_log=None,  # type: ignore[arg-type]  # documented to switch it off; ours is written in web/application
            max_line_size=HEAD_LIMIT_BYTES,
            max_headers=HEADERS_LIMIT,
            max_field_size=HEAD_LIMIT_BYTES,
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
        )
        if self._begin_tls is None:
            return connection
        encrypted = EncryptedTransport(connection, self._begin_tls)
        self._encrypted.add(encrypted)
        return encrypted


class _Before(NamedTuple):
    """The state of a connection before something came."""

    requests: int
    """Those that had begun."""
    fed_bytes: int
    """Bytes of the last body."""
    was_between: bool
    had_ended: bool


_TOO_LARGE = (
    f"a request has at most {HEADERS_LIMIT} headers, {HEAD_LIMIT_BYTES >> 10} KiB in its first line and in each "
    f"header, and {_HEADS_LIMIT_BYTES >> 10} KiB in all of them together"
)
_TOO_MANY = "too many large heads are being sent at once, and there is room for ordinary ones only; try again"


def _lend(transport: asyncio.Transport) -> Way:
    if isinstance(transport, EncryptedTransport):
        return transport.lend()
    transport.pause_reading()
    return PlainWay()


def _first_line(exc: BaseException | None) -> str:
    lines: Sequence[str] = str(exc).splitlines() if exc is not None else ()
    return lines[0][:200] if lines else ""
