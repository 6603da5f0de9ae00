"""What a connection does with heads, ends and codings that no ordinary client sends."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
import structlog
from aiohttp import web

from moorage.errors import MoorageError
from moorage.http.bodies import Bodies
from moorage.http.connection import ConnectionServer
from moorage.http.errors import render
from moorage.http.responses import Response
from moorage.telemetry import LogSettings, configure, get_log

HEAD = b" / HTTP/1.1\r\nHost: x\r\n"
LARGE = b"".join(b"X%d: %b\r\n" % (number, b"a" * 60_000) for number in range(5))


@pytest.fixture
async def port() -> AsyncIterator[int]:
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

    server = web.ServerRunner(ConnectionServer(app), handle_signals=False)
    await server.setup()
    await web.TCPSite(server, "127.0.0.1", 0).start()
    yield server.addresses[0][1]
    await server.cleanup()


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


async def test_a_greeting_of_tls_is_closed(port: int) -> None:
    assert await ask(port, b"\x16\x03\x01") == b""


def test_a_crash_in_the_log_holds_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure(LogSettings(fields={}))
    try:
        crash("hunter" + "2")
    except ZeroDivisionError:
        get_log("test").exception("crashed")
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers.clear()
    line = capsys.readouterr().out
    assert json.loads(line)["exception"]
    assert "hunter2" not in line


def crash(password: str) -> float:
    """Fail with a secret in hand."""
    return len(password) / 0
