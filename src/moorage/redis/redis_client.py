"""A client for Redis, from the configuration: one server, Sentinel or Cluster, as GitLab tells them apart."""

import math
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from moorage.config.sections.redis import RedisConnection, RedisTLS

RedisClient = Redis | RedisCluster

REDIS_ERRORS = (RedisError, RedisClusterException, OSError, ValueError, TypeError, RecursionError)
"""Errors of a Redis that is away or not what it should be. The library's own of clusters are no ``RedisError``."""


class RedisPoolState(NamedTuple):
    """The connections of a client, to all its servers together."""

    total: int
    idle: int
    most: int


_PORT = 6379
_CONNECT_S = 5.0
_ANSWER_S = 3.0


def open_redis(settings: RedisConnection, *, connections: int) -> RedisClient:
    """A client with at most *connections* to a server. It connects when it is first used, and waits without limit.

    Several addresses are Sentinels if ``mainname`` is given, else nodes of a cluster.
    """
    addresses = [_address(part) for part in settings.addr.split(",") if part.strip()]
    common: dict[str, Any] = {
        "max_connections": connections,
        # A connection that has gone stale is replaced once; waiting longer is the caller's decision.
        "retry": Retry(NoBackoff(), 1),
        "socket_connect_timeout": settings.dialtimeout.total_seconds() or _CONNECT_S,
        # The library's own deadline for an answer swallows a cancellation now and then (asyncio.wait_for before
        # Python 3.12 does), and costs a task for each command. The caller brings one, see answer_deadline_s.
        "socket_timeout": None,
        # Every server and proxy speaks it; the library's own choice fails where HELLO is unknown, as before Redis 6.
        "protocol": 2,
        **_tls(settings.tls),
    }
    login: dict[str, Any] = {"username": settings.username or None, "password": settings.password or None}
    if settings.mainname:
        return _behind_sentinels(settings, addresses, common, common | login | {"db": settings.db})
    if len(addresses) > 1:
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in addresses], **common, **login)
    host, port = addresses[0]
    return Redis(host=host, port=port, db=settings.db, **common, **login)


def answer_deadline_s(settings: RedisConnection) -> float:
    """Return the seconds to wait for an answer: the shorter of ``readtimeout`` and ``writetimeout``."""
    given = [each.total_seconds() for each in (settings.readtimeout, settings.writetimeout)]
    return min((each or _ANSWER_S) if each >= 0 else math.inf for each in given)


def pool_state(client: RedisClient) -> RedisPoolState:
    """Return the state of a client's connections; the library itself does not say it of every kind of client."""
    known: list[AbstractConnection]
    unused: list[AbstractConnection]
    if isinstance(client, RedisCluster):
        nodes = client.get_nodes()
        known = [one for node in nodes for one in node._connections]  # noqa: SLF001 - there is no other way
        unused = [one for node in nodes for one in node._free]  # noqa: SLF001 - as above
        most = sum(node.max_connections for node in nodes)
    else:
        pool = client.connection_pool
        unused = pool._available_connections  # noqa: SLF001 - as above
        known = [*unused, *pool._in_use_connections]  # noqa: SLF001 - as above
        most = pool.max_connections
    return RedisPoolState(sum(one.is_connected for one in known), sum(one.is_connected for one in unused), most)


async def close_redis(client: RedisClient) -> None:
    """Let go of every connection, those to Sentinels too."""
    await client.aclose()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _behind_sentinels(
    settings: RedisConnection,
    addresses: Sequence[tuple[str, int]],
    to_sentinels: Mapping[str, object],
    to_server: Mapping[str, object],
) -> RedisClient:
    login = {"username": settings.sentinelusername or None, "password": settings.sentinelpassword or None}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # the library has no types there
        addresses, sentinel_kwargs={**to_sentinels, **login}, **to_server
    )
    client: RedisClient = sentinel.master_for(settings.mainname)
    return client


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or port.endswith("]"):
        return text.strip().strip("[]"), _PORT
    return host.strip("[]") or "localhost", int(port)


def _tls(tls: RedisTLS) -> Mapping[str, object]:
    if not tls.enabled:
        return {}
    authorities = "\n".join(Path(path).read_text(encoding="utf-8") for path in tls.rootcas)
    return {
        "ssl": True,
        "ssl_cert_reqs": ssl.CERT_NONE if tls.insecure else ssl.CERT_REQUIRED,
        "ssl_check_hostname": not tls.insecure,
        "ssl_certfile": tls.certificate or None,
        "ssl_keyfile": tls.key or None,
        "ssl_ca_data": authorities or None,
    }
