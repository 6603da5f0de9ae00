"""Chores of a node while it serves: purging uploads, background migrations, garbage collection."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine

from moorage.config import Config
from moorage.core.maintenance import purge_listed_uploads, purge_uploads
from moorage.errors import BackendError
from moorage.telemetry import get_log
from moorage.wiring.registry import Registry

_log = get_log("worker")

_PURGE_JITTER_LIMIT_S = 3600.0
_STOP_PATIENCE_S = 5.0


@contextlib.asynccontextmanager
async def housekeeping(config: Config, registry: Registry) -> AsyncIterator[None]:
    """Do all of it until the block ends."""
    tasks = [asyncio.create_task(_guarded(chore)) for chore in (*registry.chores, lambda: _purge(config, registry))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        # What they have in hand they put back.
        await asyncio.wait(tasks, timeout=_STOP_PATIENCE_S)


async def _guarded(chore: Callable[[], Coroutine[None, None, None]]) -> None:
    """One chore that crashes must not keep the others from their work, nor go unnoticed."""
    try:
        await chore()
    except Exception:  # noqa: BLE001 - the outermost
        _log.exception("a chore crashed; it is done again after the next start")


async def _purge(config: Config, registry: Registry) -> None:
    rules = config.storage.maintenance.uploadpurging
    if not rules.enabled or config.storage.maintenance.readonly.enabled:
        return
    interval_s = rules.interval.total_seconds()
    # Nodes that are started together shall not all walk at the same time.
    await asyncio.sleep(random.uniform(0, min(interval_s, _PURGE_JITTER_LIMIT_S)))  # noqa: S311 - jitter
    lists_sessions, is_first = registry.metadata.sessions is not None, True
    while True:
        try:
            count = 0
            if lists_sessions:
                count = await purge_listed_uploads(registry.uploads, age=rules.age, dry_run=rules.dryrun)
            if is_first or not lists_sessions:
                count += await purge_uploads(registry.storage, registry.uploads, age=rules.age, dry_run=rules.dryrun)
                is_first = False
            _log.info("upload purge done", uploads=count, dry_run=rules.dryrun)
        except BackendError as exc:
            _log.error("upload purge failed; it will be tried again", error=str(exc), interval_s=interval_s)
        await asyncio.sleep(interval_s)
