"""A proxy before an object store that counts requests by their kind and does wrong what it is told to."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qs, urlsplit

from support.loopback_server import LoopbackServer

HANG_S = 60.0


class Fault(Enum):
    """Ways of going wrong."""

    SLOW_DOWN = auto()
    """503 SlowDown; nothing is done."""
    HANG = auto()
    """Nothing is done and nothing is said, until the client gives up."""
    CUT = auto()
    """The connection ends in the middle of the body."""
    ERROR_IN_200 = auto()
    """200, with an error in the body; nothing is done."""
    LOST = auto()
    """It is done, and the connection ends before the answer."""
    DROP = auto()
    """The connection ends before anything is done."""
    SKEWED = auto()
    """403 RequestTimeTooSkewed; nothing is done."""
    UNKNOWN = auto()
    """501 NotImplemented; nothing is done."""
    DENIED = auto()
    """403 AccessDenied; nothing is done."""
    EXPIRED = auto()
    """400 ExpiredToken; nothing is done."""
    PAGE = auto()
    """200 with a page, as a proxy has for people while the store is in maintenance; nothing is done."""
    UNSIZED = auto()
    """It is passed on, and the answer does not say how many bytes there are."""
    HELD = auto()
    """503 SlowDown, once ``released`` is set; nothing is done."""


_ERRORS = {
    Fault.SLOW_DOWN: (503, "SlowDown"),
    Fault.HELD: (503, "SlowDown"),
    Fault.ERROR_IN_200: (200, "InternalError"),
    Fault.SKEWED: (403, "RequestTimeTooSkewed"),
    Fault.UNKNOWN: (501, "NotImplemented"),
    Fault.EXPIRED: (400, "ExpiredToken"),
    Fault.DENIED: (403, "AccessDenied"),
}


_PAGE = b"<html><body>We are back soon.</body></html>"


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that came by."""

    kind: str
    method: str
    target: str
    headers: dict[str, str]


@dataclass(slots=True)
class Plan:
    """A fault for the next *times* requests of *kind*."""

    fault: Fault
    kind: str
    times: int


class FaultProxy(LoopbackServer):
    """Passes requests on to *upstream* (host and port)."""

    def __init__(self, upstream: str, *, kind_of: Callable[[str, str, dict[str, str]], str] | None = None) -> None:
        super().__init__()
        self.requests: list[Passed] = []
        self._upstream = upstream
        self._kind_of = kind_of or s3_kind
        self._plans: list[Plan] = []
        self.held, self.released = asyncio.Event(), asyncio.Event()

    @property
    def counts(self) -> Counter[str]:
        """How many requests of each kind came."""
        return Counter(passed.kind for passed in self.requests)

    def fail(self, kind: str, fault: Fault, *, times: int = 1) -> None:
        """Do the next *times* requests of *kind* wrong."""
        self._plans.append(Plan(fault, kind, times))

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await self._one(reader, writer):
            pass

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        raw = await reader.readuntil(b"\r\n\r\n")
        method, target, headers = _head(raw)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        kind = self._kind_of(method, target, headers)
        self.requests.append(Passed(kind, method, target, headers))
        fault = self._fault(kind)
        if fault is Fault.HANG:
            await reader.read(1)
            return False
        if fault is Fault.DROP:
            return False
        if fault is Fault.HELD:
            self.held.set()
            await self.released.wait()
        if fault is Fault.PAGE:
            head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(_PAGE)}\r\n\r\n"
            writer.write(head.encode() + (b"" if method == "HEAD" else _PAGE))
            await writer.drain()
            return True
        if fault in _ERRORS:
            status, code = _ERRORS[fault]
            said = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as planned</Message></Error>".encode()
            date = "Thu, 29 Nov 2001 12:00:00 GMT"  # Far from the time of any run.
            head = f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Length: {len(said)}\r\n\r\n"
            writer.write(head.encode() + (b"" if method == "HEAD" else said))
            await writer.drain()
            return True
        return await self._pass_on(raw + body, method, writer, fault)

    async def _pass_on(self, request: bytes, method: str, writer: asyncio.StreamWriter, fault: Fault | None) -> bool:
        host, _, port = self._upstream.partition(":")
        reader, upstream = await asyncio.open_connection(host, int(port), limit=1 << 20)
        try:
            upstream.write(request)
            await upstream.drain()
            raw = await reader.readuntil(b"\r\n\r\n")
            _, _, headers = _head(raw)
            is_empty = method == "HEAD" or raw.split(b" ")[1] in (b"204", b"304")
            if "content-length" in headers or is_empty:
                body = b"" if is_empty else await reader.readexactly(int(headers["content-length"]))
            else:
                body = await _chunked(reader)
            if fault is Fault.LOST:
                return False
            if fault is Fault.UNSIZED:
                raw = _without(raw, b"content-length")
            writer.write(raw + (body[: len(body) // 2] if fault is Fault.CUT else body))
            await writer.drain()
            return fault is None
        finally:
            upstream.close()

    def _fault(self, kind: str) -> Fault | None:
        for plan in self._plans:
            if plan.kind == kind and plan.times > 0:
                plan.times -= 1
                return plan.fault
        return None


def s3_kind(method: str, target: str, headers: dict[str, str]) -> str:
    """Return S3's name of a request."""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    is_copy = "x-amz-copy-source" in headers
    for name, kinds in (
        ("partNumber", {"PUT": "UploadPartCopy" if is_copy else "UploadPart"}),
        ("uploadId", {"POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}),
        ("uploads", {"POST": "CreateMultipartUpload", "GET": "ListMultipartUploads"}),
        ("delete", {"POST": "DeleteObjects"}),
        ("list-type", {"GET": "ListObjectsV2"}),
    ):
        if name in query and method in kinds:
            return kinds[method]
    return {
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "PUT": "CopyObject" if is_copy else "PutObject",
        "DELETE": "DeleteObject",
    }.get(method, method)


def _head(raw: bytes) -> tuple[str, str, dict[str, str]]:
    lines = raw.decode("latin-1").split("\r\n")
    first = lines[0].split(" ")
    return first[0], first[1], {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:] if line)}


def _without(raw: bytes, name: bytes) -> bytes:
    """A head without one of its headers."""
    return b"\r\n".join(line for line in raw.split(b"\r\n") if not line.lower().startswith(name + b":"))


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks, as it was sent."""
    found = b""
    while True:
        line = await reader.readline()
        chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
        found += line + chunk
        if len(chunk) == len(b"\r\n"):
            return found
