"""An HTTP server of the standard library in a thread of its own, for what answers in the process of a test."""

import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class Quiet:
    """A handler that prints nothing: named before the library's."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class ThreadedServer:
    """``with`` it, requests are answered at ``address`` on loopback, and at ``url``.

    Args:
        handler: answers each request.
        is_quiet: True: clients that go away in the middle are what is tested, and not told of.
    """

    def __init__(self, handler: Any, *, is_quiet: bool = False) -> None:  # noqa: ANN401 - as the library has it
        self._server = (_QuietServer if is_quiet else ThreadingHTTPServer)(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join(20)
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""
