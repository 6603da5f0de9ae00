"""aiohttp's low-level server with our manners: what is no HTTP gets the specification's error body and no traceback."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from aiohttp import web

from moorage.http.errors import entry, respond
from moorage.http.responses import Response
from moorage.telemetry import get_log, request_id

_log = get_log("http")

_KEEPALIVE_S = 75.0
"""How long a connection may be idle, or take to send a request's head."""

_HEAD_LIMIT_BYTES = 64 << 10
"""For the request line and for each header: tokens are long."""

_READ_BUFFER_BYTES = 128 << 10
"""What is read ahead of a request's body; twice that pauses the client."""


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ("on_lost",)

    on_lost: Callable[[], None] | None
    """Whom to tell that the client is gone, while its socket is used past aiohttp (``http/sending``)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.on_lost = None
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, and tell whoever waits for the socket."""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def retire(self) -> bool:
        """Take no more requests: close now if none is being answered, else after it. Whether one is."""
        if self._current_request is None:
            self.force_close()
            return False
        self.keep_alive(False)
        return True

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
        if status < 500:  # noqa: PLR2004 - the border between theirs and ours
            body = entry("UNSUPPORTED", "the request is not well-formed HTTP/1.1")
        else:
            body = entry("UNKNOWN", "the registry made a mistake")
        response = respond(status, body)
        response.headers["Docker-Distribution-API-Version"] = "registry/2.0"
        response.headers["X-Request-Id"] = identity
        response.force_close()
        return cast("web.StreamResponse", response)


class ConnectionServer(web.Server):
    """Makes a :class:`Connection` for each client."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[Response]]) -> None:
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
            max_field_size=_HEAD_LIMIT_BYTES,
            auto_decompress=False,
            read_bufsize=_READ_BUFFER_BYTES,
        )


def _first_line(exc: BaseException | None) -> str:
    lines: Sequence[str] = str(exc).splitlines() if exc is not None else ()
    return lines[0][:200] if lines else ""
