"""What a connection does with heads, ends and codings that no ordinary client sends."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from moorage.errors import MoorageError
from moorage.telemetry import LogSettings, configure, get_log
from moorage.web.bodies import Bodies
from moorage.web.connection import Connection, ConnectionServer
from moorage.web.errors import render
from moorage.web.responses import Response

HEAD = b" / HTTP/1.1\r\nHost: x\r\n"
LARGE = b"".join(b"X%d: %b\r\n" % (number, b"a" * 60_000) for number in range(5))


@pytest.fixture
async def served() -> AsyncIterator[tuple[ConnectionServer, int]]:
    """A server that says how long the body was, and begins only when the client may be at its end."""
    bodies = Bodies()

    async def app(request: web.BaseRequest) -> Response:
        for _ in range(20):
            await asyncio.sleep(0)
        try:
            body = await bodies.whole(request, check_size=lambda _: None)
        except MoorageError as exc:
            return render(exc)
        return Response(200, {}, b"<%d>" % len(body))

    connections = ConnectionServer(app)
    server = web.ServerRunner(connections, handle_signals=False)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield connections, server.addresses[0][1]
    await server.cleanup()


@pytest.fixture
def port(served: tuple[ConnectionServer, int]) -> int:
    """Its port."""
    return served[1]


async def ask(port: int, data: bytes, *, half_close: bool = False) -> bytes:
    """Everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if half_close:
        writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"POST", b"PATCH"])
async def test_a_client_that_closes_its_sending_half_is_answered(port: int, method: bytes) -> None:
    answer = await ask(port, method + HEAD + b"Content-Length: 3\r\n\r\nabc", half_close=True)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"<3>")


async def test_all_requests_before_the_half_close_are_answered(port: int) -> None:
    answer = await ask(port, (b"GET" + HEAD + b"\r\n") * 3, half_close=True)
    assert answer.count(b"HTTP/1.1 200") == 3


async def test_a_body_that_the_half_close_cuts_is_not_taken(port: int) -> None:
    answer = await ask(port, b"PUT" + HEAD + b"Content-Length: 9\r\n\r\nabc", half_close=True)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"SIZE_INVALID" in answer


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        pytest.param(b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", b"501", id="gzip-chunked"),
        pytest.param(b"Transfer-Encoding: deflate, chunked\r\n\r\n0\r\n\r\n", b"501", id="deflate-chunked"),
        pytest.param(b"Transfer-Encoding: gzip\r\n\r\n", b"400", id="gzip"),
        pytest.param(b"Transfer-Encoding: identity\r\n\r\n", b"400", id="identity"),
        pytest.param(b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", b"400", id="chunked-gzip"),
        pytest.param(
            b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", id="two-headers"
        ),
        pytest.param(b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\na", b"415", id="content-gzip"),
    ],
)
async def test_a_coded_body_is_refused(port: int, rest: bytes, status: bytes) -> None:
    answer = await ask(port, b"PUT" + HEAD + rest, half_close=True)
    assert answer[9:12] == status


@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["whole", "unfinished"])
async def test_a_head_that_is_large_in_sum_is_refused(port: int, end: bytes) -> None:
    answer = await ask(port, b"GET" + HEAD + LARGE + end)
    assert answer.startswith(b"HTTP/1.1 431")
    assert b'"errors"' in answer


