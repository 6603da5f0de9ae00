"""A receiver of notifications on loopback that can do all that receivers do wrong."""

import contextlib
import http.server
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Self

from support.ports import free_port

DEADLINE_S = 60.0

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that came."""

    path: str
    method: str
    headers: Message
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver does with a request."""

    status: int = 200
    location: str = ""
    body: bytes = b"ok"
    hangs: bool = False
    """Never answers, until it ends."""
    resets: bool = False
    """Ends the connection with a reset."""
    delay_s: float = 0.0


Decide = Callable[[Heard], Reply]


def _well(heard: Heard) -> Reply:
    del heard
    return Reply()


@dataclass
class Receiver:
    """Listens at a port that stays the same when it goes and comes back; remembers what it took, and what it did not.

    ``with Receiver() as receiver:`` starts it.
    """

    decide: Decide = _well
    port: int = field(default_factory=free_port)
    taken: list[Event] = field(default_factory=list)
    """Events that were answered with 2xx, in the order in which they came; doubles too."""
    heard: list[Heard] = field(default_factory=list)
    """All requests."""

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen."""
        self._ended.clear()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._ended.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def unique(self) -> list[Event]:
        """The events that were taken, without doubles, in the order in which each came first."""
        seen: dict[str, Event] = {}
        for event in list(self.taken):
            seen.setdefault(event["id"], event)
        return list(seen.values())

    def wait(self, is_enough: Callable[["Receiver"], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has heard enough."""
        until = time.monotonic() + deadline_s
        with self._changed:
            while not is_enough(self):
                left = until - time.monotonic()
                assert left > 0, f"{len(self.unique)} events after {deadline_s} s: {self.unique[-5:]}"
                self._changed.wait(left)

    def _handler(receiver) -> type[http.server.BaseHTTPRequestHandler]:  # noqa: N805 - the handler has a self of its own
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def do_GET(self) -> None:
                receiver._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
                pass

        return Handler

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        events = json.loads(body)["events"] if body else []
        heard = Heard(request.path, request.command, request.headers, events)
        reply = self.decide(heard)
        with self._changed:
            self.heard.append(heard)
            self._changed.notify_all()
        if reply.hangs:
            self._ended.wait()
            request.close_connection = True
            return
        if reply.resets:
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            request.connection.close()
            request.close_connection = True
            return
        self._ended.wait(reply.delay_s)
        if 200 <= reply.status < 300:
            # Before the answer: the next event may be here sooner than this thread goes on.
            with self._changed:
                self.taken += events
                self._changed.notify_all()
        with contextlib.suppress(OSError):
            request.send_response(reply.status)
            if reply.location:
                request.send_header("Location", reply.location)
            request.send_header("Content-Length", str(len(reply.body)))
            request.end_headers()
            request.wfile.write(reply.body)


@contextlib.contextmanager
def receiving(decide: Decide = _well) -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver(decide) as receiver:
        yield receiver
