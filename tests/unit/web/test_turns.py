"""Requests whose head was read before: they are begun at once, and answered as all others are, in their order."""

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import cast

import pytest
from aiohttp import StreamReader, web
from aiohttp.http import RawRequestMessage

from moorage.web.connection import Connection, ConnectionServer
from moorage.web.known_heads import LIMIT_BYTES, KnownHeads
from moorage.web.responses import Response

_PATIENCE_S = 30.0
_WHO: ContextVar[str] = ContextVar("who", default="")

NOW = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
LATER = b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
BEGIN = b"POST /begin HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
PUSH = b"PUT /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


class Served:
    """A server whose answers to ``/later`` come when they are let go."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.waits = asyncio.Event()
        self.cut: list[str] = []
        self.connections = ConnectionServer(self.answer)

    async def answer(self, request: web.BaseRequest) -> Response:
        self.seen[request.path] += 1
        token = _WHO.set(request.path)
        try:
            async with asyncio.timeout(_PATIENCE_S):  # Needs to know whose task it is in.
                if request.path == "/later":
                    self.waits.set()
                    await self.gate.wait()
                if request.path == "/broken":
                    msg = "a mistake"
                    raise RuntimeError(msg)
        except asyncio.CancelledError:
            self.cut.append(request.path)
            raise
        finally:
            _WHO.reset(token)  # Fails in another context than the one that it was set in.
        return Response(200, {}, f"<{request.path}>".encode())


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def answers(self, data: bytes, count: int = 1) -> list[bytes]:
        """Send, and return the bodies of so many answers."""
        self.writer.write(data)
        bodies = []
        async with asyncio.timeout(_PATIENCE_S):
            for _ in range(count):
                head = await self._reader.readuntil(b"\r\n\r\n")
                assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 500 ")), head
                length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
                bodies.append(await self._reader.readexactly(length))
        return bodies

    async def ends(self) -> bytes:
        """All that comes before the connection ends."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self._reader.read()


