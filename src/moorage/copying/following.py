"""A copy that goes on while the source is written to: rounds until somebody says that the next one is the last."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from moorage.copying.storage_copy import NewBlobs, StorageCopy
from moorage.metadata.new_blobs import NewBlobStore
from moorage.oci.digests import Digest

_PAGE = 1000
_OVERLAP = 2000
"""Blobs that come at the same time may be seen in another order than that of their numbers: these are read again."""
INTERVAL_S = 2.0


class NumberedBlobs(NewBlobs):
    """Blobs by their numbers in the database. Those that the last ones overlap with are told again."""

    def __init__(self, store: NewBlobStore) -> None:
        self._store = store
        self._last = 0

    async def begin(self) -> None:
        """Take what there is now as known: it is going to be found by a walk.

        Raises:
            DatabaseUnavailable: the database cannot be read.
        """
        self._last = await self._store.last_number()

    async def since_last(self) -> AsyncIterator[Sequence[Digest]]:
        """See the protocol."""
        after = max(0, self._last - _OVERLAP)
        while rows := await self._store.after(after, limit=_PAGE):
            yield [row.digest for row in rows]
            after = rows[-1].number
        self._last = max(self._last, after)


async def follow(copy: StorageCopy, told: NewBlobs | None, ending: asyncio.Event) -> None:
    """Copy again and again; once *ending* is set, one last time.

    *told* tells of new blobs where all else is in a database; None: everything is looked at again each time.

    Raises:
        BackendError: as a round does.
    """
    while True:
        is_last = ending.is_set()
        if told is None:
            await copy.whole_round()
        else:
            await copy.new_blobs(told)
        if is_last:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_S):
                await ending.wait()
