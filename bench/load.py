"""Load over HTTP/1.1: ``wrk`` where it can, else a light client of our own on one thread.

The client is light on purpose, because it shares the machine's cores with what it measures: bodies are sent from
memory that is there already, and bodies that come are dropped by the kernel, uncopied (MSG_TRUNC). It knows only
the HTTP that the two servers speak: keep-alive, Content-Length, and chunks around JSON.
"""

import contextlib
import itertools
import re
import select
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Address = tuple[str, int]
Latencies = Mapping[str, Sequence[float]]
"""Seconds from request to answer, by what was asked."""

STALL_S = 120
"""The longest that no connection may make progress."""

SEND_BUFFER_BYTES = 512 << 10
DROP_BYTES = 4 << 20
_RECEIVE_BYTES = 64 << 10

_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_CHUNKS_END = b"\r\n0\r\n\r\n"
"""The end of the last chunk. JSON holds no bare line ends, so it is nothing else."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WRK_COUNT = re.compile(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b")
_IN_TURN = """
local paths, last = {%s}, 0
request = function()
  last = last %% #paths + 1
  return wrk.format("GET", paths[last])
end
"""
_WRK_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class LoadError(Exception):
    """A server did not answer as it should have. The figure would be meaningless."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was done, and how long it took."""

    count: int
    wall_s: float
    latencies_s: Latencies = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its head as it goes out, and its body in pieces."""

    head: bytes
    body: Iterable[memoryview] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body has passed by."""

    status: int
    head: bytes

    def header(self, name: str) -> str:
        """The value of a header.

        Raises:
            LoadError: it is not there.
        """
        found = re.search(rb"\r\n" + re.escape(name.encode()) + rb": *([^\r]*)", self.head, re.IGNORECASE)
        if found is None:
            msg = f"an answer without {name}: {self.head.decode('latin-1')}"
            raise LoadError(msg)
        return found[1].decode("latin-1")


Script = Generator[Request, Answer, int]
"""What one connection does: it yields requests, is sent the answers, and returns how much it has done."""


def request(method: str, path: str, *headers: str, body: Iterable[memoryview] = ()) -> Request:
    """Build a request. With a body, ``Content-Length`` is among *headers*."""
    lines = (f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", "")
    return Request("\r\n".join(lines).encode(), body)


def expect(answer: Answer, status: int) -> Answer:
    """Pass *answer* on.

    Raises:
        LoadError: its status is another.
    """
    if answer.status != status:
        msg = f"{status} was expected: {answer.head.decode('latin-1')}"
        raise LoadError(msg)
    return answer


def run(address: Address, scripts: Sequence[Script]) -> Load:
    """Run every script on a connection of its own, all at once. The clock starts when all are connected.

    Raises:
        LoadError: a server refused, hung up or stalled.
    """
    epoll = select.epoll()
    connections: dict[int, _Connection] = {}
    try:
        for script in scripts:
            connection = _Connection(address, script)
            connections[connection.number] = connection
            epoll.register(connection.number, select.EPOLLIN)
        began = time.perf_counter()
        done = _drive(epoll, connections)
        return Load(done, time.perf_counter() - began)
    finally:
        epoll.close()
        for connection in connections.values():
            connection.close()


def wrk(
    address: Address,
    path: str,
    *,
    seconds: int,
    connections: int,
    headers: Sequence[str],
    scheme: str = "http",
    others: Sequence[str] = (),
) -> Load:
    """GET *path*, and in turn the *others*, over and over with ``wrk``.

    Raises:
        LoadError: wrk failed, or saw anything but 2xx answers.
    """
    options = [option for header in headers for option in ("-H", header)]
    command = ["wrk", "-t", "2", "-c", str(connections), "-d", f"{seconds}s", *options]
    url = f"{scheme}://{address[0]}:{address[1]}{path}"
    with contextlib.ExitStack() as stack:
        if others:
            script = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".lua"))
            script.write(_IN_TURN % ", ".join(f"{each!r}" for each in (path, *others)))
            script.flush()
            command += ["-s", script.name]
        ended = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + STALL_S, check=False)
    found = _WRK_COUNT.search(ended.stdout)
    if ended.returncode or found is None or "Non-2xx" in ended.stdout or "Socket errors" in ended.stdout:
        msg = f"wrk on {path}: {ended.stdout}{ended.stderr}"
        raise LoadError(msg)
    return Load(int(found[1]), float(found[2]) * _WRK_UNITS_S[found[3]])


