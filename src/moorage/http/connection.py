"""aiohttp's low-level server with our manners: what is no HTTP gets the specification's error body and no traceback."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, cast

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http_exceptions import LineTooLong, TransferEncodingError
from aiohttp.web_protocol import _ErrInfo

from moorage.http.errors import entry, respond
from moorage.http.responses import Response
from moorage.telemetry import get_log, request_id

_log = get_log("http")

_KEEPALIVE_S = 75.0
"""How long a connection may be idle, or take to send a request's head."""

_HEAD_LIMIT_BYTES = 64 << 10
"""For the request line and for each header: tokens are long."""

_HEADS_LIMIT_BYTES = 128 << 10
"""For all of a request's head together, and for the trailers of a body in chunks."""

_HEADERS_LIMIT = 128

_UNFINISHED_BYTES = 32 << 20
"""For all heads of a worker that have begun and are not whole."""

_ORDINARY_HEAD_BYTES = 16 << 10
"""A head of this size is taken whatever others send."""

_RETRY_AFTER_S = 5

_QUEUE_LIMIT = 4
"""Requests that a client may send ahead of their answers before it is made to wait: each holds its head."""

_LINGER_S = 2.0
"""How long what a refused client goes on sending is thrown away, so that it sees the answer and no reset."""

_TLS_HANDSHAKE = b"\x16"

_READ_BUFFER_BYTES = 128 << 10
"""What is read ahead of a request's body; twice that pauses the client."""


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_head_bytes", "_receiving", "_server", "is_half_closed", "on_lost")

    is_half_closed: bool
    """Whether the client has said that it sends no more; it may still wait for answers."""

    on_lost: Callable[[], None] | None
    """Whom to tell that the client is gone, while its socket is used past aiohttp (``http/sending``)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.on_lost = None
        self.is_half_closed = False
        self._head_bytes = 0
        self._receiving: StreamReader = EMPTY_PAYLOAD
        self._server = cast("ConnectionServer", self._manager)
        self._max_msg_queue_size, self._msg_queue_resume_size = _QUEUE_LIMIT, _QUEUE_LIMIT // 2
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see that heads stay small: aiohttp bounds each header, and not their sum."""
        count, receiving = self._request_count, self._receiving
        total_bytes = receiving.total_bytes
        if not count and data.startswith(_TLS_HANDSHAKE):
            _log.debug("a client speaks TLS to a port for plain HTTP")
            self.force_close()
            return
        super().data_received(data)
        if self._request_count != count:
            if self._head_bytes:
                self._count_head(-self._head_bytes)
            if self._messages:
                self._receiving = self._messages[-1][1]
                self._look_at_heads(len(data))
        elif receiving.total_bytes != total_bytes:
            if self._head_bytes:
                self._count_head(-self._head_bytes)
        elif not self._close:  # A part of a head, or of trailers: aiohttp keeps it.
            self._count_head(len(data))
            if self._head_bytes > _HEADS_LIMIT_BYTES:
                self._refuse_head(HeadTooLarge())
            elif self._head_bytes > _ORDINARY_HEAD_BYTES and self._server.unfinished_bytes > _UNFINISHED_BYTES:
                self._refuse_head(HeadsTooMany())

    def eof_received(self) -> bool | None:  # type: ignore[override]  # what asyncio's protocols may return
        """Go on until everything that was asked is answered: the client may have closed its sending half only."""
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return None  # The event loop cannot keep one half of TLS.
        waiter = self._waiter
        if not self._messages and waiter is not None and not waiter.done():
            return None
        self.is_half_closed = True
        self._lingering_time = 0.0
        if not self._receiving.is_eof():
            self._receiving.set_exception(EndedEarly())
        if self._messages:
            self._messages = _Last(self)
        else:
            self._close = True  # Not close(), which is for connections that wait.
        return True

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and tell whoever waits for the socket."""
        super().connection_lost(exc)
        self._count_head(-self._head_bytes)
        if self.on_lost is not None:
            self.on_lost()

    def retire(self) -> bool:
        """Take no more requests: close now if none is being answered, else after it. Whether one is."""
        if self._current_request is None:
            self.force_close()
            return False
        self.keep_alive(False)
        return True

    def _count_head(self, more_bytes: int) -> None:
        self._head_bytes += more_bytes
        self._server.unfinished_bytes += more_bytes

    def _look_at_heads(self, came_bytes: int) -> None:
        """Refuse requests whose head came at once and is too large."""
        last = self._messages[-1][0]
        if isinstance(last, _ErrInfo) and _is_large(last.exc):
            self._messages.pop()
            self._refuse_head(last.exc)
        elif came_bytes > _HEADS_LIMIT_BYTES and not isinstance(last, _ErrInfo):
            size = sum(len(name) + len(value) for name, value in last.raw_headers)
            if size > _HEADS_LIMIT_BYTES:
                self._messages.pop()
                self._receiving = EMPTY_PAYLOAD
                self._refuse_head(HeadTooLarge())

    def _refuse_head(self, why: BaseException) -> None:
        """Refuse a request before it is whole; what else comes is thrown away for a while."""
        if self._receiving.is_eof():
            self._request_count += 1
            refusal = _ErrInfo(status=431, exc=why, message="")
            # A body that never ends: as long as it is waited for, the client can read why it was refused.
            self._messages.append((refusal, StreamReader(self, _READ_BUFFER_BYTES, loop=self._loop)))
            self._lingering_time = _LINGER_S
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
        else:
            self._receiving.set_exception(TransferEncodingError("the trailers are too large"))
            self._lingering_time = 0.0
        self._close = True

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and close."""
        del message
        identity = request_id(None)
        fields = {"correlation_id": identity, "status": status, "remote": request.remote, "error": _first_line(exc)}
        _log.info("request is not HTTP", **fields)
        if request.writer.output_size > 0:
            msg = "the answer has begun"
            raise ConnectionError(msg)
        if isinstance(exc, HeadsTooMany):
            status, body = 429, entry("TOOMANYREQUESTS", "too many large heads are being sent at once; try again")
        elif _is_large(exc):
            status, body = 431, entry("UNSUPPORTED", _TOO_LARGE)
        elif status < 500:  # noqa: PLR2004 - the border between theirs and ours
            body = entry("UNSUPPORTED", "the request is not well-formed HTTP/1.1")
        else:
            body = entry("UNKNOWN", "the registry made a mistake")
        response = respond(status, body)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        response.headers["X-Request-Id"] = identity
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        response.force_close()
        return cast("web.StreamResponse", response)


