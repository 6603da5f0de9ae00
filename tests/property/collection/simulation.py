"""One run: clients and collectors over one database and one storage, in an order that a seed decides."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from unittest.mock import patch

import structlog

from moorage.errors import DatabaseContended, MoorageError
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database, NamedQuery
from moorage.storage.memory import MemoryDriver
from property.collection.clients import Client, Services, Touched
from property.collection.gated import GatedDatabase, GatedStorage
from property.collection.gates import Actor, Scheduler, Violation
from property.collection.habits import WEIGHTS, Habits
from property.collection.ledger import DELAY_S, Key, Ledger, Unknown
from property.collection.snapshots import Snapshot, take
from property.collection.world import CONTENTS, ITEMS

_CLOCKS: Final = ("moorage.storage.base.clock", "moorage.gc.online.review_rounds.clock")
_PATIENT: Final = Deadlines(transaction=timedelta(minutes=10), storage=timedelta(minutes=10))
"""Who waits at a gate is not slow."""
_DRAIN_ROUNDS = 60
_GIVING_WAY_S = 10.0
_WAKING_S = 0.5
_QUIET: Final = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(50))

_SET_DELAY: Final = "UPDATE gc_review_after_defaults SET value = $1"
_PASS: Final = {
    "sqlite": "UPDATE {0} SET review_after = review_after - $1",
    "postgres": "UPDATE {0} SET review_after = review_after - $1 * interval '1 microsecond'",
}
_PASS_CLAIMS: Final = {
    "sqlite": "UPDATE gc_blob_review_queue SET claimed_until = claimed_until - $1",
    "postgres": "UPDATE gc_blob_review_queue SET claimed_until = claimed_until - $1 * interval '1 microsecond'",
}
_KNOWN: Final = "SELECT claimed_until IS NULL FROM gc_blob_review_queue WHERE digest = $1"
_WAITING: Final = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run goes."""

    seed: int
    steps: int
    clients: int = 4
    collectors: int = 2
    """Of each kind."""
    crash: float = 0.004
    failing: float = 0.02
    quiet_every: int = 250
    """Steps after which all come to rest, and everything is looked at."""
    passing: float = 0.03
    """The chance, at each step, that time passes."""
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)


