"""A Redis that loses its main server under load: nobody gets an error, and it is used again once there is another."""

import contextlib
import gc
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import pytest

from moorage.cache.shared_changes import SharedChanges
from moorage.config.sections.redis import RedisConnection
from moorage.errors import DatabaseUnavailable
from moorage.limits.node_counters import NodeCounters
from moorage.limits.rates import Rate
from moorage.limits.redis_counters import RedisCounters
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.redis.guarded import GuardedRedis, RedisUnavailable
from moorage.redis.shared_links import SharedBlobLinks
from moorage.sql.replicas.replica_positions import PositionStore
from support.clock import Clock
from support.ports import free_port
from support.redis import Redis, _port_with_bus, cluster, watched

RATE = Rate(name="each", count=1, period_s=3600.0, burst=5, blocks=True)
DEADLINE_S = 60.0

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _what_the_library_left_open() -> Iterator[None]:
    """The client of a cluster drops nodes that have gone without closing them; no other test shall be told of it."""
    yield
    gc.collect()


@contextlib.asynccontextmanager
async def counting(addr: str, *, mainname: str = "") -> AsyncIterator[RedisCounters]:
    patience = timedelta(seconds=2)
    settings = RedisConnection(enabled=True, addr=addr, mainname=mainname, readtimeout=patience, writetimeout=patience)
    redis = GuardedRedis(settings, name="redis.ratelimiter")
    yield RedisCounters(redis, alone=NodeCounters(sets=64))
    await redis.close()


def counted(server: Redis) -> int:
    """How often it was used; a Sentinel that gives a server another role cuts off whoever asks."""
    while True:
        with contextlib.suppress(subprocess.CalledProcessError):
            return server.calls("eval")


async def until_used(counters: RedisCounters, server: Redis, clients: Iterator[str]) -> None:
    """Ask on and on until *server* has counted something; every single request is answered."""
    before, deadline = counted(server), time.monotonic() + DEADLINE_S
    while counted(server) <= before:
        for _ in range(10):
            (verdict,) = await counters.take(next(clients), [RATE])
            assert verdict.remaining == 4
        assert time.monotonic() < deadline, "the new main server is not used"


def strangers() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"client {number}"


async def test_a_sentinel_promotes_another_one_under_load() -> None:
    clients = strangers()
    with (
        Redis() as master,
        Redis("--replicaof", master.host, str(master.port)) as replica,
        watched("main", master) as sentinel,
    ):
        sentinel.cli("SENTINEL", "SET", "main", "down-after-milliseconds", "300", "failover-timeout", "2000")
        async with counting(sentinel.address, mainname="main") as counters:
            await until_used(counters, master, clients)
            deadline = time.monotonic() + DEADLINE_S
            while "num-slaves\n1" not in sentinel.cli("SENTINEL", "MASTER", "main"):
                assert time.monotonic() < deadline
                await counters.take(next(clients), [RATE])
            master.kill()
            await until_used(counters, replica, clients)


def _joined(nodes: Sequence[Redis], replica: Redis) -> None:
    """Make *replica* one of the first node."""
    node_id = nodes[0].cli("CLUSTER", "MYID")
    for node in nodes:
        node.cli("CONFIG", "SET", "cluster-node-timeout", "1000")
    replica.cli("CLUSTER", "MEET", nodes[0].host, str(nodes[0].port))
    deadline = time.monotonic() + DEADLINE_S
    while node_id not in replica.cli("CLUSTER", "NODES"):
        assert time.monotonic() < deadline
    replica.cli("CLUSTER", "REPLICATE", node_id)
    while "master_link_status:up" not in replica.cli("INFO", "replication"):
        assert time.monotonic() < deadline


async def test_a_cluster_loses_a_master_under_load() -> None:
    clients = strangers()
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    with cluster() as nodes, Redis(*options, port=_port_with_bus()) as replica:
        _joined(nodes, replica)
        async with counting(",".join(node.address for node in nodes)) as counters:
            for node in nodes:
                await until_used(counters, node, clients)
            nodes[0].kill()
            await until_used(counters, replica, clients)
            for node in nodes[1:]:
                await until_used(counters, node, clients)


async def test_a_cluster_without_a_spare_is_done_without() -> None:
    clients = strangers()
    with cluster() as nodes:
        for node in nodes:
            node.cli("CONFIG", "SET", "cluster-node-timeout", "500")
        async with counting(",".join(node.address for node in nodes)) as counters:
            await until_used(counters, nodes[1], clients)
            nodes[0].kill()
            for _ in range(300):
                (verdict,) = await counters.take(next(clients), [RATE])
                assert verdict.remaining == 4


async def test_a_cluster_of_which_nothing_is_left_is_done_without() -> None:
    nowhere = RedisConnection(enabled=True, addr=f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}")
    name, digest = RepositoryName("a/b"), Digest("sha256", "0" * 64)
    async with counting(nowhere.addr) as counters:
        (verdict,) = await counters.take("somebody", [RATE])
        assert verdict.remaining == 4
    redis, changes = GuardedRedis(nowhere, name="redis.cache"), SharedChanges()
    await SharedBlobLinks(redis, changes).take_away(name, digest)
    assert changes.is_doubtful
    await redis.close()
    positions = PositionStore(nowhere)
    with pytest.raises(DatabaseUnavailable, match=r"redis\.loadbalancing"):
        await positions.find(name.text, limit_s=60)
    await positions.close()


async def test_a_redis_that_failed_rests_and_is_asked_again_after_a_moment() -> None:
    with Redis() as server:
        clock = Clock(0.0)
        redis = GuardedRedis(RedisConnection(addr=server.address), name="redis.cache", monotonic=clock)
        await redis.ping()
        server.kill()
        with pytest.raises(RedisUnavailable):
            await redis.ping()
        server.start()
        with pytest.raises(RedisUnavailable, match="not asked"):
            async with redis.turn():
                pass
        clock.now += 1.0
        async with redis.turn() as client:
            assert await client.exists("a") == 0
        await redis.close()


async def test_a_wrong_password_is_an_answer_too() -> None:
    with Redis(password="right") as server:
        redis = GuardedRedis(RedisConnection(addr=server.address, password="wrong"), name="redis.cache")
        with pytest.raises(RedisUnavailable):
            await redis.ping()
        await redis.close()
