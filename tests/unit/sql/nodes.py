"""Nodes over a primary, standbys and a Redis, and what the tests of read replicas write and read there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from moorage.config.sections.database import LoadBalancing
from moorage.config.sections.redis import RedisConnection
from moorage.sql.base import Database, NamedQuery
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.replicas.replica_bench import ReplicaBench
from moorage.sql.replicas.replica_discovery import FixedHosts, ReplicaAddress
from moorage.sql.replicas.replica_positions import PositionStore
from moorage.sql.replicas.replicated_database import ReplicatedDatabase, open_replicated, replica_set
from support import replicas as standbys
from support.postgres import Postgres, settings_for
from support.redis import Redis

PUT = NamedQuery(
    "put", "", "INSERT INTO things VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
GET = NamedQuery("get", "", "SELECT value, pg_is_in_recovery() FROM things WHERE name = $1")
SLOW = NamedQuery("slow", "", "SELECT pg_is_in_recovery() FROM pg_sleep(1.2)")
PRIMARY, REPLICA = False, True
"""Where a read was answered: whether the server was in recovery."""

SCHEMA = "CREATE TABLE things (name text PRIMARY KEY, value bigint)"


@dataclass
class Site:
    """A primary, a standby on its port, a Redis, and a database with the table."""

    primary: Postgres
    standby: Postgres
    redis: Redis
    dbname: str

    @property
    def settings(self) -> PostgresSettings:
        return settings_for(self.primary, self.dbname)

    @contextlib.asynccontextmanager
    async def node(
        self,
        *,
        settings: PostgresSettings | None = None,
        hosts: Sequence[str] = ("127.0.0.2",),
        redis: str | None = None,
        quarantine: ReplicaBench | None = None,
    ) -> AsyncIterator[ReplicatedDatabase]:
        """One process that uses them. It refreshes only when it must, and then soon."""
        chosen = settings or self.settings
        primary = await PostgresDatabase.open(chosen)

        async def connect(address: ReplicaAddress) -> Database:
            return await PostgresDatabase.open(replace(chosen, host=address.host, port=address.port, is_writable=False))

        directory = FixedHosts([ReplicaAddress(host, self.standby.port) for host in hosts])
        database = ReplicatedDatabase(
            primary,
            replica_set(primary, connect, directory, quarantine=quarantine),
            PositionStore(RedisConnection(enabled=True, addr=redis or self.redis.address)),
            period=timedelta(minutes=30),
            refresh_pause_s=0.1,
            jitter=lambda: 0.0,
        )
        await database.start()
        try:
            yield database
        finally:
            await database.close()

    async def configured(self, **balancing: object) -> ReplicatedDatabase:
        """One process as a configuration makes it."""
        settings = self.settings

        async def connect(address: ReplicaAddress) -> Database:
            return await PostgresDatabase.open(
                replace(settings, host=address.host, port=address.port, is_writable=False)
            )

        return await open_replicated(
            await PostgresDatabase.open(settings),
            connect,
            balancing=LoadBalancing.model_validate({"enabled": True} | balancing),
            port=self.primary.port,
            redis=RedisConnection(enabled=True, addr=self.redis.address),
        )


@contextlib.contextmanager
def site_with(*addresses: str) -> Iterator[Site]:
    """A site whose standby listens on these addresses; without any, on the one that standbys have."""
    with standbys.primary_server() as primary, Redis() as redis:
        dbname = primary.create_database()
        primary.psql(SCHEMA, dbname)
        with standbys.standby_server(primary, *addresses) as standby:
            yield Site(primary, standby, redis, dbname)


def be_patient(monkeypatch: pytest.MonkeyPatch, *, limit_s: float) -> None:
    """Let reads, and the questions before them, wait so long for a replica; in production it is a fraction of that."""
    for name in ("replicated_database.CHECK_S", "replica_set.CHECK_S"):
        monkeypatch.setattr(f"moorage.sql.replicas.{name}", limit_s)
    for name in ("READ_S", "REFRESH_S", "FIRST_REFRESH_S"):
        monkeypatch.setattr(f"moorage.sql.replicas.replicated_database.{name}", max(limit_s, 1.0))


async def put(node: Database, repository: str, value: int) -> None:
    await node.write(PUT, repository, value, repository=repository)


async def get(node: Database, repository: str) -> tuple[int | None, bool]:
    """The value, and where it was read."""
    row = await node.first(GET, repository, repository=repository)
    return (None, PRIMARY) if row is None else (row[0], row[1])


async def wait_until(is_so: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def wait_for_replica(node: Database, repository: str, limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while (await get(node, repository))[1] is not REPLICA:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
