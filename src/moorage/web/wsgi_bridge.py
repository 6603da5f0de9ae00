"""WSGI applications behind our own connections: their threads never wait for a client.

The whole of a small request is read first, then the application is called in one of a bounded number of threads, and
its whole answer is written by the event loop: a client that sends or reads slowly holds a connection and no thread. A
large answer is in a file meanwhile, so that an export takes no memory.
"""

import asyncio
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp.web_request import BaseRequest

from moorage.auth.access import Grant
from moorage.auth.addresses import Proxies
from moorage.errors import BodyTooLarge, TooManyRequests
from moorage.telemetry import get_log, request_id
from moorage.web.access_log import AccessLog
from moorage.web.application import WebApplication
from moorage.web.bodies import Bodies
from moorage.web.ranges import Piece
from moorage.web.request import Request, split_target
from moorage.web.responses import Response
from moorage.web.sending import send_file
from moorage.web.spooling import SpooledBody

ACTOR_KEY = "moorage.actor"
"""Key of the environment by which an application tells who asked, for the access log: a name and a kind."""
AFTERWARDS_KEY = "moorage.afterwards"
"""Key of a list: what an application puts there is called in a thread once the answer is on its way.

So how long it takes tells a stranger nothing. It is lost if the process ends before.
"""
RAW_PATH_KEY = "RAW_URI"
"""Key that has the target as it was sent, by gunicorn's name."""
BODY_LIMIT_BYTES = 1 << 20

_WAITING_FACTOR = 16
"""Times the threads: so many requests may wait for one; the next are refused."""
_RETRY = timedelta(seconds=2)
_AFTERWARDS_S = 0.02
"""Seconds that an answer has to leave before anything else is done in the same process."""
_SECRET_WORDS = ("token", "secret", "password", "code", "key")
"""Parameters of a query whose name has one of these are not logged."""

Environment = dict[str, Any]
WSGICallable = Callable[[Environment, Callable[..., object]], Iterable[bytes]]

_log = get_log("control")


