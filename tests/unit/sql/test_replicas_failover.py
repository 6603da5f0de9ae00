"""A primary dies and a standby takes its place: replicas go on answering, and none answers wrongly."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from moorage.errors import DatabaseUnavailable
from support import replicas as standbys
from support.postgres import Postgres
from unit.sql.nodes import PRIMARY, PUT, REPLICA, Site, be_patient, get, put, site_with, wait_until

PAIR = "127.0.0.1,127.0.0.2"
"""The primary and the standby that follows it; connections go to the one that takes writes."""


@pytest.fixture
def site() -> Iterator[Site]:
    with site_with() as found:
        standbys.wait_level(found.primary, found.standby)
        yield found


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read is not sent to the primary because the machine has much to do."""
    be_patient(monkeypatch, limit_s=30.0)


@pytest.fixture
def second(site: Site) -> Iterator[Postgres]:
    """Another standby of the first primary. It does not follow the next one."""
    with standbys.standby_server(site.primary, "127.0.0.3") as second:
        yield second


async def test_reads_go_on_without_a_primary_and_a_promoted_replica_is_none_any_more(
    site: Site, repository: str
) -> None:
    settings = replace(site.settings, host=PAIR)
    async with site.node(settings=settings) as node:
        await put(node, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        assert await get(node, repository) == (1, REPLICA)
        site.primary.kill()
        for _ in range(20):
            assert await get(node, repository) == (1, REPLICA)
        with pytest.raises(DatabaseUnavailable):
            await put(node, repository, 2)
        site.standby.promote()
        await asyncio.sleep(0.3)
        assert await get(node, repository) == (1, PRIMARY)
        await put(node, repository, 3)
        assert await get(node, repository) == (3, PRIMARY)
        assert [replica.refusal for replica in node.replicas.replicas] != [None]


async def test_a_replica_that_went_past_the_fork_answers_nothing(site: Site, second: Postgres, repository: str) -> None:
    settings = replace(site.settings, host=PAIR)
    async with site.node(settings=settings) as writer:
        await put(writer, repository, 1)
        standbys.wait_level(site.primary, site.standby)
        site.standby.stop()
        for number in range(2000):  # only the second standby gets these
            await writer.write(PUT, f"lost/{number}", number)
        standbys.wait_level(site.primary, second)
        async with site.node(settings=settings, hosts=["127.0.0.3"]) as reader:
            assert await get(reader, repository) == (1, REPLICA)
            last = int(second.psql("SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')"))
            site.primary.kill()
            site.standby.start()
            site.standby.promote()
            with pytest.raises(DatabaseUnavailable):
                await put(writer, repository, 2)  # on the connection to the one that died
            await put(writer, repository, 2)
            assert int(site.standby.psql("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")) < last
            assert await get(reader, repository) == (2, PRIMARY)
            await wait_until(lambda: reader.replicas.replicas[0].refusal is not None)
            assert reader.replicas.replicas[0].refusal == "it is ahead of the primary"
            for number in range(3000):
                await writer.write(PUT, f"next/{number}", number)
            await reader.replicas.refresh(limit_s=1)
            assert await get(reader, repository) == (2, PRIMARY)
            assert reader.reads["behind"] > 0, "past where the replica stands, it only lags"
