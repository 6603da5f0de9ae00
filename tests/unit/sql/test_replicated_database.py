"""Read replicas: a real primary, real standbys, a real Redis; what a node writes, every node reads."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count

import pytest

from moorage.errors import DatabaseUnavailable
from moorage.sql.base import Database, NamedQuery
from moorage.sql.replicas import replicated_database
from moorage.sql.replicas.replica import BELIEVED_S
from moorage.sql.replicas.replica_bench import ReplicaBench
from support import replicas as standbys
from support.dns import Nameserver
from support.ports import free_port
from unit.sql.nodes import (
    GET,
    PRIMARY,
    PUT,
    REPLICA,
    SCHEMA,
    SLOW,
    Site,
    be_patient,
    get,
    put,
    site_with,
    wait_for_replica,
    wait_until,
)

ADDRESSES = ("127.0.0.2", "127.0.0.5")
"""The standby's, as if it were two."""
WHERE = NamedQuery("where", "", "SELECT host(inet_server_addr())")
_FILL = "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 9000000))"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with site_with(*ADDRESSES) as found:
        yield found


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is not sent to the primary because the machine has much to do. What is about the limits sets its own."""
    be_patient(monkeypatch, limit_s=30.0)


@pytest.fixture(autouse=True)
def level(site: Site) -> None:
    """Every test begins with a standby that has everything."""
    standbys.wait_level(site.primary, site.standby)


async def test_a_read_that_names_its_repository_goes_to_a_replica(site: Site, repository: str) -> None:
    async with site.node() as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        assert await get(node, repository) == (1, REPLICA)
        assert await node.all(GET, repository, repository=repository, heavy=True) == [(1, REPLICA)]


async def test_a_read_that_names_none_goes_to_the_primary(site: Site, repository: str) -> None:
    async with site.node() as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        assert await node.first(GET, repository) == (1, PRIMARY)


async def test_a_write_is_seen_on_another_node_although_the_replica_is_behind(site: Site, repository: str) -> None:
    other = f"{repository}/other"
    async with site.node() as writer, site.node() as reader:
        await put(writer, other, 1)
        await put(writer, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        standbys.pause(site.standby)
        try:
            await put(writer, repository, 2)
            assert await get(reader, repository) == (2, PRIMARY)
            async with writer.transaction(repository=repository) as session:
                await session.all(PUT, repository, 3)
            assert await get(reader, repository) == (3, PRIMARY)
            assert await get(reader, other) == (1, REPLICA)
        finally:
            standbys.resume(site.standby)
        standbys.wait_level(site.primary, site.standby)
        assert await get(reader, repository) == (3, REPLICA)


async def test_a_write_to_several_repositories_is_seen_under_each_name(site: Site, repository: str) -> None:
    names = [f"{repository}/{n}" for n in range(3)]
    async with site.node() as writer, site.node() as reader:
        for name in names:
            await put(writer, name, 1)
        standbys.wait_level(site.primary, site.standby)
        standbys.pause(site.standby)
        try:
            async with writer.transaction(repository=names[0]) as session:
                for name in names:
                    await session.all(PUT, name, 2)
            await writer.announce(names[1:2])
            assert await get(reader, names[0]) == (2, PRIMARY)
            assert await get(reader, names[1]) == (2, PRIMARY)
            assert await get(reader, names[2]) == (1, REPLICA)
        finally:
            standbys.resume(site.standby)


async def test_what_was_undone_sends_nobody_to_the_primary(site: Site, repository: str) -> None:
    async with site.node() as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        standbys.pause(site.standby)
        try:
            with pytest.raises(KeyError):  # noqa: PT012 - the block as a whole fails
                async with node.transaction(repository=repository) as session:
                    await session.all(PUT, repository, 2)
                    raise KeyError
            assert await get(node, repository) == (1, REPLICA)
        finally:
            standbys.resume(site.standby)


async def test_what_redis_has_forgotten_is_covered_by_the_last_refresh(site: Site, repository: str) -> None:
    async with site.node() as writer:
        await put(writer, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        standbys.pause(site.standby)
        try:
            await put(writer, repository, 2)
            site.redis.cli("FLUSHALL")
            async with site.node() as reader:
                assert await get(reader, repository) == (2, PRIMARY)
        finally:
            standbys.resume(site.standby)


async def test_every_acknowledged_write_is_read_on_the_other_node(site: Site, repository: str) -> None:
    standbys.delay(site.standby, 40)
    numbers = count()

    async def push_then_pull(writer: Database, reader: Database) -> None:
        for number in range(40):
            name = f"{repository}/{next(numbers)}"
            await put(writer, name, number)
            await asyncio.sleep(0.002 * number)
            assert (await get(reader, name))[0] == number

    try:
        async with site.node() as one, site.node() as other:
            await asyncio.gather(*(push_then_pull(*pair) for pair in [(one, other), (other, one)] * 3))
            assert one.reads["replica"] > 0
            assert one.reads["behind"] > 0
    finally:
        standbys.delay(site.standby, 0)


async def test_a_read_costs_one_question_to_redis_and_hardly_any_to_the_replica(site: Site, repository: str) -> None:
    async with site.node() as node:
        for number in range(20):
            await put(node, f"{repository}/{number}", number)
        standbys.wait_level(site.primary, site.standby)
        asked, called = standbys.statements(site.standby, "pg_last_wal_replay_lsn"), site.redis.calls("mget")
        began = time.monotonic()
        for number in range(100):
            assert await get(node, f"{repository}/{number % 20}") == (number % 20, REPLICA)
        seconds = time.monotonic() - began
        assert site.redis.calls("mget") - called == 100
        questions = standbys.statements(site.standby, "pg_last_wal_replay_lsn") - asked
        assert questions <= 2 + seconds / BELIEVED_S


async def test_many_reads_at_once_share_one_question(site: Site, repository: str) -> None:
    async with site.node() as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await asyncio.gather(*(get(node, repository) for _ in range(20)))  # makes the connections
        await asyncio.sleep(0.5)  # what is known of the replica is too old
        began = time.monotonic()
        asked = standbys.statements(site.standby, "pg_last_wal_replay_lsn")
        answers = await asyncio.gather(*(get(node, repository) for _ in range(20)))
        assert (1, REPLICA) in answers
        assert {value for value, _ in answers} == {1}
        questions = standbys.statements(site.standby, "pg_last_wal_replay_lsn") - asked
        assert questions <= 2 + (time.monotonic() - began) / BELIEVED_S


async def test_a_killed_replica_costs_no_read_and_comes_back(site: Site, repository: str) -> None:
    quarantine = ReplicaBench(lambda: 0.0)
    async with site.node() as node, site.node(quarantine=quarantine) as patient:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await wait_for_replica(node, repository)
        site.standby.kill()
        try:
            for _ in range(20):
                assert await get(node, repository) == (1, PRIMARY)
            await patient.replicas.refresh(limit_s=30)
            assert patient.replicas.replicas == []
        finally:
            site.standby.start()
        await patient.replicas.refresh(limit_s=30)
        assert await get(patient, repository) == (1, REPLICA)


async def test_a_replica_that_never_answers_is_left_alone_after_three_attempts(site: Site, repository: str) -> None:
    clock = [0.0]
    quarantine = ReplicaBench(lambda: clock[0])
    async with site.node(quarantine=quarantine) as node:
        await put(node, repository, 1)
        site.standby.kill()
        try:
            for _ in range(3):
                await node.replicas.refresh(limit_s=30)
        finally:
            site.standby.start()
        standbys.wait_level(site.primary, site.standby)
        await node.replicas.refresh(limit_s=30)
        assert await get(node, repository) == (1, PRIMARY)
        clock[0] += 300
        await node.replicas.refresh(limit_s=30)
        assert await get(node, repository) == (1, REPLICA)


async def test_a_frozen_replica_costs_no_read(site: Site, repository: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.node() as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await wait_for_replica(node, repository)
        be_patient(monkeypatch, limit_s=0.5)
        with standbys.frozen(site.standby):
            for _ in range(21):
                assert await get(node, repository) == (1, PRIMARY)
            assert node.reads["repeated"] <= 1, "only the read that found out has waited for it"
            assert node.replicas.usable() == []
        be_patient(monkeypatch, limit_s=30.0)
        await wait_for_replica(node, repository)


async def test_a_read_that_takes_too_long_on_a_replica_is_done_on_the_primary(
    site: Site, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.node() as node:
        monkeypatch.setattr(replicated_database, "READ_S", 1.0)
        assert await node.first(SLOW, repository=repository) == (PRIMARY,)
        assert node.reads["repeated"] == 1
        await wait_until(lambda: not any(replica.is_suspect for replica in node.replicas.replicas))
        assert await node.all(SLOW, repository=repository, heavy=True) == [(REPLICA,)]


async def test_without_redis_writes_go_on_and_reads_are_right(site: Site, repository: str) -> None:
    async with site.node() as writer, site.node() as reader:
        await put(writer, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await wait_for_replica(reader, repository)
        standbys.pause(site.standby)
        site.redis.kill()
        try:
            await put(writer, repository, 2)
            assert await get(writer, repository) == (2, PRIMARY)
            assert await get(reader, repository) == (2, PRIMARY)
            site.redis.start()
            for _ in range(50):
                assert await get(reader, repository) == (2, PRIMARY), "Redis was empty, and is told late"
                await asyncio.sleep(0.01)
        finally:
            standbys.resume(site.standby)
        await wait_for_replica(reader, repository)
        await wait_for_replica(writer, repository)
        assert await get(reader, repository) == (2, REPLICA)


async def test_a_node_cut_off_from_redis_waits_for_the_replicas(
    site: Site, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicated_database, "_CATCH_UP_S", 30.0)
    async with site.node(redis=f"127.0.0.1:{free_port()}") as writer, site.node() as reader:
        await writer.write(PUT, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await wait_for_replica(reader, repository)
        standbys.delay(site.standby, 300)
        try:
            await put(writer, repository, 2)
            assert await get(reader, repository) == (2, REPLICA)
        finally:
            standbys.delay(site.standby, 0)


async def test_a_write_does_not_wait_long_for_a_replica_that_stands_still(site: Site, repository: str) -> None:
    async with site.node(redis=f"127.0.0.1:{free_port()}") as writer:
        standbys.pause(site.standby)
        try:
            began = time.monotonic()
            await put(writer, repository, 1)
            assert time.monotonic() - began > 0.9, "it gives the replica a second; more, and this would never end"
        finally:
            standbys.resume(site.standby)


async def test_a_write_whose_recording_was_given_up_is_recorded_later(site: Site, repository: str) -> None:
    async with site.node() as writer, site.node() as reader:
        await put(writer, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        await wait_for_replica(writer, repository)
        standbys.pause(site.standby)
        try:
            site.redis.cli("CLIENT", "PAUSE", "60000", "WRITE")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await put(writer, repository, 2)
            site.redis.cli("CLIENT", "UNPAUSE")
            assert await get(writer, repository) == (2, PRIMARY)
            await asyncio.sleep(1.5)
            assert await get(reader, repository) == (2, PRIMARY)
        finally:
            site.redis.cli("CLIENT", "UNPAUSE")
            standbys.resume(site.standby)


async def test_reads_go_to_the_replicas_in_turn(site: Site, repository: str) -> None:
    async with site.node(hosts=ADDRESSES) as node:
        rows = [await node.first(WHERE, repository=repository) for _ in range(10)]
        assert Counter(str(row and row[0]) for row in rows) == dict.fromkeys(ADDRESSES, 5)


async def test_a_replica_that_lags_too_far_is_left_alone_until_it_has_caught_up(
    site: Site, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.sql.replicas.replica_bench.LAG_S", 0.2)
    async with site.node() as node:
        standbys.pause(site.standby)
        try:
            site.primary.psql(_FILL)
            await asyncio.sleep(0.3)
            await node.replicas.refresh(limit_s=30)
            assert node.replicas.replicas[0].refusal == "it lags too far behind"
            assert (await node.first(WHERE, repository=repository)) == ("127.0.0.1",)
        finally:
            standbys.resume(site.standby)
        standbys.wait_level(site.primary, site.standby)
        await node.replicas.refresh(limit_s=30)
        assert (await node.first(WHERE, repository=repository)) == ("127.0.0.2",)


async def test_a_server_of_another_cluster_is_no_replica(site: Site, repository: str) -> None:
    with (
        standbys.primary_server() as stranger,
        standbys.standby_server(stranger, "127.0.0.3") as strange_standby,
    ):
        stranger.create_database(site.dbname)
        stranger.psql(SCHEMA, site.dbname)
        stranger.psql(f"ALTER USER {stranger.user} PASSWORD '{site.primary.password}'")
        standbys.wait_level(stranger, strange_standby)
        async with site.node(hosts=[f"127.0.0.3:{strange_standby.port}", f"127.0.0.1:{site.primary.port}"]) as node:
            await put(node, repository, 1)
            assert [replica.refusal for replica in node.replicas.replicas] == [
                "it belongs to another database cluster",
                "it is no standby",
            ]
            assert await get(node, repository) == (1, PRIMARY)


async def test_nothing_is_lost_when_no_replica_is_there_at_the_start(site: Site, repository: str) -> None:
    site.standby.kill()
    try:
        async with site.node(hosts=["127.0.0.2", "127.0.0.77"]) as node:
            await put(node, repository, 1)
            assert await get(node, repository) == (1, PRIMARY)
    finally:
        site.standby.start()


async def test_a_configuration_is_all_that_it_takes(site: Site, repository: str) -> None:
    node = await site.configured(hosts=["127.0.0.2"])
    await put(node, repository, 1)
    standbys.wait_level(site.primary, site.standby)
    assert await get(node, repository) == (1, REPLICA)
    await node.ping()
    await node.close()
    with pytest.raises(DatabaseUnavailable):
        await get(node, repository)


async def test_a_record_that_changes_is_followed(site: Site, repository: str) -> None:
    one, other = (f"0 0 {site.primary.port} {name}." for name in ("one", "other"))
    records = {("db.test.", "SRV"): [one], ("one.", "A"): [ADDRESSES[0]], ("other.", "A"): [ADDRESSES[1]]}
    async with Nameserver(records) as nameserver:
        node = await site.configured(record="db.test", nameserver=nameserver.host, port=nameserver.port)
        assert await node.first(WHERE, repository=repository) == (ADDRESSES[0],)
        nameserver.records["db.test.", "SRV"] = [other]
        await node.replicas.refresh(limit_s=30)
        assert await node.first(WHERE, repository=repository) == (ADDRESSES[1],)
        nameserver.fails = True
        await node.replicas.refresh(limit_s=30)
        assert await node.first(WHERE, repository=repository) == (ADDRESSES[1],), "what was known stays"
        await node.close()
