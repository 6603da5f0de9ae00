"""The memory that bodies held whole have together: who waits, who is sent away, and when it comes back."""

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from moorage.errors import TooManyRequests
from moorage.web.bodies import Bodies
from moorage.web.connection import ConnectionServer
from moorage.web.holding import FREE_BYTES, Holding, Holdings
from moorage.web.responses import Response
from support.clock import Clock

BUDGET_BYTES = 1_000_000
LARGE_BYTES = FREE_BYTES + 600_000


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def holdings(clock: Clock) -> Holdings:
    return Holdings(BUDGET_BYTES, monotonic=clock)


class Body:
    """A request that holds its body until it is told to end, or is given up."""

    def __init__(self, holdings: Holdings, size_bytes: int) -> None:
        self.ends, self.held = asyncio.Event(), asyncio.Event()
        self.is_given_up = False
        self.holding: Holding | None = None
        self.task = asyncio.create_task(self._run(holdings, size_bytes))

    async def _run(self, holdings: Holdings, size_bytes: int) -> None:
        self.holding = holdings.begin(self._give_up)
        try:
            await self.holding.grow(size_bytes)
            self.held.set()
            await self.ends.wait()
        finally:
            holdings.end(self.holding)

    def _give_up(self) -> None:
        self.is_given_up = True
        self.ends.set()

    async def end(self) -> None:
        self.ends.set()
        await asyncio.wait_for(self.task, 30)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0)


async def test_a_body_waits_for_room_and_gets_it_when_another_has_gone(holdings: Holdings) -> None:
    first = Body(holdings, LARGE_BYTES)
    await first.held.wait()
    second = Body(holdings, LARGE_BYTES)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not second.held.is_set()
    await first.end()
    await asyncio.wait_for(second.held.wait(), 30)
    await second.end()
    await until(lambda: holdings.held_bytes == 0)


async def test_a_body_that_waits_too_long_is_sent_away_with_a_time_to_come_back(
    holdings: Holdings, clock: Clock
) -> None:
    first = Body(holdings, LARGE_BYTES)
    await first.held.wait()
    assert first.holding is not None
    first.holding.is_whole = True
    second = Body(holdings, LARGE_BYTES)
    await until(lambda: second.holding)
    clock.now += 11
    with pytest.raises(TooManyRequests) as refused:
        await asyncio.wait_for(second.task, 30)
    assert refused.value.retry_after.total_seconds() > 0
    await until(lambda: holdings.held_bytes == 600_000)
    await first.end()
    await until(lambda: holdings.held_bytes == 0)


async def test_a_body_that_stalls_is_given_up_for_one_that_waits(holdings: Holdings, clock: Clock) -> None:
    stalled = Body(holdings, LARGE_BYTES)
    await stalled.held.wait()
    clock.now += 16
    second = Body(holdings, LARGE_BYTES)
    await asyncio.wait_for(second.held.wait(), 30)
    assert stalled.is_given_up
    await second.end()


async def test_a_body_that_is_whole_is_not_given_up(holdings: Holdings, clock: Clock) -> None:
    whole = Body(holdings, LARGE_BYTES)
    await whole.held.wait()
    assert whole.holding is not None
    whole.holding.is_whole = True
    clock.now += 16
    second = Body(holdings, LARGE_BYTES)
    await until(lambda: second.holding)
    clock.now += 16
    with pytest.raises(TooManyRequests):
        await asyncio.wait_for(second.task, 30)
    assert not whole.is_given_up
    await whole.end()


async def test_ordinary_bodies_never_wait(holdings: Holdings) -> None:
    full = Body(holdings, FREE_BYTES + BUDGET_BYTES)
    await full.held.wait()
    small = [Body(holdings, FREE_BYTES) for _ in range(100)]
    for body in small:
        await asyncio.wait_for(body.held.wait(), 30)
    for body in [full, *small]:
        await body.end()
    await until(lambda: holdings.held_bytes == 0)


async def test_what_a_cancelled_request_held_comes_back(holdings: Holdings) -> None:
    body = Body(holdings, LARGE_BYTES)
    await body.held.wait()
    body.task.cancel()
    await until(lambda: holdings.held_bytes == 0)


@pytest.mark.parametrize("method", [b"PUT", b"PATCH"])
async def test_a_body_is_held_until_its_answer_and_not_until_the_end_of_its_connection(method: bytes) -> None:
    bodies, held = Bodies(), list[int]()

    async def app(request: BaseRequest) -> Response:
        body = await bodies.whole(request, check_size=lambda _: None)
        held.append(bodies._holdings.held_bytes)
        return Response(200, {}, b"<%d>" % len(body))

    connections = ConnectionServer(app)
    server = web.ServerRunner(connections, handle_signals=False)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.addresses[0][1])
    async with asyncio.timeout(30):
        for size_bytes in (FREE_BYTES + 1000, 3):
            writer.write(method + b" / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size_bytes)
            writer.write(bytes(size_bytes))
            assert (await reader.readuntil(b">")).endswith(b"<%d>" % size_bytes)
    assert (held, bodies._holdings.held_bytes) == ([1000, 0], 0)
    writer.close()
    await server.cleanup()