class WSGIApplication(WebApplication[Request]):
    """Answers requests by a WSGI application."""

    def __init__(
        self,
        application: WSGICallable,
        *,
        access_log: AccessLog,
        threads: int,
        proxies: Sequence[str] = (),
        is_https: bool = False,
    ) -> None:
        """*proxies*: networks that are believed about whose request it is; *is_https*: clients come by HTTPS."""
        super().__init__("the control plane", log=_log, access_log=access_log)
        self._application = application
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._limit = threads * (1 + _WAITING_FACTOR)
        self._inside = 0
        self._bodies = Bodies()
        self._proxies = Proxies(proxies)
        self._is_https = is_https

    def begin(self, request: BaseRequest) -> Request:
        """Parse a request's path and id."""
        path, query = split_target(request.raw_path)
        identity = request_id(request.headers.get("X-Request-Id"))
        return Request(request, identity, path, query, common={}, proxies=self._proxies)

    async def answer(self, asked: Request, /) -> Response:
        """Read the whole request, and have it answered in a thread.

        Raises:
            BodyTooLarge: its body is larger than is taken.
            TooManyRequests: too many wait already.
        """
        if self._inside >= self._limit:
            msg = "too many requests are being answered now; try again in a moment"
            raise TooManyRequests(msg, retry_after=_RETRY)
        body = await self._bodies.whole(asked.request, check_size=_check_size)
        environment = self._environment(asked, body)
        self._inside += 1
        try:
            loop = asyncio.get_running_loop()
            response = await loop.run_in_executor(self._threads, _called, self._application, environment)
        finally:
            self._inside -= 1
        if response.spooled is not None:
            with response.spooled as spooled:
                await send_file(asked.request, response, spooled, [Piece(b"", (0, spooled.size_bytes))])
        if environment[AFTERWARDS_KEY]:
            self._inside += 1  # Who asks faster than this can be done is to be sent away.
            loop.call_later(_AFTERWARDS_S, self._do_afterwards, environment[AFTERWARDS_KEY])
        actor = environment.get(ACTOR_KEY)
        if actor is not None:
            asked.grant = Grant(actor=actor[0], accesses=None, actor_type=actor[1])
        return response

    def logged_target(self, asked: Request, /) -> str:
        """The target without what may be secret."""
        query = split_target(asked.request.raw_path)[1]
        parts = [part for part in query.split("&") if part]
        kept = "&".join(part for part in parts if not any(word in _name_of(part) for word in _SECRET_WORDS))
        return f"{asked.path}?{kept}" if kept else asked.path

    def close(self) -> None:
        """Let the threads end, and write what is left of the access log."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        super().close()

    def _do_afterwards(self, calls: Sequence[Callable[[], object]]) -> None:
        try:
            doing = asyncio.get_running_loop().run_in_executor(self._threads, _do, calls)
        except RuntimeError:  # The threads have ended.
            return
        doing.add_done_callback(self._is_done)

    def _is_done(self, doing: "asyncio.Future[None]") -> None:
        self._inside -= 1
        if not doing.cancelled() and (exc := doing.exception()) is not None:
            _log.error("what was to be done after an answer failed", exc_info=exc)

    def _environment(self, asked: Request, body: bytes) -> Environment:
        request = asked.request
        host, _, port = request.headers.get("Host", "").rpartition(":")
        environment: Environment = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(asked.path).decode("latin-1"),
            "QUERY_STRING": split_target(request.raw_path)[1],
            RAW_PATH_KEY: request.raw_path,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": host or "localhost",
            "SERVER_PORT": port if port.isascii() and port.isdecimal() else "80",
            "SERVER_PROTOCOL": f"HTTP/{request.version.major}.{request.version.minor}",
            "REMOTE_ADDR": asked.address,
            AFTERWARDS_KEY: [],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if self._is_https else "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": _Errors(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            if "_" in name:  # It would pass for another header. Source: Django's own server.
                continue
            key = name.upper().replace("-", "_")
            if key == "CONTENT_TYPE":
                environment[key] = value
            elif key != "CONTENT_LENGTH":
                key, joint = f"HTTP_{key}", "; " if key == "COOKIE" else ","
                environment[key] = f"{environment[key]}{joint}{value}" if key in environment else value
        environment["HTTP_X_REQUEST_ID"] = asked.id
        return environment


class _Answer(Response):
    """An answer that may set several cookies."""

    __slots__ = ("cookies", "spooled")

    def __init__(self, status: int, headers: dict[str, str], body: bytes, cookies: Sequence[str]) -> None:
        super().__init__(status, headers, body)
        self.cookies = cookies
        self.spooled: SpooledBody | None = None
        """The body, if it is too large to be held."""

    def _head(self, request: BaseRequest) -> bytes:
        lines = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in self.cookies)
        if lines.count("\n") != len(self.cookies) or lines.count("\r") != len(self.cookies):
            msg = "a cookie holds a line break"
            raise ValueError(msg)
        return super()._head(request)[:-2] + lines.encode("latin-1", "backslashreplace") + b"\r\n"


class _Errors(io.TextIOBase):
    """Whatever an application writes of its mistakes, to the log."""

    def write(self, text: str) -> int:
        """Log a text."""
        if text.strip():
            _log.error("the application says", text=text.strip()[:2000])
        return len(text)


def _do(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _called(application: WSGICallable, environment: Environment) -> _Answer:
    """Call *application* and gather its whole answer; in a thread."""
    begun: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        del exc_info
        begun[:] = [(int(status.partition(" ")[0]), headers)]
        return lambda piece: body.extend([piece])

    body = SpooledBody()
    try:
        result = application(environment, start_response)
        try:
            body.extend(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return _answered(*begun[0], body, is_head=environment["REQUEST_METHOD"] == "HEAD")
    except BaseException:
        body.close()
        raise


def _answered(status: int, given: list[tuple[str, str]], body: SpooledBody, *, is_head: bool) -> _Answer:
    headers: dict[str, str] = {}
    for name, value in given:
        if name.lower() not in ("set-cookie", "content-length", "connection"):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    cookies = [value for name, value in given if name.lower() == "set-cookie"]
    held = body.in_memory
    answer = _Answer(status, headers, held or b"", cookies)
    answer.content_length = body.size_bytes
    if is_head:
        lengths = [value for name, value in given if name.lower() == "content-length"]
        answer.content_length = int(lengths[0]) if lengths else body.size_bytes
    if held is not None or is_head:
        body.close()
    else:
        answer.spooled = body
    return answer


def _check_size(size_bytes: int) -> None:
    if size_bytes > BODY_LIMIT_BYTES:
        msg = f"a request to the control plane has at most {BODY_LIMIT_BYTES >> 20} MiB"
        raise BodyTooLarge(msg)


def _name_of(part: str) -> str:
    return part.partition("=")[0].lower()
