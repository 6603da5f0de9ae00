"""The health of a node: what its checks have found, and what storage and database say."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from moorage.core.damage import DamageFound
from moorage.errors import BackendError, StorageFull
from moorage.health.questions import Question
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

    Storage and database are asked for each report, unless they are checked again and again anyway.
    """

    def __init__(
        self,
        storage: StorageDriver,
        database: Database | None = None,
        *,
        watch: HealthWatch,
        room: Room | None = None,
        damage: Callable[[], Awaitable[DamageFound | None]] | None = None,
        is_read_only: bool = False,
    ) -> None:
        self._watch = watch
        self._storage_name = f"storagedriver_{storage.name}"
        self._room = room or Room({})
        self._damage = damage
        self._questions: dict[str, Question] = {}
        # A configuration that checks them itself says how often, and how many failures count.
        if self._storage_name not in watch.names:
            self._questions[self._storage_name] = Question(storage.probe)
        if database is not None and DATABASE_CHECK not in watch.names:
            self._questions[f"database_{database.dialect}"] = Question(database.ping)
        self._is_read_only = is_read_only
        self._is_draining = False
        self._lock = asyncio.Lock()
        self._checked_at = float("-inf")
        self._found = NodeHealth()

    def drain(self) -> None:
        """Say from now on that this worker takes no more requests."""
        self._is_draining = True

    def unready(self, found: NodeHealth, *, for_pushes: bool) -> Mapping[str, str]:
        """List the reasons to send no pulls, or no pushes, here; empty if there are none."""
        why = dict(found.failed)
        if self._is_draining:
            why["draining"] = "the node is stopping"
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
        for name, question in self._questions.items():
            try:
                await question.put(_DEADLINE_S)
            except StorageFull:
                full[name] = _FULL
            except (BackendError, OSError, TimeoutError) as exc:
                failed[name] = f"failed: {exc or 'no answer in time'}"
        if not full and self._is_full():
            full[self._storage_name] = _FULL
        damage = None if failed or full else await self._damaged()
        return NodeHealth(failed, full, {} if damage is None else {"blobs": str(damage)})

    def _is_full(self) -> bool:
        try:
            self._room.check()
        except (StorageFull, OSError):
            return True
        return False

    async def _damaged(self) -> DamageFound | None:
        if self._damage is None:
            return None
        try:
            async with asyncio.timeout(_DEADLINE_S):
                return await self._damage()
        except (BackendError, TimeoutError):
            return None  # Whatever does not answer is asked above.


DATABASE_CHECK = "database_connection"
"""Source: GitLab features HLT-007."""

_FULL = "degraded: no room left; pushes are refused, pulls and deletes go on"
