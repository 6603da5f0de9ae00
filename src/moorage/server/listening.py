"""Sockets that a server's connections come from.

aiohttp's own runner would do this too; it brings with it an application, its routes, files and pages for browsers, two
megabytes that nothing here uses.
"""

import asyncio
import select
import socket

from moorage.web.connection import ConnectionServer

_BACKLOG = 128
"""Connections that wait for the event loop, as aiohttp has it."""


class Listening:
    """Takes connections until it is told to stop, and answers those that it has taken until it is closed."""

    def __init__(self, connections: ConnectionServer) -> None:
        """Answer by *connections*."""
        self._connections = connections
        self._servers: list[asyncio.Server] = []
        self._waiting = select.poll()
        """Knows whether the system has connections that were not taken yet."""

    async def begin(self, listener: socket.socket) -> None:
        """Take connections from *listener* too."""
        self._waiting.register(listener, select.POLLIN)
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(self._connections, sock=listener, backlog=_BACKLOG))

    async def take_waiting(self, patience_s: float) -> None:
        """Take the connections that wait, for at most so many seconds: those that are left when it stops are reset."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + patience_s
        while self._waiting.poll(0) and loop.time() < ends_at:  # noqa: ASYNC110 - one is taken in each turn of the loop
            await asyncio.sleep(0)

    def stop(self) -> None:
        """Take no more connections; those that are there go on."""
        while self._servers:
            self._servers.pop().close()

    async def close(self, patience_s: float) -> None:
        """Take no more, and give what is being answered so many seconds."""
        self.stop()
        await asyncio.sleep(0)  # What has just come in begins first.
        self._connections.pre_shutdown()
        await self._connections.shutdown(patience_s)
