"""One import or export at a time on a storage, also beside a registry that goes on serving.

At the end of one the images are elsewhere, and change there. One that had begun before would go on with what it read:
an export removes the link files of what was pushed since, an import brings back what was deleted.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from moorage.errors import MoorageError
from moorage.storage.base import StorageDriver
from moorage.storage.presence import Activity, announce, living_others


async def keep_others_away(
    stack: AsyncExitStack, storage: StorageDriver, *, refused: type[MoorageError]
) -> Callable[[], None]:
    """Keep other imports and exports away until *stack* is left; return the check that they still see us.

    Raises:
        MoorageError: as *refused*, another one is at work.
        StorageFull, StorageUnavailable: storage cannot be told.
    """
    ours = await announce(storage, Activity.MOVING)
    stack.push_async_callback(ours.close)
    others = await living_others(storage, but=ours, works=[Activity.MOVING])
    if others:
        msg = f"another import or export is at work on this storage: {', '.join(map(str, others))}; wait for its end"
        raise refused(msg)
    return ours.check
