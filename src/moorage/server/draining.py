"""The end of a server's connections, in good order."""

import asyncio
from datetime import timedelta

from moorage.server.listening import Listening
from moorage.web.connection import ConnectionServer

CUT_S = 0.5
"""Seconds that handlers get to let go of their files when their time is up."""

_TICK_S = 0.05

_TURNS = 3
"""Turns of the event loop until it has taken the connections that wait, and read what they say."""

_FIRST_S = 2.0
"""Seconds in which a client that has just connected may send its request, after the end has begun.

Source: Go's ``http.Server.Shutdown`` gives it five.
"""


async def drain(server: Listening, connections: ConnectionServer, patience: timedelta, *, cut: asyncio.Event) -> None:
    """Take no more connections, and give requests in flight *patience* to end; idle connections are closed.

    A request counts as in flight until its client has the answer, and from when it has connected to send it.

    *cut*: ends it early, once set.
    """
    for _ in range(_TURNS):
        await asyncio.sleep(0)  # What has come in begins first.
    server.stop()
    loop = asyncio.get_running_loop()
    begun_at, patience_s = loop.time(), patience.total_seconds()
    first_s = min(patience_s, _FIRST_S)
    # Not aiohttp's own way: from the first moment it drops the rest of every body that is still coming in.
    while connections.retire(awaits_first=loop.time() - begun_at < first_s):
        if loop.time() - begun_at >= patience_s or cut.is_set():
            break
        await asyncio.sleep(_TICK_S)
    await connections.shutdown(CUT_S)
