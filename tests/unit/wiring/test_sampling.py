"""Pools and replicas as metrics have them: a real primary, a real standby, a real Redis."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from moorage.config import load
from moorage.config.sections.redis import RedisConnection
from moorage.http.database_report import DatabaseReport
from moorage.metrics.meters import Meters
from moorage.metrics.pool_metrics import PoolMetrics, ReplicaMetrics
from moorage.redis.guarded import GuardedRedis, RedisUnavailable
from moorage.sql.base import Database
from moorage.wiring.sampling import Sampling
from support import replicas as standbys
from support.redis import Redis
from unit.sql.nodes import SCHEMA, Site, get, put


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with standbys.primary_server() as primary, Redis() as redis:
        dbname = primary.create_database()
        primary.psql(SCHEMA, dbname)
        with standbys.standby_server(primary, "127.0.0.2") as standby:
            yield Site(primary, standby, redis, dbname)


class Sampled:
    """What is looked at, and the metrics of it."""

    def __init__(self, database: Database | None, *redises: GuardedRedis) -> None:
        self.registry = CollectorRegistry()
        config = load("version: 0.1\nstorage: inmemory\ndatabase: {dbname: images, host: here}\n", {}).config
        pools, replicas = PoolMetrics(Meters(self.registry)), ReplicaMetrics(Meters(self.registry))
        self.sampling = Sampling(config, database, redises, pools, replicas=replicas)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


async def test_the_pool_of_each_server_is_told_and_where_reads_go(site: Site) -> None:
    async with site.node() as node:
        sampled = Sampled(node)
        await put(node, "group/app", 1)
        standbys.wait_level(site.primary, site.standby)
        await node.replicas.refresh(limit_s=30.0)
        await get(node, "group/app")
        await sampled.sampling.look()
        await sampled.sampling.look()  # Nothing is counted twice.
        primary = {"db_name": "images", "host_type": "primary", "host_addr": f"127.0.0.1:{site.primary.port}"}
        replica = {"db_name": "images", "host_type": "replica", "host_addr": f"127.0.0.2:{site.standby.port}"}
        for labels in (primary, replica):
            assert sampled("go_sql_dbstats_connections_max_open", **labels) == 10
            assert sampled("go_sql_dbstats_connections_open", **labels) == 1
            assert sampled("go_sql_dbstats_connections_in_use", **labels) == 0
        assert sampled("registry_database_lb_pool_size") == 1
        address = f"127.0.0.2:{site.standby.port}"
        assert sampled("registry_database_lb_pool_status", replica=address, status="online") == 1
        assert sampled("registry_database_lb_lag_seconds_count", replica=address) == 1
        target = {"target_type": "replica", "fallback": "false", "reason": "selected"}
        assert sampled("registry_database_lb_targets_total", **target) == node.reads["replica"] == 1
        assert sampled("registry_database_lb_lsn_cache_hits_total", result="hit") == 1
        operations = {"operation": "get", "error": "false"}
        assert sampled("registry_database_lb_lsn_cache_operation_duration_seconds_count", **operations) == 1
        assert sampled("registry_database_lb_lookup_seconds_count", lookup_type="host", error="false") == 1
        added = {"event": "replica_added", "reason": "discovered"}
        assert sampled("registry_database_lb_pool_events_total", **added) == 1


async def test_a_replica_that_hangs_is_unreachable_and_then_online_again(site: Site) -> None:
    async with site.node() as node:
        found = await DatabaseReport(node).ask()
        assert found["overall_status"] == "healthy"
        with standbys.frozen(site.standby):
            servers = await node.servers(limit_s=0.5)
        assert [(server.is_primary, server.state) for server in servers] == [(True, "online"), (False, "unreachable")]
        assert {server.state for server in await node.servers(limit_s=60.0)} == {"online"}


async def test_the_connections_to_a_redis_are_told(site: Site) -> None:
    client = GuardedRedis(RedisConnection(enabled=True, addr=site.redis.address), name="redis.cache")
    away = GuardedRedis(RedisConnection(enabled=True, addr="127.0.0.1:1"), name="redis")
    sampled = Sampled(None, client, away)
    for _ in range(3):
        await client.ping()
    with pytest.raises(RedisUnavailable):
        await away.ping()
    await sampled.sampling.look()
    for name, value in (("total_conns", 1), ("idle_conns", 1), ("max_conns", 10)):
        assert sampled(f"registry_redis_pool_stats_{name}", instance="redis.cache") == value
    assert sampled("registry_redis_pool_stats_hits_total", instance="redis.cache") == 2
    assert sampled("registry_redis_pool_stats_misses_total", instance="redis.cache") == 1
    assert sampled("registry_redis_pool_stats_total_conns", instance="redis") == 0
    await client.close()
    await away.close()
