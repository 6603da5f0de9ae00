"""A worker that shows on its storage that it is at work, where no file that its supervisor holds does so for it."""

import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial

from moorage.errors import StorageUnavailable
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.lease_files import LeaseTimes
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.work.alongside import alongside


@contextlib.asynccontextmanager
async def shown_at_work(
    storage: StorageDriver, *, on_loss: Callable[[], None], times: LeaseTimes | None = None
) -> AsyncIterator[None]:
    """Keep offline collections away from a shared storage by a lease; call *on_loss* if they may no longer see it.

    Raises:
        StorageFull, StorageUnavailable: storage cannot be told, or garbage is being collected there.
    """
    if Capability.SHARED not in storage.capabilities or keeps_files(storage):
        yield
        return
    async with contextlib.AsyncExitStack() as stack:
        lease = await announce(storage, Activity.WRITING, times=times)
        stack.push_async_callback(lease.close)
        collectors = await others_at_work(storage, Activity.COLLECTING)
        if collectors:
            msg = f"garbage is being collected in this storage by {', '.join(map(str, collectors))}"
            raise StorageUnavailable(msg)
        await stack.enter_async_context(alongside(partial(_watch, lease, on_loss)))
        yield


async def _watch(lease: Announcement, on_loss: Callable[[], None]) -> None:
    await lease.lost()
    on_loss()
