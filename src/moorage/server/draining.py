"""The end of a server's connections, in good order."""

import asyncio
from datetime import timedelta

from moorage.server.listening import Listening
from moorage.web.connection import ConnectionServer

CUT_S = 0.5
"""Seconds that handlers get to let go of their files when their time is up."""

_TICK_S = 0.05

_TURNS = 3
"""Turns of the event loop until the connections that were taken are known, and what they say is read."""

_TAKE_S = 1.0
"""Seconds for which connections are taken that wait: under a storm of them there is no end of it."""

_QUIET_S = 2.0
"""Seconds in which a client that has just connected, or was just answered, may still send a request.

Only an answer can tell it that the connection ends; one that is closed between two requests takes the second with it.
Source: Go's ``http.Server.Shutdown`` gives five seconds to those that have just connected, nginx as many to all as
``keepalive_min_timeout`` says.
"""


async def drain(server: Listening, connections: ConnectionServer, patience: timedelta, *, cut: asyncio.Event) -> None:
    """Take no more connections, and give requests in flight *patience* to end; idle connections are closed.

    A request counts as in flight until its client has the answer, and from when it can be on its way.

    *cut*: ends it early, once set.
    """
    loop, patience_s = asyncio.get_running_loop(), patience.total_seconds()
    await server.take_waiting(min(patience_s, _TAKE_S))
    server.stop()
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    begun_at, quiet_s = loop.time(), min(patience_s, _QUIET_S)
    # Not aiohttp's own way: from the first moment it drops the rest of every body that is still coming in.
    while connections.retire(quiet_s=quiet_s if loop.time() - begun_at < quiet_s else 0.0):
        if loop.time() - begun_at >= patience_s or cut.is_set():
            break
        await asyncio.sleep(_TICK_S)
    await connections.shutdown(CUT_S)
