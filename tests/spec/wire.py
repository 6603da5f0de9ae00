"""Raw sockets, for requests that no client library would send. Every wait has a deadline."""

import http.client
import io
import select
import socket
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self, cast

from support.registry_client import Headers, Response

DEADLINE_S = 60.0

PATIENCE_S = 0.3
"""How long a registry may take to answer a request that is complete, before an end of input could overtake it."""


class Wire:
    """One TCP connection. ``send`` bytes as they are, ``read`` responses in order."""

    def __init__(self, address: str, *, deadline_s: float = DEADLINE_S) -> None:
        host, _, port = address.rpartition(":")
        self._ends_at = time.monotonic() + deadline_s
        self._socket = socket.create_connection((host, int(port)), timeout=deadline_s)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, data: bytes | Iterable[bytes]) -> None:
        """Send; a registry that hangs up in the middle has answered, which ``read`` tells."""
        try:
            for piece in [data] if isinstance(data, bytes) else data:
                self._set_timeout()
                self._socket.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return

    def half_close(self) -> None:
        """Say that nothing more will be sent, once the registry had time to answer what was.

        A server may take the end of the client's half for the end of the connection, and drop its answer.
        """
        select.select([self._socket], [], [], PATIENCE_S)
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def read(self, method: str = "GET") -> Response | None:
        """The next response, or None if the connection ended without one. Interim (1xx) responses are skipped."""
        self._set_timeout()
        response = http.client.HTTPResponse(cast("socket.socket", _Borrowed(self._reader)), method=method)
        try:
            response.begin()
            body = response.read()
        except (ConnectionResetError, http.client.RemoteDisconnected):
            return None
        return Response(response.status, Headers(tuple(response.getheaders())), body)

    def read_line(self) -> bytes:
        """One line as it came, for interim responses."""
        self._set_timeout()
        return self._reader.readline()

    def is_ended(self) -> bool:
        """Whether the registry has closed the connection; waits for that until the deadline."""
        self._set_timeout()
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def _set_timeout(self) -> None:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            msg = "the deadline of the connection has passed"
            raise TimeoutError(msg)
        self._socket.settimeout(left_s)


def exchange(
    address: str, data: bytes | Iterable[bytes], *, method: str = "GET", half_close: bool = False
) -> Response | None:
    """Send *data* on a connection of its own and read one response; None if there was none."""
    with Wire(address) as wire:
        wire.send(data)
        if half_close:
            wire.half_close()
        return wire.read(method)


def head(method: str, target: str | bytes, *lines: str, version: str = "1.1", host: str | None = "localhost") -> bytes:
    """The head of a request as bytes, with its empty line."""
    first = b"%b %b HTTP/%b" % (
        method.encode(),
        target if isinstance(target, bytes) else target.encode(),
        version.encode(),
    )
    rest = [*([f"Host: {host}"] if host is not None else []), *lines]
    return b"\r\n".join([first, *(line.encode("latin-1") for line in rest), b"", b""])


class _Borrowed:
    """What ``HTTPResponse`` takes for a socket: it reads from a file that outlives it, so that nothing read ahead is
    lost.
    """

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def makefile(self, _mode: str) -> "_Unclosed":
        return _Unclosed(self._reader)


class _Unclosed(io.BufferedIOBase):
    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._reader.readline(-1 if size is None else size)

    def read(self, size: int | None = -1, /) -> bytes:
        return self._reader.read(-1 if size is None else size)

    def read1(self, size: int = -1, /) -> bytes:
        return self._reader.read1(size)

    def flush(self) -> None:
        """Nothing is written."""
