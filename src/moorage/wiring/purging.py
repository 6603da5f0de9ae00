"""The purging of uploads that were given up, as a chore."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta

from moorage.config import Config
from moorage.core.maintenance import purge_listed_uploads, purge_uploads
from moorage.core.uploads import Uploads
from moorage.errors import BackendError
from moorage.storage.base import StorageDriver
from moorage.telemetry import get_log
from moorage.work.loop import Loop, LoopPace

_log = get_log("worker")

_JITTER_LIMIT = timedelta(hours=1)


def purging(
    config: Config, storage: StorageDriver, uploads: Uploads, *, lists_sessions: bool
) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
    """Return the chore; none where it is switched off or nothing may be written.

    *lists_sessions*: the metadata store knows the uploads, so that storage is walked only once.
    """
    rules = config.storage.maintenance.uploadpurging
    if not rules.enabled or config.storage.maintenance.readonly.enabled:
        return ()

    is_first = True

    async def purge() -> None:
        nonlocal is_first
        count = 0
        if lists_sessions:
            count = await purge_listed_uploads(uploads, age=rules.age, dry_run=rules.dryrun)
        if is_first or not lists_sessions:
            count += await purge_uploads(storage, uploads, age=rules.age, dry_run=rules.dryrun)
            is_first = False
        _log.info("upload purge done", uploads=count, dry_run=rules.dryrun)

    def say(exc: Exception) -> None:
        interval_s = rules.interval.total_seconds()
        _log.error("upload purge failed; it will be tried again", error=str(exc), interval_s=interval_s)

    # Nodes that are started together shall not all walk at the same time.
    pace = LoopPace(interval=rules.interval, start_within=min(rules.interval, _JITTER_LIMIT))
    return (Loop(purge, pace, failures=(BackendError,), on_failure=say, name="upload purging").run,)
