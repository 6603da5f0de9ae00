"""How connections over TLS end: clients that close their sending half, and clients that speak plain HTTP."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from moorage.config.sections.http import LetsEncrypt
from moorage.errors import MoorageError
from moorage.server.tls.acme_contexts import IssuedTLS
from moorage.server.tls.acme_files import IssuedFiles
from moorage.server.tls.tls_contexts import FileTLS, ServerTLS, Terms
from moorage.web.bodies import Bodies
from moorage.web.connection import ConnectionServer
from moorage.web.errors import render
from moorage.web.responses import Response
from support.authority import Authority

TERMS = Terms(path="http.tls")
HEAD = b" / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@asynccontextmanager
async def serving(tls: ServerTLS) -> AsyncIterator[tuple[ConnectionServer, int]]:
    """A server that says how long the body was, some time after the request."""
    bodies = Bodies()

    async def app(request: web.BaseRequest) -> Response:
        for _ in range(20):
            await asyncio.sleep(0)
        try:
            return Response(200, {}, b"<%d>" % len(await bodies.whole(request, check_size=lambda _: None)))
        except MoorageError as exc:
            return render(exc)

    connections = ConnectionServer(app, tls.begin)
    server = web.ServerRunner(connections, handle_signals=False)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield connections, server.addresses[0][1]
    await server.cleanup()


def ask(port: int, context: ssl.SSLContext, said: bytes) -> bytes:
    """Say it, close the sending half of TLS, and read up to the end."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", port), timeout=30) as raw:

        def more() -> None:
            raw.sendall(outgoing.read())
            data = raw.recv(65536)
            incoming.write(data) if data else incoming.write_eof()

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                more()
        tls.write(said)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()  # Sends our end, and would wait for theirs.
        raw.sendall(outgoing.read())
        answer = b""
        while True:
            try:
                if not (data := tls.read()):
                    return answer
                answer += data
            except ssl.SSLWantReadError:
                more()
            except ssl.SSLError:
                return answer


def test_a_client_that_closes_its_half_of_tls_is_answered(authority: Authority) -> None:
    async def run() -> None:
        pair = authority.certify("server", "127.0.0.1")
        async with serving(FileTLS(TERMS, pair.certificate, pair.key)) as (server, port):
            for said, count, status in (
                (b"GET" + HEAD + b"\r\n", 1, b"200"),
                (b"PUT" + HEAD + b"Content-Length: 3\r\n\r\nabc", 1, b"200"),
                ((b"GET" + HEAD + b"\r\n") * 3, 3, b"200"),
                (b"PUT" + HEAD + b"Content-Length: 9\r\n\r\nabc", 1, b"400"),
                (b"", 0, b""),
                (b"GET" + HEAD, 0, b""),
            ):
                answer = await asyncio.to_thread(ask, port, authority.trusted(), said)
                assert answer.count(b"HTTP/1.1 ") == count, said
                assert answer[9:12] == status
            async with asyncio.timeout(30):
                while server.connections:  # noqa: ASYNC110 - a server raises no event
                    await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_plain_http_is_told_of_https_also_where_certificates_are_issued(tmp_path: Path) -> None:
    async def run() -> None:
        IssuedFiles(tmp_path / "folder").prepare()
        tls = IssuedTLS(TERMS, LetsEncrypt(cachefile=str(tmp_path / "folder"), hosts=["registry.example.com"]))
        async with serving(tls) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for byte in b"GET /v2/ HTTP/1.0\r\n\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
            async with asyncio.timeout(30):
                answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"https://" in answer
            writer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
