"""WSGI applications behind our own connections: what they are given, what comes of it, and who waits for whom."""

import asyncio
import io
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from moorage.telemetry import LogSettings
from moorage.web.access_log import AccessLog
from moorage.web.connection import ConnectionServer
from moorage.web.spooling import MEMORY_LIMIT_BYTES
from moorage.web.wsgi_bridge import AFTERWARDS_KEY, BODY_LIMIT_BYTES, WSGIApplication, WSGICallable

StartResponse = Callable[..., object]
DEADLINE_S = 60


@asynccontextmanager
async def serving(application: WSGICallable, *, threads: int = 2, is_https: bool = False) -> AsyncIterator[str]:
    log = AccessLog(LogSettings(fields={}, access_disabled=True))
    app = WSGIApplication(application, access_log=log, threads=threads, is_https=is_https)
    runner = web.ServerRunner(ConnectionServer(app), handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield "{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()
        app.close()


def echo(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    keys = environment["QUERY_STRING"].split(",")
    body = environment["wsgi.input"].read()
    start_response("200 OK", [("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=2"), ("X-Many", "1"), ("X-Many", "2")])
    return [*[f"{key}={environment.get(key)}\n".encode() for key in keys], body]


async def test_a_request_comes_whole_and_with_its_raw_path() -> None:
    async with serving(echo) as address, aiohttp.ClientSession() as client:
        url = f"http://{address}/a%2Fb/c?PATH_INFO,RAW_URI,CONTENT_LENGTH,HTTP_X_LIST,REMOTE_ADDR,wsgi.url_scheme"
        headers = [("X-List", "1"), ("X-List", "2"), ("X_List", "forged")]
        async with client.post(URL(url, encoded=True), data=b"body", headers=headers) as answer:
            text = await answer.text()
            cookies = answer.headers.getall("Set-Cookie")
            many = answer.headers.getall("X-Many")
    assert text.splitlines() == [
        "PATH_INFO=/a/b/c",
        f"RAW_URI={url.removeprefix(f'http://{address}')}",
        "CONTENT_LENGTH=4",
        "HTTP_X_LIST=1,2",
        "REMOTE_ADDR=127.0.0.1",
        "wsgi.url_scheme=http",
        "body",
    ]
    assert (cookies, many) == (["a=1; Path=/", "b=2"], ["1, 2"])


async def test_a_proxy_that_is_named_says_whose_request_it_is() -> None:
    async with serving(echo, is_https=True) as address, aiohttp.ClientSession() as client:
        headers = {"X-Forwarded-For": "198.51.100.7"}
        async with client.get(f"http://{address}/?REMOTE_ADDR,wsgi.url_scheme", headers=headers) as answer:
            assert await answer.text() == "REMOTE_ADDR=198.51.100.7\nwsgi.url_scheme=https\n"


async def test_a_body_that_is_too_large_is_refused_and_reaches_nobody() -> None:
    reached = threading.Event()

    def application(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        reached.set()
        return echo(environment, start_response)

    async with (
        serving(application) as address,
        aiohttp.ClientSession() as client,
        client.post(f"http://{address}/", data=io.BytesIO(b"x" * (BODY_LIMIT_BYTES + 1))) as answer,
    ):
        assert answer.status == 413
    assert not reached.is_set()


async def test_clients_that_send_half_a_request_hold_no_thread() -> None:
    halves = [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", b""]
    async with serving(echo, threads=1) as address:
        host, _, port = address.rpartition(":")
        slow = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        for number, (_, writer) in enumerate(slow):
            writer.write(halves[number % len(halves)])
            await writer.drain()
        async with aiohttp.ClientSession() as client, client.get(f"http://{address}/") as answer:
            assert answer.status == 200
        for _, writer in slow:
            writer.close()


async def test_who_comes_when_all_threads_and_places_are_taken_is_sent_away() -> None:
    go_on = threading.Event()

    def waits(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        assert go_on.wait(DEADLINE_S)
        return echo(environment, start_response)

    async with (
        serving(waits, threads=1) as address,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):

        async def status() -> int:
            async with client.get(f"http://{address}/") as answer:
                if answer.status == 429:
                    assert answer.headers["Retry-After"] == "2"
                    go_on.set()
                return answer.status

        found = await asyncio.gather(*(status() for _ in range(18)))
    assert sorted(found) == [200] * 17 + [429]


async def test_what_is_done_afterwards_keeps_no_answer_back_and_has_a_place_of_its_own() -> None:
    has_begun, go_on = threading.Event(), threading.Event()

    def later() -> None:
        has_begun.set()
        assert go_on.wait(DEADLINE_S)
        msg = "planted"
        raise ValueError(msg)

    def application(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environment["PATH_INFO"] == "/later":
            environment[AFTERWARDS_KEY].append(later)
        return echo(environment, start_response)

    async with (
        serving(application, threads=1) as address,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):

        async def status(path: str) -> int:
            async with client.get(f"http://{address}{path}") as answer:
                if answer.status == 429:
                    go_on.set()
                return answer.status

        assert await status("/later") == 200
        assert await asyncio.to_thread(has_begun.wait, DEADLINE_S)
        found = await asyncio.gather(*(status("/") for _ in range(17)))
        assert sorted(found) == [200] * 16 + [429]
        assert await status("/") == 200


async def test_the_answer_is_closed_in_the_thread_that_made_it() -> None:
    threads: list[int] = []

    class Answer:
        def __iter__(self) -> Iterator[bytes]:
            threads.append(threading.get_ident())
            yield b"x"

        def close(self) -> None:
            threads.append(threading.get_ident())

    def application(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        del environment
        start_response("200 OK", [("Content-Length", "1")])
        return Answer()

    async with serving(application) as address, aiohttp.ClientSession() as client:
        async with client.get(f"http://{address}/") as answer:
            assert await answer.read() == b"x"
        async with client.head(f"http://{address}/") as answer:
            assert answer.headers["Content-Length"] == "1"
    assert len(threads) == 4
    assert threading.get_ident() not in threads


async def test_a_large_answer_is_made_before_its_client_reads_and_takes_no_memory() -> None:
    piece, pieces, is_made = b"x" * (64 << 10), 512, threading.Event()
    assert len(piece) * pieces > 16 * MEMORY_LIMIT_BYTES

    def application(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        del environment
        start_response("200 OK", [("Content-Type", "text/csv")])
        for _ in range(pieces):
            yield piece
        is_made.set()

    async with serving(application, threads=1) as address:
        tracemalloc.start()
        try:
            reader, writer = await asyncio.open_connection(*address.split(":"))
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await asyncio.to_thread(is_made.wait, DEADLINE_S), "its thread waits for no client"
            head = await reader.readuntil(b"\r\n\r\n")
            count = 0
            while count < len(piece) * pieces:
                count += len(await reader.read(1 << 16))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert b"Content-Length: 33554432" in head
        assert peak < 8 * MEMORY_LIMIT_BYTES
        writer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Content-Length: 33554432" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("cookie", ["a=1\r\nX-Forged: 1", "a=1\nX-Forged: 1"])
async def test_a_cookie_cannot_break_out_of_its_line(cookie: str) -> None:
    def application(environment: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        del environment
        start_response("200 OK", [("Set-Cookie", cookie)])
        return [b""]

    async with serving(application) as address, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            await client.get(f"http://{address}/")


def test_secrets_in_a_query_are_not_logged() -> None:
    request = make_mocked_request("GET", "/api?page=2&private_token=glpat-x&code=1&per_page=3")
    app = WSGIApplication(echo, access_log=AccessLog(LogSettings(fields={}, access_disabled=True)), threads=1)
    assert app.logged_target(app.begin(request)) == "/api?page=2&per_page=3"
    app.close()
