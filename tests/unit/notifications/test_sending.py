"""One try to tell a receiver: what counts as taken, refused or away, over real connections."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from moorage.notifications.endpoints import EndpointSettings
from moorage.notifications.sending import Sender, SendResult
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from support.announcing import announcer
from support.ports import free_port
from support.receiver import Heard, Receiver, Reply, receiving

SECRET = "s3cr3t"
(NOTICE,) = announcer().blob_deleted(RepositoryName("app"), Digest.of(b""))


@asynccontextmanager
async def sending(url: str, *, timeout_s: float = 5.0, **more: object) -> AsyncIterator[Sender]:
    sender = Sender(EndpointSettings(name="told", url=url, timeout=timedelta(seconds=timeout_s), **more))  # type: ignore[arg-type]
    try:
        yield sender
    finally:
        await sender.close()


@asynccontextmanager
async def talking(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A receiver that is no HTTP server; its URL. At the end each of its connections is closed."""
    ended: list[asyncio.Event] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(event := asyncio.Event())
        with contextlib.suppress(OSError):
            await talk(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        event.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for event in ended:
            await event.wait()


async def sent(decide: Callable[[Heard], Reply], *, timeout_s: float = 5.0) -> SendResult:
    with receiving(decide) as receiver:
        async with sending(receiver.url, timeout_s=timeout_s) as sender:
            return await sender.send(NOTICE.payload)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "accepted"),
        (204, "accepted"),
        (299, "accepted"),
        (302, "accepted"),
        (399, "accepted"),
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (499, "refused"),
        (408, "away"),
        (425, "away"),
        (429, "away"),
        (500, "away"),
        (503, "away"),
        (599, "away"),
    ],
)
async def test_a_status_says_what_became_of_an_event(status: int, outcome: str) -> None:
    result = await sent(lambda _: Reply(status=status, body=b""))
    assert (result.outcome, result.status) == (outcome, status)


async def test_a_receiver_that_hangs_is_away_after_the_timeout() -> None:
    result = await sent(lambda _: Reply(hangs=True), timeout_s=0.2)
    assert result == SendResult("away", "no answer within 0.2 s")


async def test_a_receiver_that_resets_is_away() -> None:
    result = await sent(lambda _: Reply(resets=True))
    assert (result.outcome, result.reason) == ("away", "the connection broke off before an answer came")


async def test_a_receiver_that_refuses_connections_is_away() -> None:
    async with sending(f"http://127.0.0.1:{free_port()}/") as sender:
        result = await sender.send(NOTICE.payload)
    assert result.outcome == "away"
    assert result.reason.startswith("cannot connect: ")


async def test_an_answer_that_is_none_is_away() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"nonsense\r\n\r\n")
        await writer.drain()

    async with talking(talk) as url, sending(url) as sender:
        result = await sender.send(NOTICE.payload)
    assert result.outcome == "away"
    assert result.reason.startswith("its answer makes no sense")


async def test_an_answer_without_end_counts_by_its_status_and_costs_no_memory() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()

    async with talking(talk) as url, sending(url) as sender:
        assert (await sender.send(NOTICE.payload)).outcome == "accepted"


async def test_a_body_that_does_not_come_does_not_undo_its_status() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with talking(talk) as url, sending(url, timeout_s=0.3) as sender:
        assert (await sender.send(NOTICE.payload)).outcome == "accepted"


async def test_redirects_end_after_ten() -> None:
    result = await sent(lambda _: Reply(status=307, location="/again"))
    assert result == SendResult("away", "it redirects more than 10 times", 307)


@pytest.mark.parametrize("location", ["ftp://example.com/", "http://[/", "javascript:alert(1)"])
async def test_a_redirect_to_what_is_no_web_address_is_away(location: str) -> None:
    result = await sent(lambda _: Reply(status=307, location=location))
    assert result == SendResult("away", "it answered 307 with a Location that is no web address", 307)


async def test_a_redirect_on_the_same_host_keeps_body_and_headers() -> None:
    with receiving(lambda heard: Reply(status=308, location="/there") if heard.path == "/events" else Reply()) as here:
        async with sending(here.url, headers=(("X-Secret", SECRET), ("X-Secret", "two"))) as sender:
            assert (await sender.send(NOTICE.payload)).outcome == "accepted"
        there = here.heard[1]
        assert (there.method, there.path) == ("POST", "/there")
        assert there.headers.get_all("X-Secret") == [SECRET, "two"]
        assert there.headers["Content-Type"] == "application/vnd.docker.distribution.events.v1+json"
        assert len(there.events) == 1


async def test_a_user_in_the_address_is_sent_unless_a_header_says_who() -> None:
    for headers, expected in (((), "Basic YWRhOnMzY3IzdA=="), ((("authorization", "Bearer x"),), "Bearer x")):
        with Receiver() as receiver:
            url = receiver.url.replace("127.0.0.1", f"ada:{SECRET}@127.0.0.1")
            async with sending(url, headers=headers) as sender:
                assert (await sender.send(NOTICE.payload)).outcome == "accepted"
            assert receiver.heard[0].headers["Authorization"] == expected


async def test_no_reason_holds_a_secret() -> None:
    port = free_port()
    urls = [
        f"http://ada:{SECRET}@127.0.0.1:{port}/{SECRET}?{SECRET}",
        f"https://ada:{SECRET}@127.0.0.1:{port}/{SECRET}",
        f"http://ada:{SECRET}@no-such-host.invalid/{SECRET}",
    ]
    for url in urls:
        async with sending(url, headers=(("X", SECRET),)) as sender:
            result = await sender.send(NOTICE.payload)
        assert result.outcome == "away"
        assert SECRET not in repr(result)


async def test_tls_that_is_none_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with sending(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.3) as sender:
            assert (await sender.send(NOTICE.payload)).outcome == "away"
