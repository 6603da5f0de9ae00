"""A worker that shows on its storage that it is at work, where no file that its supervisor holds does so for it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

from moorage.errors import BackendError, StorageFull, StorageUnavailable
from moorage.room import Room
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.lease_files import RENEWAL_S, LeaseTimes
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.storage.restore_note import refusal_by_restore
from moorage.telemetry import get_log
from moorage.work.alongside import alongside

_log = get_log("worker")


@contextlib.asynccontextmanager
async def shown_at_work(
    storage: StorageDriver, *, on_loss: Callable[[], None], room: Room | None = None, times: LeaseTimes | None = None
) -> AsyncIterator[None]:
    """Keep offline collections away from a shared storage by a lease; call *on_loss* if they may no longer see it.

    Storage without room takes no lease. Then pushes are refused by *room*, so that no collection need see us, pulls and
    deletions go on, and the lease is tried for again and again.

    Raises:
        StorageFull, StorageUnavailable: storage cannot be told, garbage is being collected, or a restore has begun.
    """
    if Capability.SHARED not in storage.capabilities or keeps_files(storage):
        yield
        return
    async with contextlib.AsyncExitStack() as stack:
        try:
            lease = await announce(storage, Activity.WRITING, times=times)
        except StorageFull as exc:
            if room is None:
                raise
            room.close("storage has no room left to show there that this registry takes pushes")
            _log.error("storage has no room: pushes are refused until it has", error=str(exc))
            waiting = partial(_take_pushes_later, storage, room, on_loss, times or LeaseTimes())
            await stack.enter_async_context(alongside(waiting))
            yield
            return
        stack.push_async_callback(lease.close)
        refusal = await _refusal(storage)
        if refusal:
            raise StorageUnavailable(refusal)
        await stack.enter_async_context(alongside(partial(_watch, lease, on_loss)))
        yield


async def _refusal(storage: StorageDriver) -> str:
    """Return what keeps a worker from serving that others can see by now; empty: nothing."""
    collectors = await others_at_work(storage, Activity.COLLECTING)
    if collectors:
        return f"garbage is being collected in this storage by {', '.join(map(str, collectors))}"
    return await refusal_by_restore(storage)


async def _watch(lease: Announcement, on_loss: Callable[[], None]) -> None:
    await lease.lost()
    on_loss()


async def _take_pushes_later(
    storage: StorageDriver, room: Room, on_loss: Callable[[], None], times: LeaseTimes
) -> None:
    """Try for a lease, and let pushes come once there is one; give it back at the end."""
    lease: Announcement | None = None
    while lease is None:
        await times.sleep(RENEWAL_S)
        with contextlib.suppress(BackendError):
            lease = await _announce_alone(storage, times)
    try:
        room.open()
        _log.info("storage has room again: pushes are taken")
        await _watch(lease, on_loss)
    finally:
        await lease.close()


async def _announce_alone(storage: StorageDriver, times: LeaseTimes) -> Announcement | None:
    """Take a lease, unless a collection or a restore is under way that may have begun without seeing us."""
    lease = await announce(storage, Activity.WRITING, times=times)
    is_alone = False
    try:
        is_alone = not await _refusal(storage)
    finally:
        if not is_alone:
            await lease.close()
    return lease if is_alone else None
