"""Read replicas: a database whose reads go to a standby that has seen what they are to see, else to the primary.

A read names its repository; the position of that repository's last write is in Redis. A replica serves it if it has
replayed the log that far, and as far as the primary was at the last refresh. What cannot be found out in time, and
what fails, goes to the primary: a replica costs no client an error.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeVar

from moorage.config.sections.database import LoadBalancing
from moorage.config.sections.redis import RedisConnection
from moorage.errors import BackendError, ConfigurationError, DatabaseUnavailable, Mistake
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value
from moorage.sql.joined_reads import JoinedReads
from moorage.sql.members import DatabaseServer
from moorage.sql.replicas.replica import Connect, Replica, primary_position, primary_state
from moorage.sql.replicas.replica_bench import ReplicaBench
from moorage.sql.replicas.replica_discovery import Directory, directory_of
from moorage.sql.replicas.replica_positions import Position, PositionLate, PositionStore
from moorage.sql.replicas.replica_set import CHECK_S, ReplicaSet
from moorage.sql.replicas.write_positions import Recorder
from moorage.telemetry import get_log
from moorage.work.loop import Loop, LoopPace

READ_S = 1.0
"""After so long a read that is not heavy is given up on a replica, and done on the primary."""
REFRESH_S = 2.0
"""Seconds that each step of a refresh may take."""
FIRST_REFRESH_S = 1.0
"""The same while starting."""
JITTER_S = 10.0
"""Nodes that start together refresh up to so much apart."""

_REFRESH_PAUSE_S = 10.0
"""At least so much between a refresh and one that is wanted before its time."""
_REFRESH_PERIOD_MAX = timedelta(minutes=30)
"""Positions are kept for an hour: what is older must be covered by a refresh."""
_REFRESH_PERIOD = timedelta(minutes=1)
_TICK = timedelta(seconds=1)
"""Time after which a failed step is tried again, unless something calls for it at once."""
_LEAST_S = 0.02
"""Seconds that a replica has to answer, at least, however long Redis took."""
_LATE = 3
"""After so many late answers in a row Redis is taken to be gone, as it is at once if it takes no connection."""
_CATCH_UP_S = 1.0
"""Seconds that a write waits for the replicas if its position cannot be recorded."""

_T = TypeVar("_T")

_log = get_log("sql.replicas")


class ReplicatedDatabase(Database):
    """A primary and its replicas, as one database."""

    has_replicas = True

    def __init__(
        self,
        primary: Database,
        replicas: ReplicaSet,
        positions: PositionStore,
        *,
        period: timedelta = _REFRESH_PERIOD,
        refresh_pause_s: float = _REFRESH_PAUSE_S,
        jitter: Callable[[], float] = lambda: random.uniform(0, JITTER_S),  # noqa: S311 - spreads load, hides nothing
    ) -> None:
        """Put the parts together; :meth:`start` looks for the replicas. Until then all goes to the primary."""
        self.primary = primary
        self.dialect = primary.dialect
        self.address = primary.address
        self.replicas = replicas
        self.reads: Counter[str] = Counter()
        """Counts of reads: by a ``replica``, or by the primary: as only it may (``primary``), or else why.

        ``repeated``: by one after the other.
        """
        self.positions = positions
        self._joined = JoinedReads()
        self.found: Counter[str] = Counter()
        """Counts questions for the position of a write: ``hit`` where there is one, else ``miss``."""
        self._recorder = Recorder(lambda: primary_position(primary), positions)
        self._period_s = min(period or _REFRESH_PERIOD, _REFRESH_PERIOD_MAX).total_seconds()
        self._pause_s = refresh_pause_s
        self._jitter = jitter
        self._late = 0
        self._refreshed_at = self._due = 0.0
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find the replicas, and look after them from now on. What fails here is tried again later."""
        await self._refresh(FIRST_REFRESH_S)
        clock = asyncio.get_running_loop().time
        self._refreshed_at = clock()
        self._due = self._refreshed_at + self._period_s + self._jitter()
        loop = Loop(
            self._keep,
            LoopPace(interval=_TICK, pauses_first=True),
            failures=(Exception,),  # A mistake of ours must not end this for good.
            on_failure=_say,
            wake=self.replicas.wants_attention,
        )
        # A task that lives from start to close, which are calls of their own and no block.
        self._keeper = asyncio.get_running_loop().create_task(loop.run())

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        limit_s = None if heavy else READ_S
        return await self._read(lambda database: database.all(query, *args, heavy=heavy), repository, limit_s)

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        return await self._read(lambda database: database.first(query, *args), repository, READ_S)

    async def recall(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        key = (query.name, repository, *args)
        return await self._joined.first(key, lambda: self.first(query, *args, repository=repository))

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        rows = await self.primary.write(query, *args)
        if repository is not None:
            await self._follow_up(repository)
        return rows

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Transaction]:
        async with self.primary.transaction() as transaction:
            yield transaction
        if repository is not None:
            await self._follow_up(repository)

    async def announce(self, repositories: Iterable[str]) -> None:
        names = list(repositories)
        if names:
            await self._follow_up(*names)

    async def ping(self) -> None:
        await self.primary.ping()

    async def servers(self, *, limit_s: float) -> Sequence[DatabaseServer]:
        primary, replicas = await asyncio.gather(
            self.primary.servers(limit_s=limit_s), self.replicas.servers(limit_s=limit_s)
        )
        return [*primary, *replicas]

    async def close(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self.replicas.close()
        await self.positions.close()
        await self.primary.close()

    async def _read(
        self, read: Callable[[Database], Awaitable[_T]], repository: str | None, limit_s: float | None
    ) -> _T:
        if repository is None:
            self.reads["primary"] += 1
            return await read(self.primary)
        replica, reason = await self._choose(repository)
        self.reads[reason] += 1
        if replica is not None:
            try:
                async with asyncio.timeout(limit_s):
                    return await read(replica.database)
            except (BackendError, TimeoutError) as exc:
                self.reads["repeated"] += 1
                self.replicas.suspect(replica, exc)
        return await read(self.primary)

    async def _choose(self, repository: str) -> tuple[Replica | None, str]:
        """The replica that a read may go to, or None and why it is the primary's."""
        if self.replicas.floor() is None:
            return None, "not refreshed"
        if repository in self._recorder.unrecorded:
            return None, "not recorded"
        if not self.replicas.replicas:
            return None, "no replica"
        clock = asyncio.get_running_loop().time
        deadline = clock() + CHECK_S
        try:
            written = await self.positions.find(repository, limit_s=CHECK_S)
        except DatabaseUnavailable as exc:
            self._late = self._late + 1 if isinstance(exc, PositionLate) else _LATE
            if self._late >= _LATE:
                self._distrust(str(exc))
            return None, "no position"
        self._late = 0
        self.found["miss" if written is None else "hit"] += 1
        if written is not None:
            self._note_timeline(written)
        floor = self.replicas.floor()
        if floor is None:
            return None, "not refreshed"
        lsn = max(floor.lsn, written.lsn if written else 0)
        replica = await self.replicas.having(lsn, limit_s=max(_LEAST_S, deadline - clock()))
        return replica, "behind" if replica is None else "replica"

    async def _follow_up(self, *repositories: str) -> None:
        position = await self._recorder.position()
        self._note_timeline(position)
        recorded = [await self._recorder.record(repository, position) for repository in repositories]
        if not all(recorded):
            self._distrust("the position of a write could not be recorded")
            # Other nodes may still reach Redis, and know nothing of this write: it is safe when all replicas have it.
            await self.replicas.wait_for(position.lsn, limit_s=_CATCH_UP_S)

    def _note_timeline(self, position: Position) -> None:
        floor = self.replicas.floor()
        if floor is not None and position.timeline > floor.timeline:
            self._distrust("a standby was promoted")

    def _distrust(self, reason: str) -> None:
        if self.replicas.floor() is not None:
            _log.warning("all reads go to the primary until the next refresh", reason=reason)
        self.replicas.distrust()

    async def _refresh(self, limit_s: float) -> None:
        error = ""
        try:
            await self.positions.ping(limit_s=limit_s)
        except DatabaseUnavailable as exc:
            error = str(exc)
        await self.replicas.refresh(limit_s=limit_s)
        if error:
            self._distrust(error)

    async def _keep(self) -> None:
        """Probe and record, and refresh if it is time."""
        clock = asyncio.get_running_loop().time
        await self.replicas.probe()
        await self._recorder.retry()
        if self.replicas.wants_refresh:
            self._due = min(self._due, self._refreshed_at + self._pause_s)
        if clock() >= self._due:
            await self._refresh(REFRESH_S)
            self._refreshed_at = clock()
            self._due = self._refreshed_at + self._period_s


def _say(exc: Exception) -> None:
    del exc  # It is being handled.
    _log.exception("looking after the replicas failed")


async def open_replicated(
    primary: Database, connect: Connect, *, balancing: LoadBalancing, port: int, redis: RedisConnection
) -> ReplicatedDatabase:
    """The *primary* with the replicas that ``database.loadbalancing`` names.

    Args:
        primary: belongs to the result from now on, which closes it.
        connect: opens the database of a replica, whether it is up or not.
        balancing: ``database.loadbalancing``.
        port: ``database.port``, which fixed hosts share.
        redis: ``redis.loadbalancing``.

    Raises:
        ConfigurationError: there is no Redis, or nothing that says where the replicas are.
    """
    mistakes = []
    if not redis.enabled or not redis.addr:
        mistakes.append(Mistake("redis.loadbalancing", "load balancing needs a Redis; enable it and give its addr"))
    if not balancing.record and not balancing.hosts:
        mistakes.append(Mistake("database.loadbalancing", "a record or hosts are needed"))
    if mistakes:
        raise ConfigurationError(mistakes)
    replicas = replica_set(primary, connect, directory_of(balancing, port=port))
    database = ReplicatedDatabase(primary, replicas, PositionStore(redis), period=balancing.replicacheckinterval)
    await database.start()
    return database


def replica_set(
    primary: Database, connect: Connect, directory: Directory, *, quarantine: ReplicaBench | None = None
) -> ReplicaSet:
    """The replicas of *primary*, none of them looked at yet."""
    return ReplicaSet(
        directory, connect, primary=lambda: primary_state(primary), quarantine=quarantine or ReplicaBench()
    )
