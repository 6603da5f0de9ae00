"""Connections over TLS with real clients: slow readers, and ends of every kind. Large bodies: ``test_diverted.py``."""

import asyncio
import os
import random
import socket
import ssl

import pytest
import uvloop
from aiohttp import web

from moorage.web import encrypted
from moorage.web.encrypted import PART_BYTES, EncryptedTransport
from moorage.web.ranges import Piece
from moorage.web.responses import Response
from moorage.web.sending import ByteSource, send_file
from moorage.web.spooling import SpooledBody
from support.authority import Authority
from support.connections import GET, MIB, Client, run, serving

CONTENT = random.Random(137).randbytes(5 * MIB + 3)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


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
        async with serving(handler, authority) as (_, port):

            def speak() -> None:
                with Client(port, authority) as slow, Client(port, authority) as other:
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
        client.end_half()
        os_socket = socket.socket(fileno=os.dup(client.socket.fileno()))
        os_socket.shutdown(socket.SHUT_WR)
        os_socket.close()
        assert client.answer() == (200, b"late")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("moorage.web.connection.EncryptedTransport", Watched)
        run(handler, talk, authority)


def test_a_client_that_never_speaks_is_given_up(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encrypted, "_HANDSHAKE_S", 0.01)

    async def handler(_: web.BaseRequest) -> Response:
        return Response(200)

    async def serve() -> None:
        async with serving(handler, authority) as (connections, port):
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

    run(handler, talk, authority)
