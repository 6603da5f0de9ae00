"""A look at pools and replicas from time to time, for metrics; it asks nobody, and is not on any request's way."""

import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from moorage.config import Config
from moorage.metrics.pool_metrics import ConnectionCounts, PoolMetrics, ReplicaMetrics
from moorage.sql.base import Database
from moorage.work.loop import Loop, LoopPace

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis
    from moorage.sql.postgres.postgres_database import PostgresDatabase
    from moorage.sql.replicas.replicated_database import ReplicatedDatabase

EVERY = timedelta(seconds=5)
_TARGETS = {
    "replica": ("replica", "false", "selected"),
    "primary": ("primary", "false", "selected"),
    "no replica": ("primary", "true", "no_replica"),
    "behind": ("primary", "true", "not_up_to_date"),
    "not refreshed": ("primary", "true", "not_up_to_date"),
    "not recorded": ("primary", "true", "no_cache"),
    "no position": ("primary", "true", "no_cache"),
    "repeated": ("primary", "true", "error"),
}
"""GitLab's labels for where a read went, and why. Source: features MET-023."""


class Sampling:
    """Everything of one process that is looked at."""

    def __init__(
        self,
        config: Config,
        database: Database | None,
        redises: "Sequence[GuardedRedis]",
        pools: PoolMetrics,
        *,
        replicas: ReplicaMetrics,
    ) -> None:
        self._dbname = config.database.dbname
        self._by_record = bool(config.database.loadbalancing.record)
        self._redises = redises
        self._pools = pools
        self._replicas = replicas
        self._servers: Callable[[], Sequence[tuple[str, PostgresDatabase]]] = lambda: ()
        self._replicated: ReplicatedDatabase | None = None
        if database is not None and database.dialect == "postgres":
            self._look_at(database)

    async def run(self) -> None:
        """Look, again and again, until cancelled."""
        await Loop(self.look, LoopPace(interval=EVERY)).run()

    async def look(self) -> None:
        """Note how everything is now."""
        for role, server in self._servers():
            stats = server.pool_stats
            counts = ConnectionCounts(stats.open_bound, stats.opened, stats.idle, stats.waits, stats.waited_s)
            labels = {"db_name": self._dbname, "host_type": role, "host_addr": server.address}
            self._pools.database(labels, counts)
        for client in self._redises:
            state = client.pool
            self._pools.redis(client.name, ConnectionCounts(state.most, state.total, state.idle), client.uses)
        if self._replicated is not None:
            self._look_at_replicas(self._replicated)

    def _look_at(self, database: Database) -> None:
        from moorage.sql.postgres.postgres_database import PostgresDatabase  # noqa: PLC0415 - it is loaded already
        from moorage.sql.replicas.replicated_database import ReplicatedDatabase  # noqa: PLC0415 - as above

        if isinstance(database, PostgresDatabase):
            self._servers = lambda: (("primary", database),)
            return
        assert isinstance(database, ReplicatedDatabase)  # noqa: S101 - there is no other kind
        self._replicated = database
        primary = database.primary

        def servers() -> Sequence[tuple[str, PostgresDatabase]]:
            found = [("primary", primary), *(("replica", one.database) for one in database.replicas.replicas)]
            return [(role, server) for role, server in found if isinstance(server, PostgresDatabase)]

        self._servers = servers
        told = self._replicas
        database.replicas.on_lag = told.lag
        kind = "srv" if self._by_record else "host"
        _time(database.replicas.directory, "addresses", functools.partial(told.looked_up, kind))
        _time(database.positions, "find", functools.partial(told.positioned, "get"))
        _time(database.positions, "raise_to", functools.partial(told.positioned, "set"))

    def _look_at_replicas(self, database: "ReplicatedDatabase") -> None:
        told, targets = self._replicas, Counter[tuple[str, ...]]()
        for reason, count in database.reads.items():
            targets[_TARGETS[reason]] += count
        told.counted("targets", targets.items())
        told.counted("pool_events", database.replicas.events.items())
        told.counted("lsn_cache_hits", (((result,), count) for result, count in database.found.items()))
        told.states({server.address: server.state for server in database.replicas.known()})


def _time(owner: object, name: str, tell: Callable[..., object]) -> None:
    """Have *tell* told how long each call of a method takes, and whether it failed."""
    method: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(method)
    async def timed(*args: object, **named: object) -> object:
        began, failed = time.perf_counter(), True
        try:
            found = await method(*args, **named)
            failed = False
            return found
        finally:
            tell(time.perf_counter() - began, failed=failed)

    setattr(owner, name, timed)