class Wire(asyncio.Transport):
    """A connection that is fed by hand, so that what comes is cut where a test wants it."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.answers = 0
        self.connection = cast("Connection", served.connections())
        self.connection.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert bytes(data).startswith(b"HTTP/1.1 200 ")
        self.answers += 1

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    async def come(self, data: bytes) -> int:
        """Have *data* come, as the loop does it, and return how many answers there were when it had been taken."""
        taken = asyncio.get_running_loop().create_future()

        def take() -> None:
            self.connection.data_received(data)
            taken.set_result(self.answers)

        asyncio.get_running_loop().call_soon(take)
        answers: int = await taken
        return answers

    async def answered(self, count: int) -> None:
        """Wait for so many answers."""
        async with asyncio.timeout(_PATIENCE_S):
            while self.answers < count or self.connection._waiter is None:  # noqa: ASYNC110 - it is not ours to tell
                await asyncio.sleep(0)


@pytest.fixture
async def served() -> Served:
    return Served()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[Client]:
    runner = web.ServerRunner(served.connections, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = Client(*await asyncio.open_connection(*runner.addresses[0]))
    yield client
    client.writer.close()
    await runner.cleanup()


def is_known(served: Served, head: bytes) -> bool:
    return served.connections.heads.get(head) is not None


async def test_a_head_that_was_read_before_is_answered_as_before(served: Served, client: Client) -> None:
    for _ in range(4):
        assert await client.answers(NOW) == [b"</now>"]
    assert is_known(served, NOW)
    assert served.seen["/now"] == 4


async def test_one_that_has_to_wait_goes_on_where_it_was(served: Served, client: Client) -> None:
    served.gate.set()
    assert await client.answers(LATER) == [b"</later>"]
    served.gate.clear()
    served.waits.clear()
    asked = asyncio.create_task(client.answers(LATER))
    await served.waits.wait()
    served.gate.set()
    assert await asked == [b"</later>"]
    assert await client.answers(NOW) == [b"</now>"]


async def test_what_comes_behind_it_is_answered_after_it(served: Served, client: Client) -> None:
    served.gate.set()
    assert await client.answers(LATER) == [b"</later>"]
    assert await client.answers(NOW) == [b"</now>"]
    served.gate.clear()
    served.waits.clear()
    asked = asyncio.create_task(client.answers(LATER, 3))
    await served.waits.wait()
    client.writer.write(NOW)
    client.writer.write(PUSH)
    served.gate.set()
    assert await asked == [b"</later>", b"</now>", b"</now>"]


async def test_a_known_head_in_the_middle_of_a_body_is_a_part_of_it(served: Served, client: Client) -> None:
    assert await client.answers(NOW) == [b"</now>"]
    client.writer.write(b"PUT /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(NOW)))
    await client.writer.drain()
    while not served.seen["/body"]:  # noqa: ASYNC110 - as below
        await asyncio.sleep(0)
    assert await client.answers(NOW) == [b"</body>"]
    assert served.seen["/now"] == 1


async def test_a_known_head_behind_half_of_another_is_a_part_of_it(served: Served, client: Client) -> None:
    assert await client.answers(NOW) == [b"</now>"]
    client.writer.write(b"GET /half HTTP/1.1\r\nX: ")
    await client.writer.drain()
    (connection,) = served.connections.connections
    while connection._is_between:  # noqa: ASYNC110 - it is not ours to tell
        await asyncio.sleep(0)
    assert await client.answers(NOW) == [b"</half>"]
    assert served.seen["/now"] == 1


@pytest.mark.parametrize(
    "parts",
    [
        [PUSH],
        [PUSH[:-3], PUSH[-3:-1], PUSH[-1:]],
        [b"PUT /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", b"0\r\n\r\n"],
        [b"PUT /now HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"],
    ],
    ids=["at once", "in pieces", "in chunks", "in chunks at once"],
)
async def test_behind_a_body_heads_are_known_again(served: Served, parts: list[bytes]) -> None:
    wire = Wire(served)
    await wire.answered(0)
    for count in (1, 2):
        for part in parts:
            await wire.come(part)
        await wire.answered(2 * count - 1)
        assert await wire.come(BEGIN) == 2 * count
        assert is_known(served, BEGIN)
    wire.connection.connection_lost(None)


@pytest.mark.parametrize(
    "begun",
    [b"PUT /behind HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(NOW), b"GET /behind HTTP/1.1\r\nX: "],
    ids=["a head", "half a head"],
)
async def test_a_known_head_behind_a_body_and_the_beginning_of_another_request_is_a_part_of_it(
    served: Served, client: Client, begun: bytes
) -> None:
    assert await client.answers(NOW) == [b"</now>"]
    assert is_known(served, NOW)
    assert await client.answers(PUSH + begun) == [b"</now>"]
    assert await client.answers(NOW) == [b"</behind>"]
    assert served.seen == {"/now": 2, "/behind": 1}


async def test_a_request_that_begins_an_upload_is_answered_where_its_head_is_read(served: Served) -> None:
    """It needs no turn of the loop: nobody is woken for it."""
    wire = Wire(served)
    await wire.answered(0)
    assert await wire.come(b"POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n") == 1
    assert await wire.come(PUSH) == 1
    await wire.answered(2)
    wire.connection.connection_lost(None)


async def test_a_mistake_is_answered_and_ends_the_connection(served: Served, client: Client) -> None:
    broken = NOW.replace(b"/now", b"/broken")
    served.connections.heads.note(broken, *await parsed(served, broken))
    client.writer.write(broken)
    assert (await client.ends()).startswith(b"HTTP/1.1 500 ")


async def test_a_client_that_says_that_it_sends_no_more_gets_its_answer(served: Served, client: Client) -> None:
    served.gate.set()
    assert await client.answers(LATER) == [b"</later>"]
    served.gate.clear()
    served.waits.clear()
    client.writer.write(LATER)
    await served.waits.wait()
    client.writer.write_eof()
    served.gate.set()
    assert (await client.ends()).endswith(b"</later>")


async def test_a_client_that_ends_right_after_its_body_was_answered_leaves_nothing_open(
    served: Served, client: Client
) -> None:
    (connection,) = served.connections.connections
    answered = served.connections.request_handler

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        asyncio.get_running_loop().call_soon(end)  # Called right after the answer, whoever has given it.
        return await answered(request)

    def end() -> None:
        if not connection.eof_received() and connection.transport is not None:
            connection.transport.close()  # As the event loop does.

    connection._request_handler = answer
    assert await client.answers(PUSH) == [b"</now>"]
    assert await client.ends() == b""


async def test_the_end_of_the_server_ends_what_was_begun(served: Served, client: Client) -> None:
    served.gate.set()
    assert await client.answers(LATER) == [b"</later>"]
    served.gate.clear()
    served.waits.clear()
    client.writer.write(LATER)
    await served.waits.wait()
    await served.connections.shutdown(0.05)
    assert await client.ends() == b""
    assert served.cut == ["/later"]


@pytest.mark.parametrize(
    "head",
    [
        b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"GET /x HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /x HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"a" * 5000),
    ],
)
async def test_what_is_more_than_a_head_or_holds_a_password_is_not_remembered(
    served: Served, client: Client, head: bytes
) -> None:
    await client.answers(head)
    assert not is_known(served, head)


async def test_heads_take_no_more_memory_than_they_may(served: Served, client: Client) -> None:
    await client.answers(NOW)
    heads, count = KnownHeads(), 1000
    token = b"t" * 1200
    tracemalloc.start()
    try:
        for number in range(count):
            head = b"GET /v2/a/manifests/%d HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % (number, token)
            assert heads.note(head, *await parsed(served, head))
        gc.collect()  # What is in cycles goes when the collector comes by.
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 100 < len(heads._remembered) < count
    assert held_bytes < 1.1 * LIMIT_BYTES
    assert heads.get(head) is not None


async def parsed(served: Served, head: bytes) -> tuple[RawRequestMessage, StreamReader]:
    """What aiohttp's parser makes of a head."""
    connection = served.connections()
    assert isinstance(connection, Connection)
    assert connection._parser is not None
    ((message, body),), _, _ = connection._parser.feed_data(head)
    return message, body


async def test_a_chunk_that_is_there_is_answered_before_anything_else_happens(served: Served, client: Client) -> None:
    (connection,) = served.connections.connections
    await client.answers(NOW)
    received, seen = connection.data_received, list[tuple[int, int]]()

    def look(data: bytes) -> None:
        before = served.seen["/now"]
        received(data)
        seen.append((before, served.seen["/now"]))

    asked, loop = b"PATCH /now HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", asyncio.get_running_loop()
    loop.call_soon(look, asked)
    assert await client.answers(b"") == [b"</now>"]
    assert seen == [(1, 2)]
    loop.call_soon(look, asked[:-1])  # For the rest of it another has to wait.
    loop.call_soon(look, asked[-1:])
    assert await client.answers(b"") == [b"</now>"]
    assert seen == [(1, 2), (2, 2), (2, 2)]
