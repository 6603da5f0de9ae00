"""A relay between a client and its PostgreSQL that counts round trips: how often the client spoke after an answer."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

_PIECE = 1 << 16


class Relay:
    """Listens on a free loopback port and passes everything on to *port*."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.round_trips = 0
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._pass_on(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, there = await asyncio.open_connection("127.0.0.1", self.target)
        was_answered = True

        async def ask() -> None:
            nonlocal was_answered
            while piece := await reader.read(_PIECE):
                self.round_trips += was_answered
                was_answered = False
                there.write(piece)
                await there.drain()
            there.close()

        async def answer() -> None:
            nonlocal was_answered
            while piece := await back.read(_PIECE):
                was_answered = True
                writer.write(piece)
                await writer.drain()
            writer.close()

        try:
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(ask(), answer())
        finally:
            there.close()
