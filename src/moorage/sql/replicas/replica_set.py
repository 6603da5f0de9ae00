"""The replicas in use: found anew from time to time, taken in turn, left out when they fail."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from moorage.errors import BackendError, DatabaseUnavailable
from moorage.sql.members import DatabaseServer
from moorage.sql.replicas.replica import Connect, PrimaryState, Replica
from moorage.sql.replicas.replica_bench import ReplicaBench
from moorage.sql.replicas.replica_discovery import Directory, ReplicaAddress
from moorage.sql.replicas.replica_positions import KEPT, Position
from moorage.telemetry import get_log

CHECK_S = 0.1
"""Seconds that a read may take to find a replica that is far enough, and that a probe may take."""
PROBE_PAUSE_S = 1.0
"""Between two probes of one replica."""

_FLOOR_AGE_S = KEPT.total_seconds() * 0.8
_POLL_S = 0.01

_log = get_log("sql.replicas")


class ReplicaSet:
    """The replicas of one primary, as one process sees them."""

    def __init__(
        self,
        directory: Directory,
        connect: Connect,
        *,
        primary: Callable[[], Awaitable[PrimaryState]],
        quarantine: ReplicaBench,
    ) -> None:
        self.replicas: Sequence[Replica] = ()
        self.wants_attention = asyncio.Event()
        """Set when something should be looked at before its time."""
        self.wants_refresh = False
        self.directory = directory
        self.events = quarantine.events
        self.on_lag: Callable[[str, float, int], object] = lambda *_: None
        """Is told at each comparison how far a replica is behind, in seconds and in bytes."""
        self._connect = connect
        self._primary = primary
        self._quarantine = quarantine
        self._next = 0
        self._floor: Position | None = None
        self._floor_at = 0.0
        self._retired: set[asyncio.Task[None]] = set()
        self._clock = asyncio.get_running_loop().time

    def floor(self) -> Position | None:
        """The position that a replica must have replayed for any read: the primary's at the last refresh.

        It stands for all writes whose own position is no longer kept, or was lost. None: no read goes to a replica.
        """
        if self._floor is not None and self._clock() > self._floor_at + _FLOOR_AGE_S:
            self.distrust()
        return self._floor

    def distrust(self) -> None:
        """Send all reads to the primary until the next refresh, which is wanted soon."""
        self._floor = None
        self.want_refresh()

    def want_refresh(self) -> None:
        """Ask for a refresh before its time."""
        if not self.wants_refresh:
            self.wants_refresh = True
            self.wants_attention.set()

    def suspect(self, replica: Replica, exc: BaseException) -> None:
        """Send nothing to a replica that failed until a probe has succeeded."""
        _log.warning("a replica failed", replica=str(replica.address), error=str(exc) or type(exc).__name__)
        replica.suspect()
        self.wants_attention.set()

    def usable(self) -> Sequence[Replica]:
        """Those that may be read from, the one whose turn it is first."""
        found = [one for one in self.replicas if one.is_usable and not self._quarantine.holds(one.address)]
        if not found:
            return found
        self._next = (self._next + 1) % len(found)
        return found[self._next :] + found[: self._next]

    async def servers(self, *, limit_s: float) -> Sequence[DatabaseServer]:
        """See :meth:`moorage.sql.base.Database.servers`; those that are left alone are not asked."""
        held = self._quarantine.held_s()
        asked = [replica.server(limit_s=limit_s) for replica in self.replicas if replica.address not in held]
        return [*await asyncio.gather(*asked), *self._held()]

    def known(self) -> Sequence[DatabaseServer]:
        """Return how the replicas are, as far as that is known without asking them."""
        held = self._quarantine.held_s()
        return [*(replica.known() for replica in self.replicas if replica.address not in held), *self._held()]

    def _held(self) -> Iterator[DatabaseServer]:
        now = datetime.now(UTC)
        for address, for_s in self._quarantine.held_s().items():
            yield DatabaseServer(
                address=str(address),
                is_primary=False,
                state="quarantined",
                fault="it failed, or came and went, too often",
                held_since=now - timedelta(seconds=for_s),
            )

    async def having(self, lsn: int, *, limit_s: float) -> Replica | None:
        """A replica that has replayed the log up to *lsn*: the next in turn if it can be, at the cost of one question.

        None: none that is known to; the one in turn may not have said so within *limit_s* seconds.
        """
        replicas = self.usable()
        if replicas:
            first = replicas[0]
            try:
                if await first.ask(lsn, limit_s=limit_s):
                    return first
            except DatabaseUnavailable as exc:
                self.suspect(first, exc)
        return next((one for one in replicas if one.is_usable and one.has(lsn)), None)

    async def wait_for(self, lsn: int, *, limit_s: float) -> bool:
        """Wait until every replica in use has replayed the log up to *lsn*; False if that takes too long."""
        deadline = self._clock() + limit_s
        waiting = list(self.usable())
        while waiting:
            behind = []
            for replica in waiting:
                try:
                    if not await replica.ask(lsn, limit_s=CHECK_S) and replica.is_usable:
                        behind.append(replica)
                except DatabaseUnavailable as exc:
                    self.suspect(replica, exc)
            waiting = behind
            if waiting and self._clock() > deadline:
                return False
            await asyncio.sleep(_POLL_S if waiting else 0)
        return True

    async def probe(self) -> None:
        """Ask those that failed, each not too often; who still does not answer is removed."""
        suspects = [replica for replica in self.replicas if replica.is_suspect]
        for replica in suspects:
            if self._clock() < replica.probed_at + PROBE_PAUSE_S:
                continue
            replica.probed_at = self._clock()
            try:
                await replica.ask(0, limit_s=CHECK_S)
            except DatabaseUnavailable:
                self._remove(replica)
                self.want_refresh()
            else:
                replica.is_suspect = False

    async def refresh(self, *, limit_s: float) -> None:
        """Find out where the replicas are, open those that are new, and compare all with the primary.

        What fails is logged; the rest goes on with what was known before.
        """
        self.wants_refresh = False
        known = {replica.address: replica for replica in self.replicas}
        try:
            addresses = await self.directory.addresses(limit_s=limit_s)
        except DatabaseUnavailable as exc:
            _log.error("the replicas could not be looked up", error=str(exc))
            addresses = list(known)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._look_at(one, known.get(one), limit_s)) for one in addresses]
        found = [replica for task in tasks if (replica := task.result()) is not None]
        await self._compare(found, limit_s)
        before = self.replicas
        self.replicas = found
        for replica in before:
            if replica not in found:
                self._retire(replica)
        for replica in found:
            if replica.address not in known:
                self.events["replica_added", "discovered"] += 1
                self._quarantine.note_change(replica.address)

    async def close(self) -> None:
        """Let go of every replica."""
        for replica in self.replicas:
            self._retire(replica)
        self.replicas = ()
        if self._retired:
            await asyncio.wait(self._retired)

    async def _look_at(self, address: ReplicaAddress, replica: Replica | None, limit_s: float) -> Replica | None:
        """The replica at *address* with what it says of itself; None if it does not answer, or shall not be asked."""
        if self._quarantine.holds(address):
            return None
        opened = replica or Replica(address, await self._connect(address))
        try:
            async with asyncio.timeout(limit_s):
                await opened.measure()
        except (BackendError, TimeoutError) as exc:
            self._quarantine.note_failure(address)
            _log.warning("a replica does not answer", replica=str(address), error=str(exc) or type(exc).__name__)
            if opened is not replica:
                self._close_later(opened)
            return None
        self._quarantine.note_answer(address)
        return opened

    async def _compare(self, replicas: Sequence[Replica], limit_s: float) -> None:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(limit_s):
                primary = await self._primary()
        except (BackendError, TimeoutError) as exc:
            # What was known stays true: nothing is written while there is no primary.
            _log.error("the primary did not say how far it is", error=str(exc) or type(exc).__name__)
            return
        for replica in replicas:
            replica.judge(primary)
            self.on_lag(str(replica.address), *replica.lag(primary))
        self._floor = primary.position
        self._floor_at = asked_at

    def _remove(self, replica: Replica) -> None:
        self.replicas = [one for one in self.replicas if one is not replica]
        self._retire(replica)

    def _retire(self, replica: Replica) -> None:
        self.events["replica_removed", "" if replica.is_suspect else "removed_from_dns"] += 1
        _log.info("a replica is not used any more", replica=str(replica.address))
        self._quarantine.note_change(replica.address)
        self._close_later(replica)

    def _close_later(self, replica: Replica) -> None:
        # A task of its own: what reads there may end, and nobody waits for it but the end of the set.
        replica.refusal = "it was removed"
        task = asyncio.get_running_loop().create_task(replica.close())
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
