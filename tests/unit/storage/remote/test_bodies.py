"""Bodies that break."""

import asyncio
import contextlib
import errno
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import cast

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.remote import bodies
from moorage.storage.remote.bodies import BodyReader
from moorage.storage.remote.exchange import Exchange, StoreCall, Stream
from moorage.web.bodies import ClientGone
from moorage.web.lane import Lane
from support.rude_server import RudeServer, Said
from unit.storage.remote.conftest import Meeting

CONTENT = random.Random(3).randbytes(600_000)


async def open_body(exchange: Exchange, url: str, *, size_bytes: int = len(CONTENT)) -> BodyReader:
    async def ask(extra: dict[str, str]) -> Stream:
        found = await exchange.stream(
            StoreCall(kind="GetObject", method="GET", url=f"{url}/x", headers=extra, is_bulk=True, idle_s=0.2)
        )
        assert isinstance(found, Stream)
        return found

    async def fetch(start: int, end: int) -> Stream:
        return await ask({"Range": f"bytes={start}-{end - 1}"})

    first = await ask({})
    return BodyReader("/x", first, size_bytes=size_bytes, fetch=fetch, attempts=exchange.attempts)


async def read(reader: BodyReader, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in reader.chunks(start, end)])


class Watched(Lane):
    """A lane that counts what went from socket to socket."""

    spliced_bytes = 0

    async def splice(self, source: socket.socket, count: int, *, idle_s: float) -> int:
        passed = await super().splice(source, count, idle_s=min(idle_s, 0.2))
        Watched.spliced_bytes += passed
        return passed


Reading = Callable[[BodyReader], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[Reading]:
    """A client to whom bytes are sent past this process: what it has received is returned."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def accept(came: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        received.set_result(await came.read())
        back.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())

        async def poured(reader: BodyReader) -> bytes:
            try:
                with Watched(cast("asyncio.Transport", writer.transport), writer.transport.get_protocol()) as lane:
                    await reader.pour(lane)
            finally:
                writer.close()
            return await received

        yield poured
        writer.close()


@pytest.fixture(params=["read", "poured"])
async def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reading]:
    if request.param == "read":
        yield read
        return
    monkeypatch.setattr(bodies, "_BY_US_BYTES", 10)
    async with client() as poured:
        yield poured


@pytest.mark.parametrize("is_hung", [False, True], ids=["cut", "hung"])
@pytest.mark.parametrize("cuts", [[0], [1], [300_000], [300_000, 100_000, 1], [599_999]])
async def test_a_body_that_breaks_is_gone_on_with(
    meet: Meeting, reading: Reading, cuts: Sequence[int], *, is_hung: bool
) -> None:
    said, at = [], 0
    for cut in cuts:
        said.append(Said(200 if at == 0 else 206, CONTENT[at:], cut_at=cut, is_hung=is_hung))
        at += cut
    async with RudeServer([*said, Said(206, CONTENT[at:])]) as server, meet(server.url) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await reading(reader) == CONTENT
        assert server.asked[-1].headers["range"] == f"bytes={at}-{len(CONTENT) - 1}"


async def test_a_body_that_never_goes_on_is_given_up(meet: Meeting, reading: Reading) -> None:
    said = [Said(200, CONTENT, cut_at=1000), Said(206, CONTENT[1000:], cut_at=0)]
    async with RudeServer(said) as server, meet(server.url, retries=3) as exchange:
        reader = await open_body(exchange, server.url)
        with pytest.raises(StorageUnavailable, match="broke off at byte 1000 of 600000"):
            await reading(reader)
        assert len(server.asked) == 1 + 3


async def test_each_break_after_some_bytes_is_a_new_one(meet: Meeting, reading: Reading) -> None:
    said = [Said(206, CONTENT[at:], cut_at=1000) for at in range(0, 20_000, 1000)]
    async with RudeServer([*said, Said(206, CONTENT[20_000:])]) as server, meet(server.url, retries=1) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await reading(reader) == CONTENT


async def test_a_range_asks_for_no_more_than_is_wanted(meet: Meeting) -> None:
    async with RudeServer([Said(200, CONTENT), Said(206, CONTENT[5:90])]) as server, meet(server.url) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await read(reader, 5, 90) == CONTENT[5:90]
        assert server.asked[-1].headers["range"] == "bytes=5-89"


async def test_the_beginning_comes_from_the_first_answer(meet: Meeting) -> None:
    async with RudeServer([Said(200, CONTENT)]) as server, meet(server.url) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await read(reader, 0, 10) == CONTENT[:10]
        assert len(server.asked) == 1


async def test_a_large_body_goes_from_socket_to_socket(meet: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watched, "spliced_bytes", 0)
    content = CONTENT * 10
    async with RudeServer([Said(200, content)]) as server, meet(server.url) as exchange, client() as poured:
        with await open_body(exchange, server.url, size_bytes=len(content)) as reader:
            assert await poured(reader) == content
        assert Watched.spliced_bytes > len(content) // 2


async def test_a_client_that_is_gone_is_no_fault_of_the_store(meet: Meeting) -> None:
    class Deaf(Watched):
        async def write(self, data: bytes) -> None:
            assert data
            raise ClientGone

    async with RudeServer([Said(200, CONTENT)]) as server, meet(server.url) as exchange:
        _, writer = await asyncio.open_connection(*server.url.removeprefix("http://").split(":"))
        transport = cast("asyncio.Transport", writer.transport)
        reader = await open_body(exchange, server.url)
        with reader, Deaf(transport, transport.get_protocol()) as lane, pytest.raises(ClientGone):
            await reader.pour(lane)
        writer.close()
        assert len(server.asked) == 1


async def test_where_the_kernel_moves_nothing_between_sockets_this_process_does(
    meet: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def splice(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSYS, "no")

    monkeypatch.setattr(os, "splice", splice)
    monkeypatch.setattr(bodies, "_BY_US_BYTES", 10)
    said = [Said(200, CONTENT, cut_at=300_000), Said(206, CONTENT[300_000:])]
    async with RudeServer(said) as server, meet(server.url) as exchange, client() as poured:
        with await open_body(exchange, server.url) as reader:
            assert await poured(reader) == CONTENT
