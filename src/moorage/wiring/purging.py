"""The purging of uploads that were given up, as a chore."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence

from moorage.config import Config
from moorage.core.maintenance import purge_listed_uploads, purge_uploads
from moorage.core.uploads import Uploads
from moorage.errors import BackendError
from moorage.storage.base import StorageDriver
from moorage.telemetry import get_log

_log = get_log("worker")

_JITTER_LIMIT_S = 3600.0


def purging(
    config: Config, storage: StorageDriver, uploads: Uploads, *, lists_sessions: bool
) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
    """Return the chore; none where it is switched off or nothing may be written.

    *lists_sessions*: the metadata store knows the uploads, so that storage is walked only once.
    """
    rules = config.storage.maintenance.uploadpurging
    if not rules.enabled or config.storage.maintenance.readonly.enabled:
        return ()

    async def purge() -> None:
        interval_s = rules.interval.total_seconds()
        # Nodes that are started together shall not all walk at the same time.
        await asyncio.sleep(random.uniform(0, min(interval_s, _JITTER_LIMIT_S)))  # noqa: S311 - jitter
        is_first = True
        while True:
            try:
                count = 0
                if lists_sessions:
                    count = await purge_listed_uploads(uploads, age=rules.age, dry_run=rules.dryrun)
                if is_first or not lists_sessions:
                    count += await purge_uploads(storage, uploads, age=rules.age, dry_run=rules.dryrun)
                    is_first = False
                _log.info("upload purge done", uploads=count, dry_run=rules.dryrun)
            except BackendError as exc:
                _log.error("upload purge failed; it will be tried again", error=str(exc), interval_s=interval_s)
            await asyncio.sleep(interval_s)

    return (purge,)
