"""Answers as bytes on the wire."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from moorage.web import responses
from moorage.web.connection import ConnectionServer
from moorage.web.responses import Response

Exchange = Callable[[Response, bytes], Awaitable[bytes]]
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
OLD_KEEPING = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
PROBE = b"GET /probe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PROBED = b"HTTP/1.1 418 "


@pytest.fixture
async def exchange() -> AsyncIterator[Exchange]:
    """Sends a request that gets a given response, then a probe on the same connection; all that came back."""
    given: list[Response] = []

    async def answer(request: web.BaseRequest) -> Response:
        return Response(418) if request.raw_path == "/probe" else given[0]

    server = ConnectionServer(answer)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    address = listening.sockets[0].getsockname()

    async def run(response: Response, request: bytes) -> bytes:
        given[:] = [response]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(request + PROBE)
        received = await reader.read(-1)
        writer.close()
        return received

    yield run
    listening.close()
    await server.shutdown(0)


def lines(received: bytes) -> list[bytes]:
    return received.partition(b"\r\n\r\n")[0].split(b"\r\n")


async def test_the_body_is_as_long_as_it_says(exchange: Exchange) -> None:
    received = await exchange(Response(200, {"A": "b"}, b"body"), GET)
    assert lines(received)[:3] == [b"HTTP/1.1 200 OK", b"A: b", b"Content-Length: 4"]
    assert received.partition(b"\r\n\r\n")[2].startswith(b"body" + PROBED)


async def test_a_head_has_the_length_and_no_body(exchange: Exchange) -> None:
    received = await exchange(Response(200, {}, b"body"), HEAD)
    assert b"Content-Length: 4" in lines(received)
    assert received.partition(b"\r\n\r\n")[2].startswith(PROBED)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_has_no_length(status: int, exchange: Exchange) -> None:
    received = await exchange(Response(status), GET)
    assert b"content-length" not in b"\r\n".join(lines(received)).lower()
    assert received.partition(b"\r\n\r\n")[2].startswith(PROBED)


async def test_an_empty_answer_says_that_it_is(exchange: Exchange) -> None:
    assert b"Content-Length: 0" in lines(await exchange(Response(202), GET))


@pytest.mark.parametrize(
    ("request_", "connection", "goes_on"),
    [
        (GET, None, True),
        (CLOSING, b"Connection: close", False),
        (OLD, b"Connection: close", False),
        (OLD_KEEPING, b"Connection: keep-alive", True),
    ],
)
async def test_the_connection_goes_on_as_the_client_asked(
    request_: bytes, connection: bytes | None, *, goes_on: bool, exchange: Exchange
) -> None:
    received = await exchange(Response(200), request_)
    assert next((line for line in lines(received) if line.startswith(b"Connection")), None) == connection
    assert (PROBED in received) is goes_on


async def test_a_forced_close_ends_the_connection(exchange: Exchange) -> None:
    response = Response(200)
    response.force_close()
    received = await exchange(response, GET)
    assert b"Connection: close" in lines(received)
    assert PROBED not in received


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\nX: y", "a\rX: y", "\n", "a\r\n\r\nbody"])
@pytest.mark.parametrize("place", ["name", "value"])
async def test_a_header_that_would_break_out_of_its_line_is_not_sent(text: str, place: str, exchange: Exchange) -> None:
    headers = {text: "x"} if place == "name" else {"A": text}
    received = await exchange(Response(200, headers), GET)
    assert received.startswith(b"HTTP/1.1 500 ") or not received
    assert b"X: y" not in received


async def test_text_outside_ascii_is_sent_as_something_harmless(exchange: Exchange) -> None:
    received = await exchange(Response(200, {"A": "ü\udcff"}), GET)
    assert lines(received)[1] == b"A: \xc3\xbc\\udcff"


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (784111777, "Date: Sun, 06 Nov 1994 08:49:37 GMT"),
        (1709164800.9, "Date: Thu, 29 Feb 2024 00:00:00 GMT"),
        (1735689599, "Date: Tue, 31 Dec 2024 23:59:59 GMT"),
    ],
)
def test_the_date_is_in_the_one_format_that_may_be_sent(now: float, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Source: RFC 9110 § 5.6.7, whose example is the first."""
    monkeypatch.setattr("time.time", lambda: now)
    monkeypatch.setattr(responses._Clock, "second", 0)
    monkeypatch.setattr(responses._Clock, "line", "")
    assert responses._date() == line


async def test_every_answer_has_a_date(exchange: Exchange) -> None:
    received = await exchange(Response(204), GET)
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", received)