async def test_a_head_that_is_refused_is_followed_by_nothing(port: int) -> None:
    answer = await ask(port, b"GET" + HEAD + LARGE + b"\r\n" + b"GET" + HEAD + b"\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_large_head_behind_others_is_refused_after_they_are_answered(port: int) -> None:
    answer = await ask(port, (b"GET" + HEAD + b"\r\n") * 2 + b"GET" + HEAD + LARGE + b"\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"200", b"200", b"431"]


async def test_a_head_of_many_small_headers_is_refused(port: int) -> None:
    answer = await ask(port, b"GET" + HEAD + b"".join(b"X%d: a\r\n" % number for number in range(200)) + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")


async def test_a_head_within_the_limits_is_taken(port: int) -> None:
    many = b"".join(b"X%d: %b\r\n" % (number, b"a" * 1_000) for number in range(120))
    answer = await ask(port, b"GET" + HEAD + many + b"Connection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")


async def test_trailers_that_are_large_in_sum_end_the_body(port: int) -> None:
    answer = await ask(port, b"PUT" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + LARGE)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"SIZE_INVALID" in answer


async def test_what_all_unfinished_heads_take_is_bounded(served: tuple[ConnectionServer, int]) -> None:
    server, port = served
    large = b"GET" + HEAD + LARGE[:120_000]
    strangers = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
    for _, writer in strangers:
        writer.write(large)
    refused = await asyncio.wait_for(strangers[-1][0].read(), 30)
    assert refused.startswith(b"HTTP/1.1 429")
    assert b"\r\nRetry-After: " in refused
    assert server.unfinished_bytes < 34 << 20
    # Meanwhile an ordinary head is taken, also one that comes in pieces.
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in (b"GET" + HEAD, b"X: " + b"a" * 8_000, b"\r\nConnection: close\r\n\r\n"):
        writer.write(piece)
        for _ in range(5):
            await asyncio.sleep(0)
    assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 200")
    for _, line in [*strangers, (reader, writer)]:
        line.transport.abort()
    async with asyncio.timeout(30):
        while server.connections:  # noqa: ASYNC110 - a server raises no event
            await asyncio.sleep(0.01)
    assert server.unfinished_bytes == 0


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"GET" + HEAD + b"\r\n" + b"GET" + HEAD, id="behind-a-head"),
        pytest.param(b"PUT" + HEAD + b"Content-Length: 9000\r\n\r\n" + b"b" * 9000 + b"GET" + HEAD, id="behind-a-body"),
        pytest.param(
            b"PUT" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET" + HEAD, id="behind-chunks"
        ),
        pytest.param(b"PUT" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", id="trailers"),
    ],
)
async def test_an_unfinished_head_counts_also_when_it_comes_along(
    served: tuple[ConnectionServer, int], first: bytes
) -> None:
    server, port = served
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first + LARGE[:50_000])
    async with asyncio.timeout(30):
        while not 50_000 <= server.unfinished_bytes <= 60_000:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    writer.transport.abort()


async def test_a_body_full_of_line_ends_is_not_taken_for_heads(port: int) -> None:
    body = b"\r\n\r\n\n0\r\n" * 60_000
    small = b"".join(b"1\r\n%b\r\n" % body[at : at + 1] for at in range(200_000))
    for sent in (
        b"PUT" + HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        b"PUT" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        b"PUT" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + small + b"0\r\n\r\n",
    ):
        answer = await ask(port, sent, half_close=True)
        assert answer.startswith(b"HTTP/1.1 200"), answer


async def test_requests_sent_ahead_are_not_all_held(served: tuple[ConnectionServer, int]) -> None:
    server, port = served
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(200):
        writer.write(b"GET" + HEAD + b"X: " + b"a" * 60_000 + b"\r\n\r\n")
    writer.write_eof()
    most = 0
    async with asyncio.timeout(60):
        while line := await reader.readline():
            most = max(most, *(len(connection._messages) for connection in server.connections), 0)
            if not server.connections:
                break
            assert not line.startswith(b"HTTP/1.1 4")
    assert 0 < most <= 8
    writer.close()


async def test_what_fails_for_want_of_a_client_is_no_crash(
    served: tuple[ConnectionServer, int], caplog: pytest.LogCaptureFixture
) -> None:
    server, _ = served
    connection = server()
    assert isinstance(connection, Connection)
    connection.log_exception("Unhandled exception", exc_info=RuntimeError("Connection closed."))
    assert [record.message for record in caplog.records] == []
    connection.log_exception("Unhandled exception", exc_info=ValueError("a mistake of ours"))
    assert [record.message for record in caplog.records] == ["Unhandled exception"]


async def test_a_greeting_of_tls_is_answered_in_http_so_that_clients_can_fall_back(port: int) -> None:
    answer = await ask(port, b"\x16\x03\x01")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"this port speaks plain HTTP" in answer


def test_a_crash_in_the_log_holds_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(fields={}))
    try:
        crash("hunter" + "2")
    except ZeroDivisionError:
        get_log("test").exception("crashed")
    line = capsys.readouterr().out
    assert json.loads(line)["exception"]
    assert "hunter2" not in line


def crash(password: str) -> float:
    """Fail with a secret in hand."""
    return len(password) / 0
