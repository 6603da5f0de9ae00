"""Answers, written to the connection in one piece: a third of the price of aiohttp's general response.

It is what aiohttp's low-level server asks of a response (``prepare``, ``write_eof``, ``keep_alive``) and no more:
no cookies, no compression, no chunks; every answer of a registry knows its length.
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus

from aiohttp.http import HttpVersion10
from aiohttp.web_request import BaseRequest

SANDBOX = "sandbox"
"""``Content-Security-Policy`` of every answer: a browser that shows it runs nothing of it, and not in our origin."""

SAFE_HEADERS: Mapping[str, str] = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": SANDBOX}
"""Headers that every answer of every server carries. Source: ADR 0028."""

_BROKEN = "a header holds a line break"
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_OK = 200
_WITHOUT_LENGTH = frozenset({204, 304})
"""Source: RFC 9110 § 8.6 (204), § 15.4.5 (304)."""


class Response:
    """A status, headers, and a body that is at hand.

    ``content_length`` is given where it is not that of ``body``: for HEAD, and where the bytes follow from a file.
    """

    __slots__ = ("_sent", "body", "content_length", "headers", "keep_alive", "request_id", "status")

    def __init__(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        content_length: int | None = None,
    ) -> None:
        self.status = status
        self.headers: dict[str, str] = {} if headers is None else headers
        self.body = body
        self.content_length = len(body) if content_length is None else content_length
        self.keep_alive: bool | None = None
        self.request_id = ""
        """The value of ``X-Request-Id``; empty: there is none. Not among the headers, as it is always another."""
        self._sent = False

    @property
    def prepared(self) -> bool:
        """Return whether the head is out, so that nothing can be changed any more."""
        return self._sent

    def force_close(self) -> None:
        """Close the connection after this answer."""
        self.keep_alive = False

    async def prepare(self, request: BaseRequest) -> None:
        """Write the head, and the body if this is not the answer to a HEAD.

        Raises:
            ConnectionError: the client is gone.
            ValueError: a header would break out of its line.
        """
        if self._sent:
            return
        transport = request.transport
        if transport is None or transport.is_closing():
            msg = "the client is gone"
            raise ConnectionResetError(msg)
        head = self.take_head(request)
        transport.write(head + self.body if self.body and request.method != "HEAD" else head)
        if request.protocol.writing_paused:
            await request.writer.drain()

    def take_head(self, request: BaseRequest) -> bytes:
        """The head, for a caller that writes it to the connection now; afterwards nothing can be changed any more.

        Raises:
            ValueError: a header would break out of its line.
        """
        self._sent = True
        if self.keep_alive is None:
            self.keep_alive = request.keep_alive and not getattr(request.protocol, "is_retired", False)
        head = self._head(request)
        request.writer.output_size += len(head)  # aiohttp asks it whether an answer has begun.
        return head

    async def write_eof(self) -> None:
        """Nothing is left to write."""

    def _head(self, request: BaseRequest) -> bytes:
        # What is found goes out again and again; a redirect is another one each time, and not to be remembered.
        written = _remembered_lines if self.status == _OK else _lines
        head = written(self.status, self.content_length, tuple(self.headers.items()))
        last = f"{_date()}\r\n"
        if self.request_id:
            last = f"X-Request-Id: {_checked(self.request_id)}\r\n{last}"
        if not self.keep_alive:
            last = f"{last}Connection: close\r\n"
        elif request.version == HttpVersion10:
            last = f"{last}Connection: keep-alive\r\n"
        return b"%b%b\r\n" % (head, last.encode("utf-8", "backslashreplace"))


def _lines(status: int, content_length: int, headers: tuple[tuple[str, str], ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    if status not in _WITHOUT_LENGTH:
        lines.append(f"Content-Length: {content_length}\r\n")
    text = "".join(lines)
    if not text.count("\n") == text.count("\r") == len(lines):
        raise ValueError(_BROKEN)
    return text.encode("utf-8", "backslashreplace")


_remembered_lines = lru_cache(maxsize=256)(_lines)


def _checked(line: str) -> str:
    if "\n" in line or "\r" in line:
        raise ValueError(_BROKEN)
    return line


class _Clock:
    """The ``Date`` header, made once a second."""

    second = 0
    line = ""


def _date() -> str:
    now = int(time.time())
    if now != _Clock.second:
        # Not strftime: the names of days and months must not follow the locale.
        moment = time.gmtime(now)
        day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.tm_wday]
        month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][moment.tm_mon - 1]
        hour = f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d}"
        _Clock.second, _Clock.line = now, f"Date: {day}, {moment.tm_mday:02d} {month} {moment.tm_year} {hour} GMT"
    return _Clock.line