class Simulation:
    """A registry that is used, collected and killed at random, and held to its promises."""

    def __init__(self, plan: Plan, database: Database) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self._rng = random.Random(plan.seed)
        self._plain = database
        count = None if database.dialect == "sqlite" else lambda: count_waiting(database)
        self.scheduler = Scheduler(self._rng, count)
        self._storage = MemoryDriver()
        self._database = GatedDatabase(database, self.scheduler)
        self._gated = GatedStorage(self._storage, self.scheduler, failing=plan.failing, on_move=self._note_late)
        self._services = Services.over(database, self._storage)
        self._requests: dict[str, dict[str, Touched]] = {}
        self._weights = dict(plan.weights)
        self._late: set[str] = set()
        self._last: tuple[Snapshot, int] | None = None

    async def run(self) -> None:
        """Go as far as the plan says; then collect everything, and see that nothing is left.

        Raises:
            Violation: a promise was broken; with the seed, and with what happened before.
        """
        with contextlib.ExitStack() as stack:
            for clock in _CLOCKS:
                stack.enter_context(patch(clock, self.ledger.clock))
            stack.enter_context(patch("moorage.gc.online.review_rounds._log", _QUIET))
            # Who is told to come back does so, after others had their turns.
            stack.enter_context(patch("moorage.metadata.sql.links._REMOVAL_PATIENCE_S", -1.0))
            try:
                await self._run()
            except Exception as exc:
                lines = "\n".join(self.scheduler.trace)
                msg = f"{type(exc).__name__}: {exc}\nseed {self.plan.seed}, step {self.scheduler.steps}\n{lines}"
                raise Violation(msg) from exc
            finally:
                await self._end()

    async def _run(self) -> None:
        await self._plain.write(_query(_SET_DELAY), int(DELAY_S * 1e6))
        self._staff()
        await self.scheduler.settle()
        next_quiet = self.plan.quiet_every
        while self.scheduler.steps < self.plan.steps:
            await self.scheduler.step(crash=self.plan.crash)
            self._staff()
            await self.scheduler.settle()
            if self._rng.random() < self.plan.passing:
                await self._let_time_pass(self._rng.choice([0.05, 0.2, 0.45, 0.6, 1.1, 1.1]) * DELAY_S)
            if self.scheduler.steps >= next_quiet:
                await self._rest()
                await self._look()
                self._change_habits()
                next_quiet = self.scheduler.steps + self.plan.quiet_every
        await self._rest()
        await self._look()
        await self._end()
        await self._drain()

    def _staff(self) -> None:
        """Start a process for each that was killed; a client's has the same tags, and can undo what that did."""
        alive = {actor.name for actor in self.scheduler.actors if not actor.is_dead}
        for kind, wanted, work in (
            ("client", self.plan.clients, self._client),
            ("blobs", self.plan.collectors, self._blobs),
            ("manifests", self.plan.collectors, self._manifests),
        ):
            for name in (f"{kind}{number}" for number in range(wanted)):
                if name not in alive:
                    self.scheduler.start(name, work)

    def _change_habits(self) -> None:
        """Let all clients do more of some things and nothing of others for a while: so rare things meet, too."""
        wanted = {what: weight * self._rng.choice([0, 1, 1, 4]) for what, weight in self.plan.weights.items()}
        self._weights |= wanted if any(wanted.values()) else self.plan.weights

    async def _client(self, actor: Actor) -> None:
        requests = self._requests.setdefault(actor.name, {})
        client = Client(actor, self.ledger, Services.over(self._database, self._gated), requests)
        await Habits(client, self.scheduler, self._weights).live()

    async def _blobs(self, actor: Actor) -> None:
        collector = BlobCollector(SqlBlobReviews(self._database), self._gated, _PATIENT)
        while True:
            await self.scheduler.gate("idle")
            try:
                found = await collector.round(limit=actor.rng.randint(1, 5))
            except DatabaseContended:
                continue  # It gave way.
            for blob in found.removed:
                self.scheduler.note(actor.name, f"removed {blob.digest}")

    async def _manifests(self, actor: Actor) -> None:
        collector = ManifestCollector(SqlManifestReviews(self._database), _PATIENT)
        while True:
            await self.scheduler.gate("idle")
            try:
                found = await collector.round(limit=actor.rng.randint(1, 5))
            except DatabaseContended:
                continue
            for manifest in found.dropped:
                self.scheduler.note(actor.name, f"dropped {manifest.repository} {manifest.digest}")

    async def _note_late(self, path: str) -> None:
        """A push that came to its move later than the delay, and is not finished, leaves bytes that nobody knows."""
        encoded = path.split("/")[-2]
        row = await self._plain.first(_query(_KNOWN), b"\x01" + bytes.fromhex(encoded))
        if row is None or not row[0]:
            self._late.add(encoded)

    async def _let_time_pass(self, seconds: float) -> None:
        """As if everything had been done so much earlier. Nothing takes that long that has a deadline of seconds."""
        if any(actor.open_transactions for actor in self.scheduler.actors):
            return
        self.scheduler.note("", f"{seconds:g} s pass")
        amount = int(seconds * 1e6)
        async with self._plain.transaction() as session:
            for table in ("gc_blob_review_queue", "gc_manifest_review_queue"):
                await session.all(_query(_PASS[self._plain.dialect].format(table)), amount)
            await session.all(_query(_PASS_CLAIMS[self._plain.dialect]), amount)
        self.ledger.offset_s += seconds

    async def _rest(self) -> None:
        """Let everybody finish what was begun."""
        began = time.monotonic()
        while True:
            while await self.scheduler.step(crash=0.0, only_busy=True):
                began = time.monotonic()
            busy = [actor.name for actor in self.scheduler.actors if not actor.is_idle]
            if not busy:
                return
            # A collector gives way soon; clients would wait until PostgreSQL ends one of them, after a second.
            patience = _WAKING_S if all(name.startswith("client") for name in busy) else _GIVING_WAY_S
            if time.monotonic() > began + patience:
                msg = f"these wait for each other: {busy}"
                raise Violation(msg)
            await asyncio.sleep(0.05)
            await self.scheduler.settle()

    async def _look(self) -> None:
        """Everything is as it was promised."""
        now = await take(self._plain, self._storage)
        self._late -= {digest.encoded for digest in {*now.blobs.values(), *now.blob_reviews}}
        faults = list(now.faults(self._late))
        if self._last is not None:
            before, number = self._last
            removed = self.ledger.removed_since(number)
            faults += now.losses(before, lambda name, digest: Key(RepositoryName(name), "manifest", digest) in removed)
        self._last = now, self.ledger.stamp().number
        for key in self.ledger.held():
            faults += [fault async for fault in self._pull(key)]
        for (name, text), target in self.ledger.tags.items():
            if isinstance(target, Unknown):
                continue
            try:
                found = await self._services.manifest(name, Tag(text))
            except MoorageError as exc:
                if target is not None:
                    faults.append(f"the tag {text} in {name} should be {target}: {exc}")
                continue
            if target is None or found != ITEMS[target].content.body:
                faults.append(f"the tag {text} in {name} should be {target}")
        if faults:
            raise Violation("\n".join(faults))

    async def _pull(self, key: Key) -> AsyncIterator[str]:
        try:
            if key.kind == "blob":
                is_right = await self._services.blob(key.name, key.digest) == CONTENTS[key.digest].body
            else:
                is_right = await self._services.manifest(key.name, key.digest) == ITEMS[key.digest].content.body
        except MoorageError as exc:
            yield f"{key} was promised and cannot be pulled: {exc}"
        else:
            if not is_right:
                yield f"{key} is not what was pushed"

    async def _drain(self) -> None:
        """Let time pass until everything was reviewed: what a tag leads to stays, and nothing else."""
        blobs_queue, manifests_queue = SqlBlobReviews(self._plain), SqlManifestReviews(self._plain)
        blobs = BlobCollector(blobs_queue, self._storage, _PATIENT)
        manifests = ManifestCollector(manifests_queue, _PATIENT)
        await self._services.purge()
        for _ in range(_DRAIN_ROUNDS):
            await self._let_time_pass(1.5 * DELAY_S)
            await manifests.round()
            await blobs.round()
            waiting = [await manifests_queue.next_at(), await blobs_queue.next_at()]
            if waiting == [None, None]:
                break
        now = await take(self._plain, self._storage)
        faults = [*now.faults(self._late), *now.leftovers(self._late)]
        if faults:
            raise Violation("after everything was reviewed:\n" + "\n".join(faults))

    async def _end(self) -> None:
        """End every process."""
        for actor in list(self.scheduler.actors):
            actor.is_dead = True
            for parked in list(actor.parked):
                self.scheduler.kill(parked)
        with contextlib.suppress(Exception):
            await self.scheduler.settle()


async def count_waiting(database: Database) -> int:
    """How many sessions wait for a lock (PostgreSQL)."""
    row = await database.first(_query(_WAITING))
    assert row is not None
    return int(row[0])


def _query(text: str) -> NamedQuery:
    return NamedQuery("simulation", text.replace("$", "?"), text)
