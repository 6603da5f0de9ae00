"""Connections over TLS with real clients: large bodies past the parser, slow readers, and ends of every kind."""

import asyncio
import hashlib
import os
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import pytest
import uvloop
from aiohttp import web

from moorage.errors import SizeInvalid
from moorage.web import encrypted
from moorage.web.bodies import Bodies, ClientGone
from moorage.web.connection import ConnectionServer
from moorage.web.encrypted import PART_BYTES, EncryptedTransport
from moorage.web.ranges import Piece
from moorage.web.responses import Response
from moorage.web.sending import ByteSource, send_file
from moorage.web.spooling import SpooledBody
from support.authority import Authority

MIB = 1 << 20
CONTENT = random.Random(137).randbytes(5 * MIB + 3)
GET = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"

Handler = Callable[[web.BaseRequest], Awaitable[Response]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


class Client:
    """A client with a socket of its own, for a thread of its own."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.file = self.socket.makefile("rb")

    def answer(self) -> tuple[int, bytes]:
        status = int(self.file.readline().split()[1])
        length = 0
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, self.file.read(length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()


@asynccontextmanager
async def serving(authority: Authority, handler: Handler) -> AsyncIterator[tuple[ConnectionServer, int]]:
    pair = authority.certify("server", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    begin = lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_side=True)  # noqa: E731
    connections = ConnectionServer(handler, begin)
    server = web.ServerRunner(connections, handle_signals=False, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    try:
        async with asyncio.timeout(60):
            yield connections, server.addresses[0][1]
    finally:
        await server.cleanup()


def run(authority: Authority, handler: Handler, talk: Callable[[Client], None]) -> None:
    """Have *talk* said to *handler*."""

    def speak(port: int) -> None:
        with Client(port, authority.trusted()) as client:
            talk(client)

    async def serve() -> None:
        async with serving(authority, handler) as (_, port):
            await asyncio.to_thread(speak, port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def put(content: bytes, length: int | None = None) -> bytes:
    length = len(content) if length is None else length
    return b"PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (length, content)


@pytest.mark.parametrize("keeps", [True, False], ids=["kept", "passing"])
def test_large_bodies_come_whole_and_what_is_sent_behind_them_is_answered(authority: Authority, *, keeps: bool) -> None:
    bodies, sizes = Bodies(), list[int]()

    async def handler(request: web.BaseRequest) -> Response:
        hashed, kept = hashlib.sha256(), list[bytearray]()
        async for piece in bodies.chunks(request):
            sizes.append(len(piece))
            await asyncio.sleep(0)  # As if it were written: the next one fills up meanwhile.
            hashed.update(piece)
            kept += [piece] if keeps else []
        if keeps:
            hashed = hashlib.sha256(b"".join(kept))
        return Response(200, {}, hashed.hexdigest().encode())

    def talk(client: Client) -> None:
        for content in (CONTENT, CONTENT[::-1]):
            client.socket.sendall(put(content) + GET)
            assert client.answer() == (200, hashlib.sha256(content).hexdigest().encode())
            assert client.answer() == (200, hashlib.sha256(b"").hexdigest().encode())

    run(authority, handler, talk)
    assert max(sizes) == MIB
    assert sum(sizes) == 2 * len(CONTENT)


@pytest.mark.parametrize("end", ["leaves", "ends its half"])
def test_what_came_of_a_large_body_is_passed_on_before_its_early_end_is_told(authority: Authority, end: str) -> None:
    bodies, came, told = Bodies(), bytearray(), list[BaseException]()
    is_over = asyncio.Event()

    async def handler(request: web.BaseRequest) -> Response:
        try:
            async for piece in bodies.chunks(request):
                came.extend(piece)
        except (ClientGone, SizeInvalid) as exc:
            told.append(exc)
        is_over.set()
        return Response(400)

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT[: MIB + 99], 4 * MIB))
        if end == "leaves":
            client.socket.shutdown(socket.SHUT_WR)
            while client.socket.recv(MIB):  # To close with anything unread would reset it, and lose what was sent.
                pass
        else:
            client.socket.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError):
                client.socket.unwrap()
            client.socket.settimeout(30)
            assert client.answer()[0] == 400

    async def serve() -> None:
        async with serving(authority, handler) as (_, port):

            def speak() -> None:
                with Client(port, authority.trusted()) as client:
                    talk(client)

            await asyncio.to_thread(speak)
            await is_over.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    assert came == CONTENT[: MIB + 99]
    assert isinstance(told[0], ClientGone if end == "leaves" else SizeInvalid)


def test_the_rest_of_a_large_body_that_is_refused_is_thrown_away_and_the_next_request_is_answered(
    authority: Authority,
) -> None:
    bodies = Bodies()

    async def handler(request: web.BaseRequest) -> Response:
        if request.path == "/next":
            return Response(200, {}, b"next")
        pieces = bodies.chunks(request)
        async for _ in pieces:
            break
        await pieces.aclose()  # type: ignore[attr-defined]  # it is a generator
        return Response(413)

    def talk(client: Client) -> None:
        client.socket.sendall(put(CONTENT))
        assert client.answer()[0] == 413
        client.socket.sendall(GET)
        assert client.answer() == (200, b"next")

    run(authority, handler, talk)


def test_a_client_that_takes_nothing_has_one_part_waiting_and_gets_all_in_the_end(authority: Authority) -> None:
    waiting, is_full = list[int](), asyncio.Event()

    async def handler(request: web.BaseRequest) -> Response:
        if request.path == "/next":
            await is_full.wait()
            return Response(200)
        transport = request.transport
        assert isinstance(transport, EncryptedTransport)
        pause = transport.pause_writing

        def note() -> None:
            pause()
            waiting.append(transport.get_write_buffer_size())
            is_full.set()

        transport.pause_writing = note  # type: ignore[method-assign]  # to see it
        with SpooledBody() as body:
            body.extend([CONTENT] * 4)
            source: ByteSource = body
            size = 4 * len(CONTENT)
            return await send_file(request, Response(200, content_length=size), source, [Piece(b"", (0, size))])

    async def serve() -> None:
        async with serving(authority, handler) as (_, port):

            def speak() -> None:
                with Client(port, authority.trusted()) as slow, Client(port, authority.trusted()) as other:
                    slow.socket.sendall(GET.replace(b"next", b"file"))
                    other.socket.sendall(GET)
                    assert other.answer()[0] == 200  # By now the slow one's socket is full.
                    assert slow.answer() == (200, CONTENT * 4)

            await asyncio.to_thread(speak)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    assert 0 < max(waiting) < PART_BYTES + (8 << 10)


def test_a_client_that_ends_its_half_of_tls_and_then_of_tcp_is_answered(authority: Authority) -> None:
    has_ended = asyncio.Event()

    async def handler(request: web.BaseRequest) -> Response:
        transport = request.transport
        assert isinstance(transport, EncryptedTransport)
        await has_ended.wait()
        return Response(200, {}, b"late")

    class Watched(EncryptedTransport):
        def eof_received(self) -> bool:
            has_ended.set()
            return super().eof_received()

    def talk(client: Client) -> None:
        client.socket.sendall(GET)
        client.socket.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            client.socket.unwrap()
        client.socket.settimeout(30)
        os_socket = socket.socket(fileno=os.dup(client.socket.fileno()))
        os_socket.shutdown(socket.SHUT_WR)
        os_socket.close()
        assert client.answer() == (200, b"late")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("moorage.web.connection.EncryptedTransport", Watched)
        run(authority, handler, talk)


def test_a_client_that_never_speaks_is_given_up(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted, "_HANDSHAKE_S", 0.01)

    async def handler(_: web.BaseRequest) -> Response:
        return Response(200)

    async def serve() -> None:
        async with serving(authority, handler) as (connections, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
            assert connections.connections == []

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


def test_bytes_that_cannot_be_decrypted_end_the_connection_with_an_alert(authority: Authority) -> None:
    async def handler(_: web.BaseRequest) -> Response:
        return Response(200)

    def talk(client: Client) -> None:
        raw = socket.socket(fileno=os.dup(client.socket.fileno()))
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        raw.close()
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            client.socket.recv(1000)

    run(authority, handler, talk)
