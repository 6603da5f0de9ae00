"""A server on a free loopback port in the event loop of the test, for what speaks byte by byte."""

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

_LINE_BYTES = 1 << 20
_TURNS_TO_BEGIN = 5
"""So many turns of asyncio's loop, and some more, are between taking a connection and telling us of it."""


class LoopbackServer(ABC):
    """``async with`` it, connections are talked to; at the end of the block those that are open are cut."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.host = "127.0.0.1"
        self.port = 0
        self.connections = 0
        """How many have come."""
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._talking: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}" if self._tls is None else f"https://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, self.host, 0, limit=_LINE_BYTES, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._server is not None
        # Nobody comes any more, and who is about to comes first: asyncio leaves their transport open else.
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_TURNS_TO_BEGIN):
            await asyncio.sleep(0)
        self._server.close()
        talking = dict(self._talking)
        for task, writer in talking.items():
            task.cancel()
            writer.transport.abort()  # Its task may not have begun, and would then close nothing.
        await asyncio.gather(*talking, return_exceptions=True)

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until its connection should end. Whoever goes away in the middle is not told of."""

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._accept(reader, writer))
        self._talking[task] = writer
        task.add_done_callback(self._talking.pop)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self.talk(reader, writer)
        finally:
            writer.close()
