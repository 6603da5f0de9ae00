"""Storage and database side by side: one walk over both, in the order of the digests, and the digests of the bytes."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from moorage.errors import BackendError, PathUnknown
from moorage.integrity.hashing import Hashing
from moorage.integrity.walking import (
    Foreign,
    Stored,
    UnreadablePlace,
    is_prefix,
    stored_blobs,
)
from moorage.metadata.integrity import BlobRecord, BlobRecordStore
from moorage.oci.digests import ALGORITHMS, Digest, parse_algorithm
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver
from moorage.storage.walk import Place, digest_at, place_of

_PAGE = 1000
_WINDOW = 4096
"""So many blobs may be on their way at once: while one thread reads a very large one, the others have enough to do."""

Outcome = Digest | BackendError | None
"""The result of hashing; None: nothing was hashed, or it is not there any more."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A digest that storage has, or the database, or both."""

    digest: Digest
    stat: Stat | None
    record: BlobRecord | None
    reason: str = ""
    """The reason for which storage could not tell its size."""

    @property
    def place(self) -> Place:
        """The place in the walk."""
        return place_of(self.digest)


Seen = Sighting | Foreign | UnreadablePlace


async def sightings(
    storage: StorageDriver, records: BlobRecordStore | None, *, after: Place = ()
) -> AsyncGenerator[Seen, None]:
    """All that is in storage, with what the database says of it, and all that is only there. In order, after *after*.

    Raises:
        PathUnknown: there is no folder of blobs.
    """
    rows = _no_rows() if records is None else _rows(records, after)
    async with contextlib.aclosing(stored_blobs(storage, after=after)) as stored, contextlib.aclosing(rows):
        row = await anext(rows, None)
        async for found in stored:
            while row is not None and place_of(row.digest) < found.place:
                yield Sighting(row.digest, None, row)
                row = await anext(rows, None)
            record = None
            digest = found.digest if isinstance(found, Stored | UnreadablePlace) else None
            if row is not None and row.digest == digest:
                record, row = row, await anext(rows, None)
            if isinstance(found, Stored):
                yield Sighting(found.digest, found.stat, record)
            elif isinstance(found, UnreadablePlace) and found.digest is not None:
                yield Sighting(found.digest, None, record, found.reason)
            else:
                yield found
        while row is not None:
            yield Sighting(row.digest, None, row)
            row = await anext(rows, None)


async def hashed(
    seen: AsyncGenerator[Seen, None], hashing: Hashing | None
) -> AsyncGenerator[tuple[Seen, Outcome], None]:
    """The same in the same order, with the digest of the bytes of each. Several are hashed at once."""
    waiting: deque[tuple[Seen, asyncio.Task[Outcome] | None]] = deque()
    try:
        async for found in seen:
            waiting.append((found, _start(found, hashing)))
            while waiting and (len(waiting) >= _WINDOW or _is_done(waiting[0][1])):
                yield await _result(waiting)
            if hashing is not None:
                await asyncio.sleep(0)
        while waiting:
            yield await _result(waiting)
    finally:
        if waiting and hashing is not None:
            hashing.stop()
            tasks = [task for _, task in waiting if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def read(hashing: Hashing, digest: Digest) -> Outcome:
    """Return what the bytes of a blob hash to, or why that cannot be said; None: they are not there."""
    try:
        return await hashing.digest(paths.blob(digest), digest.algorithm)
    except PathUnknown:
        return None
    except BackendError as exc:
        return exc


def _start(found: Seen, hashing: Hashing | None) -> asyncio.Task[Outcome] | None:
    if hashing is None or not isinstance(found, Sighting) or found.stat is None:
        return None
    # A task that is ahead of its reader: several blobs are hashed while the results are taken in order.
    return asyncio.create_task(read(hashing, found.digest))


def _is_done(task: asyncio.Task[Outcome] | None) -> bool:
    return task is None or task.done()


async def _result(waiting: deque[tuple[Seen, asyncio.Task[Outcome] | None]]) -> tuple[Seen, Outcome]:
    found, task = waiting[0]
    outcome = None if task is None else await task
    waiting.popleft()  # Not before: whoever is cancelled meanwhile has it among those to be ended.
    return found, outcome


async def _rows(records: BlobRecordStore, after: Place) -> AsyncGenerator[BlobRecord, None]:
    last = _before(after)
    while page := await records.page(after=last, limit=_PAGE):
        for record in page:
            if place_of(record.digest) > after:
                yield record
        last = page[-1].digest


async def _no_rows() -> AsyncGenerator[BlobRecord, None]:
    nothing: tuple[BlobRecord, ...] = ()
    for record in nothing:
        yield record


def _before(place: Place) -> Digest | None:
    """A digest before all that come after *place*, and not much before if that is easy; None: there is none."""
    if not place or place[0] not in ALGORITHMS:
        return None
    algorithm = parse_algorithm(place[0])
    if digest_at(place) is not None:
        return Digest(algorithm, place[2])
    prefix = place[1] if len(place) > 1 and is_prefix(place[1]) else ""
    return Digest(algorithm, prefix.ljust(len(Digest.of(b"", algorithm).encoded), "0"))
