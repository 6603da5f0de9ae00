"""Administration of online garbage collection: its status, a run on request, and why something stays."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from moorage.gc.online.one_database import NEXT_STEP, TWO_DATABASES, OneDatabase
from moorage.gc.online.requested_runs import Done, QueueStatus, RequestedRun
from moorage.gc.online.review_loop import ReviewObserver
from moorage.gc.online.review_rounds import BLOB_BATCH, MANIFEST_BATCH
from moorage.gc.online.reviewed import Round
from moorage.metadata.adoptions import AdoptionLedger
from moorage.metadata.explanations import Explanation, ExplanationStore
from moorage.metadata.queues import QUEUES, Forecast, QueueStore
from moorage.metadata.words import Queue
from moorage.moorage_errors import AdoptionUnderWay, TwoDatabases
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

FORECAST = (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=2), timedelta(days=7))
"""Until when a status says what will be given back."""
PAST_HOURS = (1, 23)
"""Whole hours before this one that a status looks back."""
RUN_TIME = timedelta(seconds=2)
"""After so long a run answers what it did so far; a round that has begun is finished."""
HURRY_BATCH = 1000


class Collector(Protocol):
    """Reviews what is due: blobs, or manifests."""

    async def round(self, *, limit: int) -> Round:
        """See :mod:`moorage.gc.online.review_rounds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcAdministration:
    """Online garbage collection, as an administrator sees it."""

    queues: QueueStore
    explanations: ExplanationStore
    collectors: Mapping[Queue, Collector] = field(default_factory=dict)
    """Of the queues that this node collects from."""
    observer: ReviewObserver | None = None
    one: OneDatabase | None = None
    """None: nobody looks if another database serves the storage."""
    adoption: AdoptionLedger | None = None
    """None: no link files are taken over."""
    clock: Callable[[], float] = time.monotonic

    async def status(self) -> Mapping[Queue, QueueStatus]:
        """Return the status of both queues. It reads both once, and asks of many entries if anything needs them."""
        return {queue: await self._status(queue) for queue in QUEUES}

    async def run(self, *, gives_up_undo: bool = False, for_: timedelta = RUN_TIME) -> RequestedRun:
        """Review what is due, on this node's own time, until nothing is or *for_* is over.

        *gives_up_undo*: do not wait for the delay of what was deleted or lost its tags: it cannot come back then.
        What was pushed lately keeps its delay, but for what :meth:`QueueStore.hurry` does not spare.

        Raises:
            AdoptionUnderWay: the database does not know yet what link files need.
            TwoDatabases: another one serves the storage.
        """
        if self.adoption is not None and not await self.adoption.is_ended():
            msg = "garbage collection is off until all link files are taken over into the database"
            raise AdoptionUnderWay(msg)
        if self.one is not None and not await self.one.is_alone():
            msg = f"{TWO_DATABASES}; {NEXT_STEP}"
            raise TwoDatabases(msg)
        until = self.clock() + for_.total_seconds()
        done = {queue: Done() for queue in QUEUES if queue in self.collectors}
        hurried, settled = 0, 0
        while True:
            found = 0
            for queue, sums in done.items():
                found += await self._round(queue, sums)
            if self.clock() >= until:
                break
            if found:
                continue
            # What was hurried and could not be settled would be hurried for ever.
            before, settled = settled, sum(sums.settled for sums in done.values())
            more = await self._hurry(done) if gives_up_undo and (settled > before or not hurried) else 0
            if not more:
                break
            hurried += more
        for queue, sums in done.items():
            sums.left = await self.queues.due(queue)
        return RequestedRun(done=done, hurried=hurried)

    async def explain(self, name: RepositoryName, digest: Digest) -> Sequence[Explanation]:
        """Explain what needs an object, or when it goes; see the store's promise."""
        return await self.explanations.explain(name, digest)

    async def _status(self, queue: Queue) -> QueueStatus:
        is_on = queue in self.collectors
        return QueueStatus(
            is_on=is_on,
            state=await self.queues.state(queue),
            past=[await self.queues.progress(queue, hours=hours) for hours in PAST_HOURS],
            forecast=await self.queues.forecast(queue, FORECAST) if is_on else Forecast(),
        )

    async def _round(self, queue: Queue, sums: Done) -> int:
        began = self.clock()
        found = await self.collectors[queue].round(limit=BLOB_BATCH if queue == "blob" else MANIFEST_BATCH)
        if found.due and self.observer is not None:
            self.observer.ran(queue, found, self.clock() - began)
        sums.add(found)
        return found.due

    async def _hurry(self, done: Mapping[Queue, Done]) -> int:
        return sum([await self.queues.hurry(queue, limit=HURRY_BATCH) for queue in done])
