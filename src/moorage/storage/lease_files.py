"""Announcements on a storage that no process can hold open: an object written again and again, dead when it stops.

Two clocks, of which neither is compared with the other. Other processes judge an object's age by the storage's own
clock: the time that storage gives to an object written just now. The owner judges by the machine's, from before its
last renewal was sent, and gives up :data:`MARGIN_S` earlier. So an owner that slept, or whose storage hung, has stopped
relying on its lease before anybody takes it for dead; and once it is late it stays late, though its last write may
still arrive. See ``docs/adr/0046-who-is-at-work-on-an-object-store.md``.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver, clock
from moorage.telemetry import get_log

LEASE_S = 180.0
"""Since its last renewal a lease is older than this: its owner is dead."""
MARGIN_S = 60.0
"""The owner gives up so much earlier: longer than any single step that relies on the lease may take."""
RENEWAL_S = 30.0

_log = get_log("storage")


class LeaseLost(StorageUnavailable):
    """Nobody knows any more that we are at work, as storage could not be told for too long."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The owner's clock, and how it waits."""

    now: Callable[[], float] = clock
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class LeaseFile:
    """An object of ours that a task writes again every :data:`RENEWAL_S`. It ends with :meth:`close`."""

    def __init__(self, storage: StorageDriver, path: str, content: bytes, times: LeaseTimes) -> None:
        self._storage = storage
        self._content = content
        self._times = times
        self._held_until = times.now() + LEASE_S - MARGIN_S
        self._renewing: asyncio.Task[None] | None = None
        self.path = path

    @classmethod
    async def make(cls, storage: StorageDriver, path: str, content: bytes, *, times: LeaseTimes | None = None) -> Self:
        """Write the object, and go on writing it as long as the event loop runs.

        Raises:
            StorageFull, StorageUnavailable: it cannot be written.
        """
        lease = cls(storage, path, content, times or LeaseTimes())
        await lease.renew()
        lease._renewing = asyncio.create_task(lease._go_on())
        return lease

    @property
    def known_until(self) -> float:
        """The time, by the owner's clock, until which others know of us if it is not renewed."""
        return self._held_until

    def check(self) -> None:
        """See that others still know of us. Nothing that relies on it may begin otherwise.

        Raises:
            LeaseLost: they may not.
        """
        if self._times.now() >= self._held_until:
            self._held_until = float("-inf")
            msg = f"{self.path.lstrip('/')} could not be renewed in time: others may have taken us for dead"
            raise LeaseLost(msg)

    async def renew(self) -> None:
        """Write the object once more.

        Raises:
            LeaseLost: it is too late for that, or was when the answer came.
            StorageFull, StorageUnavailable: it cannot be written now.
        """
        self.check()
        asked_at = self._times.now()
        await self._storage.put(self.path, self._content, durable=False)
        self.check()  # An answer that comes late tells nothing of what others have done meanwhile.
        self._held_until = asked_at + LEASE_S - MARGIN_S

    async def lost(self) -> None:
        """Return when the lease is lost; see :meth:`check`."""
        if self._renewing is not None:
            await asyncio.wait([self._renewing])

    async def close(self) -> None:
        """Be done; the object goes, or is left behind where storage does not let it: it is dead in some minutes."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])  # Else a renewal under way could come after the removal.
        try:
            await self._storage.delete(self.path, durable=False)
        except PathUnknown:
            pass
        except BackendError as exc:  # The end of the work must not fail by it: there is more to be done then.
            _log.warning("a lease in storage could not be removed; it ends by itself", path=self.path, error=str(exc))

    async def _go_on(self) -> None:
        while True:
            await self._times.sleep(RENEWAL_S)
            try:
                await self.renew()
            except LeaseLost as exc:
                _log.error("storage no longer shows that this process is at work", error=str(exc))
                return
            except BackendError as exc:
                _log.warning("storage could not be told that this process is still at work", error=str(exc))


def is_alive(found: Stat, now: datetime) -> bool:
    """Return whether a lease was renewed so lately, by the storage's clock, that its owner may rely on it."""
    return now - found.modified_at <= timedelta(seconds=LEASE_S)


async def storage_time(storage: StorageDriver) -> datetime:
    """Return the time by the storage's own clock.

    Raises:
        StorageFull, StorageUnavailable: that cannot be found out.
    """
    path = paths.lock_file(f"clock-{secrets.token_hex(8)}")
    await storage.put(path, b"", durable=False)
    try:
        return (await storage.stat(path, folder=False)).modified_at
    finally:
        with contextlib.suppress(BackendError):
            await storage.delete(path, durable=False)
