"""Chores of a node while it serves: purging uploads, background migrations, garbage collection."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from functools import partial

from moorage.config import Config
from moorage.core.maintenance import purge_listed_uploads, purge_uploads
from moorage.errors import BackendError
from moorage.telemetry import get_log
from moorage.wiring.registry import Registry
from moorage.work.alongside import alongside
from moorage.work.loop import Loop, LoopPace

_log = get_log("worker")

_PURGE_JITTER_LIMIT = timedelta(hours=1)
_STOP_PATIENCE = timedelta(seconds=5)


@contextlib.asynccontextmanager
async def housekeeping(config: Config, registry: Registry) -> AsyncIterator[None]:
    """Do all of it until the block ends."""
    chores = (*registry.chores, lambda: _purge(config, registry))
    async with alongside(*(partial(_guarded, chore) for chore in chores), patience=_STOP_PATIENCE):
        yield


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
    lists_sessions, is_first = registry.metadata.sessions is not None, True

    async def look() -> None:
        nonlocal is_first
        count = 0
        if lists_sessions:
            count = await purge_listed_uploads(registry.uploads, age=rules.age, dry_run=rules.dryrun)
        if is_first or not lists_sessions:
            count += await purge_uploads(registry.storage, registry.uploads, age=rules.age, dry_run=rules.dryrun)
            is_first = False
        _log.info("upload purge done", uploads=count, dry_run=rules.dryrun)

    def say(exc: Exception) -> None:
        interval_s = rules.interval.total_seconds()
        _log.error("upload purge failed; it will be tried again", error=str(exc), interval_s=interval_s)

    # Nodes that are started together shall not all walk at the same time.
    pace = LoopPace(interval=rules.interval, start_within=min(rules.interval, _PURGE_JITTER_LIMIT))
    await Loop(look, pace, failures=(BackendError,), on_failure=say).run()
