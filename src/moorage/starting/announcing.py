"""Announcements that keep ``moorage serve`` apart from collections and restores: see ``storage/presence.py``."""

import asyncio
import contextlib
from collections.abc import Iterator

from moorage.config import Config
from moorage.errors import BackendError, ConfigurationError, Mistake
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.presence import Activity, Announcement, HeldFile, announce, others_at_work
from moorage.storage.restore_note import refusal_by_restore
from moorage.telemetry import get_log
from moorage.wiring.storage import capabilities_of, storage_driver

_READ_ONLY = "in read-only mode: storage.maintenance.readonly.enabled: true"

_log = get_log("serve")


@contextlib.contextmanager
def announced(config: Config) -> Iterator[HeldFile | None]:
    """Keep offline garbage collection out while the registry takes pushes; the workers inherit the file that does it.

    None is yielded where there is none, as nothing has to be kept out or each worker does so itself.

    Raises:
        ConfigurationError: a collection is under way, which a push could lose its blobs to, or may be or begin unseen;
            or a restore has begun.
    """
    found = capabilities_of(config)
    if config.storage.maintenance.readonly.enabled or Capability.SHARED not in found:
        yield None
        return
    if Capability.EXCLUSIVE_WRITERS not in found:  # Then each worker announces itself: nothing is inherited.
        asyncio.run(_refuse_collectors_of(storage_driver(config)))
        yield None
        return
    announcement = asyncio.run(_announce(storage_driver(config)))
    try:
        yield announcement if isinstance(announcement, HeldFile) else None
    finally:
        if announcement is not None:
            asyncio.run(_end(announcement))


async def _announce(storage: StorageDriver) -> Announcement | None:
    try:
        announcement = await announce(storage, Activity.WRITING)
    except BackendError as exc:
        await _refuse_unannounced(storage, exc)
        # Whoever cannot write there cannot take pushes either, and may serve what there is.
        _log.warning("storage cannot be marked as being written to", error=str(exc))
        return None
    try:
        await _refuse_collectors(storage)
        await _refuse_restore(storage)  # Again: it may have begun before we could be seen.
    except BaseException:
        await _end(announcement)
        raise
    return announcement


async def _refuse_unannounced(storage: StorageDriver, reason: BackendError) -> None:
    """Refuse a storage that takes pushes nevertheless."""
    try:
        await storage.probe()
    except BackendError:
        return
    finally:
        await storage.close()  # What it asked in a thread, no fork is to inherit.
    message = (
        f"{reason}; so garbage collection would not see this registry, and could remove what is being pushed: let the "
        f"registry's user write to that folder, or start {_READ_ONLY}"
    )
    raise ConfigurationError([Mistake("storage", message)])


async def _refuse_collectors(storage: StorageDriver) -> None:
    try:
        collectors = await others_at_work(storage, Activity.COLLECTING)
    except BackendError as exc:
        message = (
            f"it cannot be found out whether garbage is being collected in this storage: {exc}; let the registry's "
            f"user read that folder, or start {_READ_ONLY}"
        )
        raise ConfigurationError([Mistake("storage", message)]) from exc
    if collectors:
        message = (
            f"garbage is being collected in this storage by {', '.join(map(str, collectors))}; start when it has "
            f"ended, or {_READ_ONLY}"
        )
        raise ConfigurationError([Mistake("storage", message)])


async def _refuse_restore(storage: StorageDriver) -> None:
    refusal = await refusal_by_restore(storage)
    if refusal:
        raise ConfigurationError([Mistake("storage", refusal)])


async def _refuse_collectors_of(storage: StorageDriver) -> None:
    try:
        await _refuse_collectors(storage)
    finally:
        await storage.close()


async def _end(announcement: Announcement) -> None:
    with contextlib.suppress(BackendError):
        await announcement.close()
