"""Each Redis of the configuration: reachable, writable, with this machine's time."""

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from redis.asyncio import RedisCluster
from redis.exceptions import AuthenticationError, NoPermissionError

from moorage.config import Config
from moorage.config.redis_forms import main_redis
from moorage.config.sections.redis import RedisConnection
from moorage.doctor.clocks import Now, compare_clocks
from moorage.doctor.diagnosis import Report
from moorage.redis.redis_client import REDIS_ERRORS, RedisClient, close_redis, open_redis

_DEADLINE_S = 15.0
_KEY_S = 60


async def check_redises(config: Config, report: Report, now: Now) -> None:
    """Look at each Redis that is configured."""
    found = list(_named(config))
    if not found:
        report.skip("redis", "there is none in the configuration: each node counts for its rate limits alone")
    for name, settings in found:
        await _check_redis(name, settings, report, now)


def _named(config: Config) -> Iterator[tuple[str, RedisConnection]]:
    main, section = main_redis(config.redis), config.redis
    if main is not None:
        yield "redis", main
    for use in ("cache", "ratelimiter", "loadbalancing"):
        own: RedisConnection = getattr(section, use)
        if own.enabled and own.addr:
            yield f"redis.{use}", own


async def _check_redis(name: str, settings: RedisConnection, report: Report, now: Now) -> None:
    client = open_redis(settings, connections=1)
    try:
        async with asyncio.timeout(_DEADLINE_S):
            await _use(client)
            asked = now()
            theirs = await _time_of(client)
            answered = now()
    except REDIS_ERRORS as exc:
        report.fail(name, _in_words(exc), _remedy(exc, name))
        return
    finally:
        await close_redis(client)
    report.good(name, f"{settings.addr} answers, and takes, gives and removes keys")
    compare_clocks(report, name, theirs, asked=asked, answered=answered)


async def _use(client: RedisClient) -> None:
    key = f"moorage:doctor:{secrets.token_hex(8)}"
    await client.set(key, b"1", ex=_KEY_S)
    found = await client.get(key)
    await client.delete(key)
    if found != b"1":
        msg = "it gives something else than it was given"
        raise ValueError(msg)


async def _time_of(client: RedisClient) -> datetime:
    told = await client.time(target_nodes=RedisCluster.RANDOM) if isinstance(client, RedisCluster) else None
    seconds, microseconds = told or await client.time()
    return datetime.fromtimestamp(int(seconds) + int(microseconds) / 1e6, UTC)


def _in_words(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return f"it gives no answer within {_DEADLINE_S:g} s"
    return str(exc) or type(exc).__name__


def _remedy(exc: Exception, name: str) -> str:
    if isinstance(exc, AuthenticationError | NoPermissionError):
        return f"see {name}.username and {name}.password, and which commands the user may use"
    return f"see {name}.addr, {name}.tls, and whether a firewall is in between; without it the registry goes on alone"
