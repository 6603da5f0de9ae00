"""A front of a registry in this process that passes requests on, and does wrong what it is told to."""

import contextlib
import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from support.threaded_server import Quiet, ThreadedServer


@dataclass(kw_only=True)
class FrontFault:
    """What goes wrong with requests of a method whose path has a part in it, so many times."""

    method: str
    part: str
    times: int = 1
    status: int = 0
    """Answered in place of the registry; 0: the registry answers."""
    headers: dict[str, str] = field(default_factory=dict)
    cut_answer_at: int | None = None
    """Only so many bytes of the answer's body are passed on, then the connection ends."""
    cut_request_at: int | None = None
    """Only so many bytes of the request's body are passed on, then the connection ends without an answer."""
    loses_answer: bool = False
    """The registry does it, and the connection ends without an answer."""
    body: bytes | None = None
    """The answer's body in place of the registry's."""
    meanwhile: Callable[[], object] | None = None
    """Is called before the registry is asked."""
    without: str = ""
    """Headers, with commas, that the registry does not get, as one that does not know them."""
    hides: str = ""
    """A header of the answer that is not passed on."""
    afterwards: Callable[[], object] | None = None
    """Is called when the registry has answered, before the answer is passed on."""
    hangs: threading.Event | None = None
    """With ``cut_answer_at``: the connection stays until this is set."""


class FaultyFront(ThreadedServer):
    """``with FaultyFront(registry.address) as front:`` serves at ``front.address``."""

    def __init__(self, behind: str) -> None:
        self.faults: list[FrontFault] = []
        self.passed: list[tuple[str, str, dict[str, str]]] = []
        """Method, target and headers of all that came."""
        self.reached = threading.Event()
        """Set once a fault has done what it does."""
        self._turn = threading.Lock()
        front = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                front._handle(self, behind)

        for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        super().__init__(Handler, is_quiet=True)

    def seen(self, method: str, part: str) -> list[dict[str, str]]:
        """The headers of the requests of a method whose target has a part in it."""
        return [headers for seen, target, headers in self.passed if seen == method and part in target]

    def _fault(self, method: str, target: str) -> FrontFault | None:
        with self._turn:
            for fault in self.faults:
                if fault.times and fault.method == method and fault.part in target:
                    fault.times -= 1
                    return fault
        return None

    def _handle(self, asked: BaseHTTPRequestHandler, behind: str) -> None:
        self.passed.append((asked.command, asked.path, {name.lower(): text for name, text in asked.headers.items()}))
        fault = self._fault(asked.command, asked.path) or FrontFault(method="", part="")
        if fault.status:
            # At once, as a server that has no room for it; what was sent is read, or the answer would be lost with it.
            asked.close_connection = True
            self._answer(asked, fault.status, {**fault.headers, "Connection": "close"}, fault.body or b"")
            with contextlib.suppress(OSError):
                asked.rfile.read(int(asked.headers.get("Content-Length", "0")))
            self.reached.set()
            return
        length = int(asked.headers.get("Content-Length", "0"))
        body = asked.rfile.read(length if fault.cut_request_at is None else fault.cut_request_at)
        dropped = ("content-length", *fault.without.lower().split(", "))
        headers = {name: text for name, text in asked.headers.items() if name.lower() not in dropped}
        if fault.meanwhile is not None:
            fault.meanwhile()
        if fault.cut_request_at is not None:
            headers.pop("Content-Range", None)
        connection = http.client.HTTPConnection(behind, timeout=30)
        try:
            connection.request(asked.command, asked.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if fault.afterwards is not None:
            fault.afterwards()
        if fault.cut_request_at is not None or fault.loses_answer:
            asked.close_connection = True
            self.reached.set()
            return
        shown = {
            name: text
            for name, text in answer.getheaders()
            if name.lower() not in ("connection", "date", fault.hides.lower())
        }
        content = content if fault.body is None else fault.body
        if asked.command != "HEAD":
            shown["Content-Length"] = str(len(content))
        if fault.cut_answer_at is not None:
            content = content[: fault.cut_answer_at]
            asked.close_connection = True
        self._answer(asked, answer.status, shown, content)
        if fault.cut_answer_at is not None:
            self.reached.set()
        if fault.hangs is not None:
            fault.hangs.wait(60)

    @staticmethod
    def _answer(asked: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes) -> None:
        asked.send_response_only(status)
        for name, text in {"Content-Length": str(len(content)), **headers}.items():
            asked.send_header(name, text)
        asked.end_headers()
        if asked.command != "HEAD":
            asked.wfile.write(content)
        asked.wfile.flush()