class ConnectionServer(web.Server):
    """Makes a :class:`Connection` for each client."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[Response]]) -> None:
        self.unfinished_bytes = 0
        """What all connections hold of heads that are not whole."""
        super().__init__(cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler))

    @property
    def connections(self) -> list[Connection]:  # type: ignore[override]  # all of them are ours
        """The connections there are."""
        return cast("list[Connection]", super().connections)

    def retire(self) -> int:
        """Have every connection take no more requests; how many are still answering one."""
        return sum(connection.retire() for connection in self.connections)

    def __call__(self) -> web.RequestHandler:
        """A handler for the connection that just came in."""
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=_KEEPALIVE_S,
            access_log=None,  # type: ignore[arg-type]  # documented to switch it off; ours is written in http/app
            max_line_size=_HEAD_LIMIT_BYTES,
            max_headers=_HEADERS_LIMIT,
            max_field_size=_HEAD_LIMIT_BYTES,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )


_TOO_LARGE = (
    f"a request has at most {_HEADERS_LIMIT} headers, {_HEAD_LIMIT_BYTES >> 10} KiB in its first line and in each "
    f"header, and {_HEADS_LIMIT_BYTES >> 10} KiB in all of them together"
)


class EndedEarly(Exception):
    """The client closed its sending half before its body was whole; it may still read an answer."""


class HeadTooLarge(Exception):
    """All headers of a request together are larger than is taken."""


class HeadsTooMany(Exception):
    """Others send so many unfinished heads that there is room for ordinary ones only."""


class _Last(deque[Any]):
    """The requests that a client sent before it closed its sending half: after the last one the connection ends."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection._messages)  # noqa: SLF001 - a part of it
        self._connection = connection

    def popleft(self) -> object:
        """Take the next one."""
        taken = super().popleft()
        if not self:
            self._connection._close = True  # noqa: SLF001 - a part of it
        return taken


def _is_large(exc: BaseException | None) -> bool:
    """Whether aiohttp, or we, refused a request for the size of its head."""
    return isinstance(exc, LineTooLong | HeadTooLarge) or "Too many headers" in str(exc)


def _first_line(exc: BaseException | None) -> str:
    lines: Sequence[str] = str(exc).splitlines() if exc is not None else ()
    return lines[0][:200] if lines else ""
