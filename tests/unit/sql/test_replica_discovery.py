"""Where the replicas are, asked of a real nameserver over TCP."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from moorage.config.sections.database import LoadBalancing
from moorage.config.sections.redis import RedisConnection
from moorage.errors import ConfigurationError, DatabaseUnavailable
from moorage.sql.base import Database
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.replicas.replica_discovery import FixedHosts, ReplicaAddress, ServiceRecord, directory_of
from moorage.sql.replicas.replicated_database import open_replicated
from support.dns import Nameserver
from support.ports import free_port
from support.postgres import Postgres, settings_for

LIMIT_S = 30.0
RECORD = "replicas.service.test."
SRV = (RECORD, "SRV")


@pytest.fixture
async def nameserver() -> AsyncIterator[Nameserver]:
    records = {
        SRV: ["10 5 5433 one.node.test.", "1 1 5434 two.node.test."],
        ("one.node.test.", "A"): ["10.0.0.1"],
        ("two.node.test.", "A"): ["10.0.0.2", "10.0.0.3"],
        ("two.node.test.", "AAAA"): ["fd00::2"],
    }
    async with Nameserver(records) as nameserver:
        yield nameserver


def record_at(server: Nameserver, **more: object) -> LoadBalancing:
    keys: dict[str, object] = {"enabled": True, "record": RECORD, "nameserver": server.host, "port": server.port}
    return LoadBalancing.model_validate(keys | more)


async def test_fixed_hosts_share_the_databases_port() -> None:
    directory = directory_of(LoadBalancing(enabled=True, hosts=["a", "b", "a"]), port=5432)
    assert await directory.addresses(limit_s=LIMIT_S) == (ReplicaAddress("a", 5432), ReplicaAddress("b", 5432))


async def test_every_address_of_every_target_is_a_replica_on_the_records_port(nameserver: Nameserver) -> None:
    directory = directory_of(record_at(nameserver), port=1)
    assert set(await directory.addresses(limit_s=LIMIT_S)) == {
        ReplicaAddress("10.0.0.1", 5433),
        ReplicaAddress("10.0.0.2", 5434),
        ReplicaAddress("10.0.0.3", 5434),
        ReplicaAddress("fd00::2", 5434),
    }


async def test_the_record_wins_over_the_hosts(nameserver: Nameserver) -> None:
    assert isinstance(directory_of(record_at(nameserver, hosts=["a"]), port=1), ServiceRecord)
    assert isinstance(directory_of(LoadBalancing(hosts=["a"]), port=1), FixedHosts)


async def test_the_nameserver_may_be_a_name(nameserver: Nameserver) -> None:
    directory = directory_of(record_at(nameserver, nameserver="localhost"), port=1)
    assert len(await directory.addresses(limit_s=LIMIT_S)) == 4


async def test_a_change_of_the_record_is_seen(nameserver: Nameserver) -> None:
    directory = directory_of(record_at(nameserver), port=1)
    await directory.addresses(limit_s=LIMIT_S)
    nameserver.records[SRV] = ["0 0 6000 one.node.test."]
    assert await directory.addresses(limit_s=LIMIT_S) == (ReplicaAddress("10.0.0.1", 6000),)


async def test_a_target_without_an_address_is_left_out(nameserver: Nameserver) -> None:
    del nameserver.records["one.node.test.", "A"]
    addresses = await directory_of(record_at(nameserver), port=1).addresses(limit_s=LIMIT_S)
    assert {address.port for address in addresses} == {5434}


async def test_no_record_is_no_replica(nameserver: Nameserver) -> None:
    del nameserver.records[SRV]
    assert await directory_of(record_at(nameserver), port=1).addresses(limit_s=LIMIT_S) == ()


async def test_a_nameserver_that_fails_is_an_error_of_ours(nameserver: Nameserver) -> None:
    nameserver.fails = True
    with pytest.raises(DatabaseUnavailable, match="did not say where"):
        await directory_of(record_at(nameserver), port=1).addresses(limit_s=LIMIT_S)


async def test_no_nameserver_is_an_error_of_ours() -> None:
    directory = ServiceRecord(RECORD, nameserver="127.0.0.1", port=free_port())
    with pytest.raises(DatabaseUnavailable):
        await directory.addresses(limit_s=0.5)


async def test_a_nameserver_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # The kernel takes connections; nobody answers.
        directory = ServiceRecord(RECORD, nameserver="127.0.0.1", port=server.getsockname()[1])
        async with asyncio.timeout(2):
            with pytest.raises(DatabaseUnavailable):
                await directory.addresses(limit_s=0.2)


async def test_load_balancing_without_redis_or_replicas_stops_the_start(postgres: Postgres) -> None:
    primary = await PostgresDatabase.open(settings_for(postgres, postgres.create_database()))

    async def connect(address: ReplicaAddress) -> Database:
        raise AssertionError(address)

    with pytest.raises(ConfigurationError) as caught:
        await open_replicated(primary, connect, balancing=LoadBalancing(enabled=True), port=1, redis=RedisConnection())
    assert [mistake.path for mistake in caught.value.mistakes] == ["redis.loadbalancing", "database.loadbalancing"]
    await primary.close()
