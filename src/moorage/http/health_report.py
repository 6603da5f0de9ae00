"""The health of a node: what its checks have found, and what storage and database say."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from moorage.core.damage import DamageFound
from moorage.errors import BackendError, StorageFull
from moorage.health.questions import Ask, Question
from moorage.health.watch import HealthWatch
from moorage.room import Room
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver

_FRESH_S = 2.0
"""Seconds for which an answer stands, so that an eager load balancer does not wear out the disk."""

_DEADLINE_S = 10.0


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """The health of a node at one moment."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Parts that do not work, each with why: nothing should be sent here."""
    full: Mapping[str, str] = field(default_factory=dict)
    """Parts that have no room: pushes should go elsewhere, if there is another place."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Warnings: things to look at, which stop nothing."""


class HealthReport:
    """Health of a node, as one of its workers sees it.

    Storage and database are asked for each report, unless they are checked again and again anyway: at once, each with a
    deadline, as a balancer does not wait for long.
    """

    def __init__(
        self,
        storage: StorageDriver,
        database: Database | None = None,
        *,
        watch: HealthWatch,
        probe: Ask | None = None,
        room: Room | None = None,
        damage: Callable[[], Awaitable[DamageFound | None]] | None = None,
        is_read_only: bool = False,
        deadline_s: float = _DEADLINE_S,
    ) -> None:
        """*probe*: asks storage whether it can be used; None: its own one, which writes."""
        self._watch = watch
        self._storage_name = f"storagedriver_{storage.name}"
        self._room = room or Room({})
        self._damage = damage
        self._damage_seen: DamageFound | None = None
        self._damage_question = Question(self._look_for_damage)
        self._questions: dict[str, Question] = {}
        # A configuration that checks them itself says how often, and how many failures count.
        if self._storage_name not in watch.names:
            self._questions[self._storage_name] = Question(probe or storage.probe)
        if database is not None and DATABASE_CHECK not in watch.names:
            self._questions[f"database_{database.dialect}"] = Question(database.ping)
        self._is_read_only = is_read_only
        self._deadline_s = deadline_s
        self._is_draining = False
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._found = NodeHealth()

    def drain(self) -> None:
        """Say from now on that this worker takes no more requests."""
        self._is_draining = True

    async def unready(self, *, for_pushes: bool) -> Mapping[str, str]:
        """List the reasons to send no pulls, or no pushes, here; empty if there are none."""
        if self._is_draining:
            return {"draining": "the node is stopping"}  # Storage that hangs need not be waited for to say that.
        found = await self.ask()
        why = dict(found.failed)
        if for_pushes:
            why |= found.full
            if self._is_read_only:
                why["readonly"] = "the registry is read-only for maintenance"
        return why

    async def ask(self) -> NodeHealth:
        """Return the health of the node: an answer stands for two seconds."""
        async with self._lock:
            if time.monotonic() - self._checked_at > _FRESH_S:
                self._found = await self._look()
                self._checked_at = time.monotonic()
        return NodeHealth({**self._found.failed, **self._watch.failing}, self._found.full, self._found.notes)

    async def _look(self) -> NodeHealth:
        failed: dict[str, str] = {}
        full: dict[str, str] = {}

        async def put(name: str, question: Question) -> None:
            try:
                await question.put(self._deadline_s)
            except StorageFull:
                full[name] = _FULL
            except (BackendError, OSError, TimeoutError) as exc:
                failed[name] = f"failed: {exc or 'no answer in time'}"

        await asyncio.gather(*(put(name, question) for name, question in self._questions.items()))
        if failed:  # A disk that hangs would hang the whole worker if it were asked for its room.
            return NodeHealth(failed, full)
        if not full and self._is_full():
            full[self._storage_name] = _FULL
        damage = None if full else await self._damaged()
        return NodeHealth(failed, full, {} if damage is None else {"blobs": str(damage)})

    def _is_full(self) -> bool:
        try:
            self._room.check()
        except (StorageFull, OSError):
            return True
        return False

    async def _damaged(self) -> DamageFound | None:
        try:
            await self._damage_question.put(self._deadline_s)
        except (BackendError, TimeoutError):
            return None  # Whatever does not answer is asked above.
        return self._damage_seen

    async def _look_for_damage(self) -> None:
        self._damage_seen = None if self._damage is None else await self._damage()


DATABASE_CHECK = "database_connection"
"""Source: GitLab features HLT-007."""

_FULL = "degraded: no room left; pushes are refused, pulls and deletes go on"
