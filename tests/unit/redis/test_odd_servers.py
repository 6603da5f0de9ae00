"""Servers that answer late, in parts, otherwise than they should, or an older language: no answer is another one's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from moorage.config.sections.redis import RedisConnection
from moorage.limits.node_counters import NodeCounters
from moorage.limits.rates import Rate
from moorage.limits.redis_counters import RedisCounters
from moorage.redis import guarded
from moorage.redis.guarded import GuardedRedis, RedisUnavailable

PATIENCE_S = 0.2
RATE = Rate(name="each", count=1, period_s=60.0, burst=5, blocks=True)
UNKNOWN = b"-ERR unknown command `%s`, with args beginning with: \r\n"
"""As Redis 5 says it."""


async def question(reader: asyncio.StreamReader) -> list[bytes]:
    """The words of a command; empty at the end."""
    line = await reader.readline()
    words = []
    for _ in range(int(line[1:] or 0)):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words


@asynccontextmanager
async def asked(answer: bytes) -> AsyncIterator[GuardedRedis]:
    """A client of a server that says *answer* to scripts, and to GET the key: late, or half of it, if it says so."""

    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.create_task(answers(reader, writer)))

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            await answer_all(reader, writer)

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := await question(reader):
            key = words[-1]
            said = b"$%d\r\n%s\r\n" % (len(key), key) if words[0] == b"GET" else UNKNOWN % words[0]
            if words[0] == b"EVAL":
                said = answer
            if key.startswith(b"half"):
                writer.write(said[:6])
                said = said[6:]
            if key.startswith((b"half", b"late")):
                await asyncio.sleep(PATIENCE_S * 1.5)
            writer.write(said)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    patience, port = timedelta(seconds=PATIENCE_S), server.sockets[0].getsockname()[1]
    settings = RedisConnection(enabled=True, addr=f"127.0.0.1:{port}", readtimeout=patience, writetimeout=patience)
    redis = GuardedRedis(settings, name="redis.ratelimiter")
    try:
        yield redis
    finally:
        await redis.close()
        server.close()
        if served:
            await asyncio.wait(served, timeout=5)


async def got(redis: GuardedRedis, key: str) -> bytes | str | None:
    """What a key is answered with; None: nothing in time."""
    try:
        async with redis.turn() as client:
            found: bytes | str | None = await client.get(key)
            return found
    except RedisUnavailable:
        return None


async def test_an_answer_that_came_too_late_is_given_to_no_other_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "REST_S", 0.0)
    async with asked(b"") as redis:
        for number in range(3):
            keys = [f"{kind}{number}{one}" for one in range(3) for kind in ("soon", "late", "half")]
            found = await asyncio.gather(*(got(redis, key) for key in keys))
            assert found == [key.encode() if key.startswith("soon") else None for key in keys]
            assert await got(redis, f"after{number}") == f"after{number}".encode()


@pytest.mark.parametrize(
    "answer", [b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*1\r\n:1\r\n", b"*1\r\n*1\r\n:1\r\n", b"*1\r\n" * 5000, b"?!\r\n"]
)
async def test_an_answer_that_makes_no_sense_has_the_node_count_for_itself(answer: bytes) -> None:
    async with asked(answer) as redis:
        counters = RedisCounters(redis, alone=NodeCounters(sets=4))
        (verdict,) = await counters.take("client", [RATE])
        assert (verdict.is_allowed, verdict.remaining) == (True, 4)


async def test_a_server_that_knows_no_hello_is_spoken_to() -> None:
    async with asked(b"*1\r\n*2\r\n:1\r\n$9\r\n60.000000\r\n") as redis:
        counters = RedisCounters(redis, alone=NodeCounters(sets=4))
        (verdict,) = await counters.take("client", [RATE])
        assert verdict.lacking_s == 60.0
        assert redis.uses["timeout"] == 0
        assert await got(redis, "name") == b"name"
