"""Bodies that break."""

import random
from collections.abc import Sequence

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.remote.bodies import BodyReader
from moorage.storage.remote.exchange import Exchange, StoreCall, Stream
from support.rude_server import RudeServer, Said
from unit.storage.remote.conftest import Meeting

CONTENT = random.Random(3).randbytes(600_000)


async def open_body(exchange: Exchange, url: str) -> BodyReader:
    async def ask(extra: dict[str, str]) -> Stream:
        found = await exchange.stream(
            StoreCall(kind="GetObject", method="GET", url=f"{url}/x", headers=extra, is_bulk=True, idle_s=0.2)
        )
        assert isinstance(found, Stream)
        return found

    async def fetch(start: int, end: int) -> Stream:
        return await ask({"Range": f"bytes={start}-{end - 1}"})

    first = await ask({})
    return BodyReader("/x", first, size_bytes=len(CONTENT), fetch=fetch, attempts=exchange.attempts)


async def read(reader: BodyReader, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in reader.chunks(start, end)])


@pytest.mark.parametrize("is_hung", [False, True], ids=["cut", "hung"])
@pytest.mark.parametrize("cuts", [[0], [1], [300_000], [300_000, 100_000, 1], [599_999]])
async def test_a_body_that_breaks_is_gone_on_with(meet: Meeting, cuts: Sequence[int], *, is_hung: bool) -> None:
    said, at = [], 0
    for cut in cuts:
        said.append(Said(200 if at == 0 else 206, CONTENT[at:], cut_at=cut, is_hung=is_hung))
        at += cut
    async with RudeServer([*said, Said(206, CONTENT[at:])]) as server, meet(server.url) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await read(reader) == CONTENT
        assert server.asked[-1].headers["range"] == f"bytes={at}-{len(CONTENT) - 1}"


async def test_a_body_that_never_goes_on_is_given_up(meet: Meeting) -> None:
    said = [Said(200, CONTENT, cut_at=1000), Said(206, CONTENT[1000:], cut_at=0)]
    async with RudeServer(said) as server, meet(server.url, retries=3) as exchange:
        reader = await open_body(exchange, server.url)
        with pytest.raises(StorageUnavailable, match="broke off at byte 1000 of 600000"):
            await read(reader)
        assert len(server.asked) == 1 + 3


async def test_each_break_after_some_bytes_is_a_new_one(meet: Meeting) -> None:
    said = [Said(206, CONTENT[at:], cut_at=1000) for at in range(0, 20_000, 1000)]
    async with RudeServer([*said, Said(206, CONTENT[20_000:])]) as server, meet(server.url, retries=1) as exchange:
        with await open_body(exchange, server.url) as reader:
            assert await read(reader) == CONTENT


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