def _drive(epoll: select.epoll, connections: dict[int, "_Connection"]) -> int:
    done = 0
    waiting = set(connections)
    blocked: set[int] = set()
    ready: Iterable[tuple[int, int]] = [(number, select.EPOLLOUT) for number in connections]
    while True:
        for number, _ in ready:
            connection = connections[number]
            connection.go_on()
            if connection.result is not None:
                done += connection.result
                waiting.discard(number)
                epoll.unregister(number)
            elif connection.is_blocked != (number in blocked):
                blocked ^= {number}
                wanted = select.EPOLLIN | (select.EPOLLOUT if connection.is_blocked else 0)
                epoll.modify(number, wanted)
        if not waiting:
            return done
        ready = epoll.poll(STALL_S)
        if not ready:
            msg = f"no answer for {STALL_S} s on {len(waiting)} connections"
            raise LoadError(msg)


class _Connection:
    """A script at work: one request out, one answer in."""

    _dropped = memoryview(bytearray(DROP_BYTES))

    def __init__(self, address: Address, script: Script) -> None:
        self._socket = socket.create_connection(address, timeout=STALL_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._socket.setblocking(False)
        self.number = self._socket.fileno()
        self.result: int | None = None
        self.is_blocked = False
        self._script = script
        self._has_begun = False
        self._unsent: memoryview = memoryview(b"")
        self._body: Iterator[memoryview] = iter(())
        self._head = b""
        self._left_bytes = 0
        self._is_bodiless = False
        self._chunked_tail: bytes | None = None

    def go_on(self) -> None:
        """Do what can be done without waiting."""
        if not self._has_begun:
            self._has_begun = True
            self._step(None)
            return
        if self.is_blocked:
            self._send()
        self._receive()

    def close(self) -> None:
        self._socket.close()

    def _step(self, answer: Answer | None) -> None:
        try:
            following = next(self._script) if answer is None else self._script.send(answer)
        except StopIteration as stop:
            self.result = stop.value
            return
        self._is_bodiless = following.head.startswith(b"HEAD ")
        self._head = b""
        self._body = iter(following.body)
        first = next(self._body, None)
        if first is None:
            self._unsent = memoryview(following.head)
        else:
            # The head waits in the kernel for the body's first piece, so that both go out together. There is room:
            # all that went before has been answered.
            self._socket.send(following.head, socket.MSG_MORE)
            self._body = itertools.chain((first,), self._body)
        self._send()

    def _send(self) -> None:
        while True:
            if not self._unsent:
                piece = next(self._body, None)
                if piece is None:
                    self.is_blocked = False
                    return
                self._unsent = piece
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                self.is_blocked = True
                return
            self._unsent = self._unsent[sent:]

    def _receive(self) -> None:
        try:
            if self._left_bytes:
                self._drop()
                return
            data = self._socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        if not data:
            msg = f"the server hung up: {self._head.decode('latin-1')}"
            raise LoadError(msg)
        if self._chunked_tail is not None:
            self._take_chunks(data)
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0 and _CHUNKED.search(self._head, 0, end + 2):
            self._head, rest = self._head[: end + 2], self._head[end + 2 :]
            self._take_chunks(rest)
        elif end >= 0:
            came = len(self._head) - end - 4
            self._left_bytes = self._body_bytes(self._head[: end + 2]) - came
            if self._left_bytes <= 0:
                self._finish()

    def _take_chunks(self, data: bytes) -> None:
        self._chunked_tail = ((self._chunked_tail or b"") + data)[-len(_CHUNKS_END) :]
        if self._chunked_tail == _CHUNKS_END:
            self._chunked_tail = None
            self._finish()

    def _drop(self) -> None:
        length = min(self._left_bytes, DROP_BYTES)
        dropped = self._socket.recv_into(self._dropped, length, socket.MSG_TRUNC)
        if not dropped:
            msg = f"the server hung up {self._left_bytes} bytes before the end of a body"
            raise LoadError(msg)
        self._left_bytes -= dropped
        if not self._left_bytes:
            self._finish()

    def _body_bytes(self, head: bytes) -> int:
        if self._is_bodiless or head[9:12] == b"204":
            return 0
        found = _LENGTH.search(head)
        if found is None:
            msg = f"an answer without a length: {head.decode('latin-1')}"
            raise LoadError(msg)
        return int(found[1])

    def _finish(self) -> None:
        self._left_bytes = 0
        answer = Answer(int(self._head[9:12]), self._head)
        if self.is_blocked:
            msg = f"an answer before the end of the request: {self._head.decode('latin-1')}"
            raise LoadError(msg)
        self._step(answer)
