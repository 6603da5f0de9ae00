"""Connections of ours over plain HTTP and TLS, and a client for them with a socket of its own."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

import uvloop
from aiohttp import web

from moorage.web.connection import ConnectionServer
from moorage.web.encrypted import BeginTLS
from moorage.web.responses import Response
from support.authority import Authority

GET = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = 1 << 20

Handler = Callable[[web.BaseRequest], Awaitable[Response]]


class Client:
    """A client for a thread of its own. It speaks TLS if there is an *authority* that it trusts."""

    def __init__(self, port: int, authority: Authority | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        if authority is not None:
            self.socket = authority.trusted().wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.file = self.socket.makefile("rb")

    def answer(self) -> tuple[int, bytes]:
        """The next answer: its status and its body."""
        status = int(self.file.readline().split()[1])
        length = 0
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, self.file.read(length)

    def leave(self) -> None:
        """End the sending half of TCP, and wait for the server's end."""
        self.socket.shutdown(socket.SHUT_WR)
        while self.socket.recv(MIB):  # To close with anything unread would reset it, and lose what was sent.
            pass

    def end_half(self) -> None:
        """End the sending half: that of TLS, if it is spoken."""
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):  # The other half is still open.
                self.socket.unwrap()
            self.socket.settimeout(30)
        else:
            self.socket.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()


def put(content: bytes, length: int | None = None) -> bytes:
    """A request with a body, or with a part of one of this *length*."""
    length = len(content) if length is None else length
    return b"PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (length, content)


def _tls_of(authority: Authority) -> BeginTLS:
    """The server's end, with a certificate."""
    pair = authority.certify("server", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_side=True)


@asynccontextmanager
async def serving(handler: Handler, authority: Authority | None = None) -> AsyncIterator[tuple[ConnectionServer, int]]:
    """Serve with *handler*, over TLS if there is an *authority*; the port is returned, too."""
    connections = ConnectionServer(handler, None if authority is None else _tls_of(authority))
    server = web.ServerRunner(connections, handle_signals=False, shutdown_timeout=0.1)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    try:
        async with asyncio.timeout(60):
            yield connections, server.addresses[0][1]
    finally:
        await server.cleanup()


def run(handler: Handler, talk: Callable[[Client], None], authority: Authority | None = None) -> None:
    """Have *talk* said to *handler*, over TLS if there is an *authority*."""

    def speak(port: int) -> None:
        with Client(port, authority) as client:
            talk(client)

    async def serve() -> None:
        async with serving(handler, authority) as (_, port):
            await asyncio.to_thread(speak, port)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
