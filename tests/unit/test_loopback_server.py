"""The server of tests that speaks byte by byte leaves nothing open, whenever it ends: a later test would be blamed."""

import asyncio
import gc
import socket
import warnings

import pytest

from support.loopback_server import LoopbackServer


class Patient(LoopbackServer):
    """Waits for the other side to go."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        await reader.read()


async def _end_after(turns: int) -> None:
    """Have a client come, and the server end so many turns of the loop later."""
    async with Patient() as server:
        with socket.create_connection((server.host, server.port)):
            for _ in range(turns):
                await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(6))
def test_a_server_that_ends_while_a_client_comes_leaves_no_connection_open(turns: int) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(_end_after(turns))
        gc.collect()
    assert [str(one.message) for one in told] == []
