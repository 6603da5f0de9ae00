"""A relay between a client and its PostgreSQL that counts round trips: how often the client spoke after an answer."""

import asyncio
import contextlib

from support.loopback_server import LoopbackServer

_PIECE = 1 << 16


class Relay(LoopbackServer):
    """Passes everything on to *port* of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.target = port
        self.round_trips = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
