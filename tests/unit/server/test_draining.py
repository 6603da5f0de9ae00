"""The last moments of a server: who is still answered, who is told that the connection ends, and who is waited for."""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import pytest
import uvloop
from aiohttp import web

from moorage.server.draining import drain
from moorage.server.listening import Listening
from moorage.server.tls.tls_contexts import FileTLS, Terms
from moorage.web.connection import ConnectionServer
from moorage.web.encrypted import BeginTLS
from moorage.web.responses import Response
from support.authority import Authority

P = ParamSpec("P")
DEADLINE_S = 30.0
PATIENCE = timedelta(seconds=DEADLINE_S)
HEAD = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE_BYTES = 4 << 20
"""More than the system takes for a client that does not read: the client has it say so."""


def on_uvloop(test: Callable[P, Coroutine[None, None, None]]) -> Callable[P, None]:
    """Run a test as a worker runs, within its time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test(*args, **kwargs), 2 * DEADLINE_S))

    return run


class Served:
    """A server whose answers to ``/later`` come when they are let go."""

    def __init__(self, begin_tls: BeginTLS | None = None) -> None:
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()
        self.cut = asyncio.Event()
        self.connections = ConnectionServer(self.answer, begin_tls)
        self.listening = Listening(self.connections)
        self.port = 0

    async def answer(self, request: web.BaseRequest) -> Response:
        if request.path == "/later":
            self.waits.set()
            await self.gate.wait()
        return Response(200, {}, b"x" * LARGE_BYTES if request.path == "/large" else b"<answered>")

    def drain(self, patience: timedelta = PATIENCE) -> "asyncio.Task[None]":
        return asyncio.create_task(drain(self.listening, self.connections, patience, cut=self.cut))


@contextlib.asynccontextmanager
async def serving(begin_tls: BeginTLS | None = None) -> AsyncIterator[Served]:
    served = Served(begin_tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        served.port = listener.getsockname()[1]
        await served.listening.begin(listener)
        yield served
        await served.listening.close(0.1)


@contextlib.asynccontextmanager
async def connected(served: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that the server has taken."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        while not served.connections.connections:  # noqa: ASYNC110 - a server raises no event
            await asyncio.sleep(0.001)
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@on_uvloop
async def test_an_answer_during_a_drain_says_that_the_connection_ends() -> None:
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(HEAD % b"later")
        await served.waits.wait()
        draining = served.drain()
        await asyncio.sleep(0.01)
        served.gate.set()
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"\r\nConnection: close" in head
        assert body == b"<answered>"
        await draining


@on_uvloop
async def test_a_client_that_asks_again_and_again_holds_up_no_drain() -> None:
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(HEAD % b"later")
        await served.waits.wait()
        draining = served.drain()
        await asyncio.sleep(0.01)
        served.gate.set()
        await reader.readuntil(b"<answered>")
        writer.write(HEAD % b"again")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await draining


@pytest.mark.parametrize("begun", [b"", b"GET /no"])
@on_uvloop
async def test_the_first_request_of_a_client_that_has_just_connected_is_still_answered(begun: bytes) -> None:
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(begun)
        await asyncio.sleep(0.01)
        draining = served.drain()
        await asyncio.sleep(0.1)
        writer.write((HEAD % b"now")[len(begun) :])
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close" in answer
        await draining


@on_uvloop
async def test_connections_that_the_server_has_not_taken_yet_are_still_answered() -> None:
    async with serving() as served:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(("127.0.0.1", served.port))) for _ in range(50)]
            for client in clients:
                client.sendall(HEAD % b"now")
                client.setblocking(False)
            # Without a turn of the loop in between.
            await drain(served.listening, served.connections, PATIENCE, cut=served.cut)
            for client in clients:
                answer = await asyncio.get_running_loop().sock_recv(client, 1000)
                assert answer.startswith(b"HTTP/1.1 200 ")


@on_uvloop
async def test_a_client_that_was_answered_a_moment_ago_is_told_with_its_next_answer_that_the_connection_ends() -> None:
    """It may have sent its next request already, and a push cannot be sent again by itself."""
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(HEAD % b"now")
        assert b"Connection: close" not in await reader.readuntil(b"<answered>")
        draining = served.drain()
        await asyncio.sleep(0.2)
        writer.write(HEAD % b"again")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close" in answer
        await draining


@on_uvloop
async def test_a_connection_that_has_been_idle_for_a_while_is_closed_at_once() -> None:
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(HEAD % b"now")
        await reader.readuntil(b"<answered>")
        await asyncio.sleep(2.5)
        async with connected(served) as (_, busy):
            busy.write(HEAD % b"later")
            await served.waits.wait()
            draining = served.drain()
            assert await reader.read() == b""
            assert not draining.done()
            served.gate.set()
            await draining


@on_uvloop
async def test_a_client_that_connects_and_says_nothing_holds_up_no_drain_for_long() -> None:
    async with serving() as served, connected(served) as (reader, _):
        async with asyncio.timeout(DEADLINE_S / 2):
            await served.drain(PATIENCE * 100)
        assert await reader.read() == b""


@on_uvloop
async def test_without_patience_nobody_new_is_waited_for() -> None:
    async with serving() as served, connected(served) as (reader, _):
        await served.drain(timedelta(0))
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@on_uvloop
async def test_a_drain_that_is_cut_short_ends_at_once() -> None:
    """As that of a worker whose lease is lost: who collects garbage does not see it any more."""
    async with serving() as served, connected(served) as (reader, writer):
        writer.write(HEAD % b"later")
        await served.waits.wait()
        draining = served.drain(PATIENCE * 100)
        await asyncio.sleep(0.1)
        assert not draining.done()
        served.cut.set()
        await draining
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


def read_slowly(client: socket.socket) -> int:
    """Begin late, and return the number of bytes that come before the end."""
    time.sleep(1.5)
    count = 0
    while data := client.recv(1 << 20):
        count += len(data)
    return count


@pytest.mark.parametrize("has_tls", [False, True])
def test_a_drain_waits_until_a_slow_client_has_taken_its_answer(*, has_tls: bool, authority: Authority) -> None:
    pair = authority.certify("server", "127.0.0.1")
    begin = FileTLS(Terms(path="http.tls"), pair.certificate, pair.key).begin if has_tls else None

    async def run() -> None:
        async with serving(begin) as served:
            client = await asyncio.to_thread(connect, served.port, authority.trusted() if has_tls else None)
            client.sendall(HEAD % b"large")
            while not any(one.writing_paused for one in served.connections.connections):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.001)
            reading = asyncio.create_task(asyncio.to_thread(read_slowly, client))
            (connection,) = served.connections.connections
            transport = connection.transport
            await served.drain()
            assert transport is not None
            transport.abort()  # As a process that ends: what has not gone yet is lost.
            assert await reading > LARGE_BYTES
            client.close()

    on_uvloop(run)()


def connect(port: int, context: ssl.SSLContext | None) -> socket.socket:
    """A client for which the system keeps little."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    raw.settimeout(DEADLINE_S)
    raw.connect(("127.0.0.1", port))
    return raw if context is None else context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_a_client_in_the_middle_of_its_handshake_is_still_answered(authority: Authority) -> None:
    pair = authority.certify("server", "127.0.0.1")
    tls = FileTLS(Terms(path="http.tls"), pair.certificate, pair.key)

    async def run() -> None:
        async with serving(tls.begin) as served:
            with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE_S) as raw:
                await asyncio.sleep(0.05)
                draining = served.drain()
                await asyncio.sleep(0.1)
                assert not draining.done()

                def ask() -> bytes:
                    with authority.trusted().wrap_socket(raw, server_hostname="127.0.0.1") as client:
                        client.sendall(HEAD % b"now")
                        return client.recv(100)

                assert (await asyncio.to_thread(ask)).startswith(b"HTTP/1.1 200 ")
                await draining

    on_uvloop(run)()
