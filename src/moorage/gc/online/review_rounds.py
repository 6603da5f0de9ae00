"""Online garbage collection: one round of reviews of blobs, and one of manifests.

Rows first, bytes second: a blob that nothing needs is taken out of the database, from which moment nobody can see or
use it; then its bytes are removed; then the queue forgets them. A crash in between leaves bytes that the queue still
knows of, as a crashed push does, and the next review removes them. See ADR 0016.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

from moorage.errors import BackendError, DatabaseContended, DatabaseUnavailable
from moorage.gc.online.one_database import EVERY, OneDatabase
from moorage.gc.online.reviewed import BlobsReviewed, Removed
from moorage.metadata.reviews import (
    CLAIM,
    CLAIM_MARGIN,
    BlobReviewStore,
    Dropped,
    Judged,
    ManifestReviewStore,
    ManifestsReviewed,
    Review,
)
from moorage.oci.digests import Digest
from moorage.storage import paths
from moorage.storage.base import StorageDriver, clock
from moorage.storage.presence import Activity, others_at_work
from moorage.telemetry import get_log
from moorage.work.rests import Rests

BLOB_BATCH = 500
"""Blobs in one round: so many share the syncs of a round."""
MANIFEST_BATCH = 100
"""Manifests in one round: each brings its layers into the queue, in the same transaction."""
_CLAIMED_AT_ONCE = 100
"""Blobs in one transaction that claims, and in one that ends claims: a transaction is one long piece of work, while
others may wait for the processor."""
_JUDGED_AT_ONCE = 50
"""The same for one that judges, and drops rows."""
_REVIEWED_AT_ONCE = 25
"""The same for manifests, of which each takes many more rows with it."""

_FIRST_DELAY = timedelta(minutes=5)
_LONGEST_DELAY = timedelta(hours=24)
"""After a failed attempt the next one waits for five minutes, and twice as long each time. Source: features OGC-008."""
_BUSY_DELAY = timedelta(seconds=5)
_BACKUP_DELAY = timedelta(seconds=30)
"""For so long nothing is claimed again that a backup holds."""
_PROLONG_S = 15.0
_CONTENDED_PAUSES_S = (0.1, 0.5, 2.0)

_log = get_log("registry.gc")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Time limits of the steps of a round."""

    transaction: timedelta = timedelta(seconds=10)
    storage: timedelta = timedelta(seconds=5)
    """After so long storage counts as slow; its removals are waited for all the same."""


class BlobCollector:
    """Reviews blobs. Any number may be at it, in any number of processes."""

    def __init__(
        self,
        reviews: BlobReviewStore,
        storage: StorageDriver,
        deadlines: Deadlines,
        *,
        one: OneDatabase | None = None,
        make_rests: Callable[[], Rests] = Rests,
    ) -> None:
        """*one*: says if another database may need the bytes; *make_rests*: rests of a round and its removals."""
        self._reviews = reviews
        self._one = one
        self._storage = storage
        self._deadlines = deadlines
        self._make_rests = make_rests
        self._turn = asyncio.Lock()  # Claims are the collector's, so one round must not touch those of another.

    async def round(self, *, limit: int = BLOB_BATCH) -> BlobsReviewed:
        """Review at most *limit* blobs that are due.

        Raises:
            DatabaseUnavailable: the database did not answer in time. What was claimed is due again in a minute.
        """
        async with self._turn:
            return await self._round(limit)

    async def _round(self, limit: int) -> BlobsReviewed:
        claimed_at, rests = clock(), self._make_rests()
        claims = await self._claim(limit, rests)
        if not claims:
            return BlobsReviewed()
        # After the claim: a backup that has not been seen here sees the claim, and waits for its end.
        if await others_at_work(self._storage, Activity.BACKING_UP):
            await self._settle(partial(self._reviews.put_off, list(claims), delay=_BACKUP_DELAY, error=None))
            return BlobsReviewed(due=len(claims))
        if self._one is not None and not await self._one.is_alone():
            await self._settle(partial(self._reviews.put_off, list(claims), delay=EVERY, error=None))
            return BlobsReviewed(due=len(claims))
        judging_at = clock()
        judged = await self._judge(list(claims), rests)
        judged_at = clock()
        if judged.needed:
            await self._settle(partial(self._reviews.forget, judged.needed))
        if judged.busy:
            await self._settle(partial(self._reviews.put_off, judged.busy, delay=_BUSY_DELAY, error=None))
        sizes, removing_at = dict(judged.unneeded), clock()
        failures = await self._remove(
            sizes, until=claimed_at + (CLAIM - CLAIM_MARGIN).total_seconds(), rest=rests.share
        )
        removed_at = clock()
        gone = {digest: size or 0 for digest, size in sizes.items() if digest not in failures}
        await self._finish(gone, rests)
        await self._put_off(claims, failures)
        removed = [Removed(digest=digest, size_bytes=gone[digest], event=claims[digest].event) for digest in gone]
        for blob in removed:
            await rests.between()
            _log.info("blob removed", digest=str(blob.digest), size_bytes=blob.size_bytes, gc_event=blob.event)
        return BlobsReviewed(
            due=len(claims),
            needed=[claims[digest].event for digest in judged.needed],
            removed=removed,
            failed=[claims[digest].event for digest in failures],
            dropped=sum(size is not None for size in sizes.values()),
            judging_s=judged_at - judging_at,
            removing_s=removed_at - removing_at,
        )

    async def _claim(self, limit: int, rests: Rests) -> Mapping[Digest, Review]:
        claims = dict[Digest, Review]()
        while len(claims) < limit:
            wanted = min(limit - len(claims), _CLAIMED_AT_ONCE)
            found = await self._in_time(self._reviews.claim(limit=wanted))
            claims |= {review.digest: review for review in found}
            await rests.between()
            if len(found) < wanted:
                break
        return claims

    async def _judge(self, digests: Sequence[Digest], rests: Rests) -> Judged:
        needed, unneeded, busy = list[Digest](), list[tuple[Digest, int | None]](), list[Digest]()
        for at in range(0, len(digests), _JUDGED_AT_ONCE):
            judged = await self._in_time(self._reviews.judge(digests[at : at + _JUDGED_AT_ONCE]))
            needed += judged.needed
            unneeded += judged.unneeded
            busy += judged.busy
            await rests.between()
        return Judged(needed=needed, unneeded=unneeded, busy=busy)

    async def _remove(self, digests: Collection[Digest], *, until: float, rest: float) -> Mapping[Digest, BackendError]:
        """Remove the bytes; those that could not be, with the reason.

        A removal that hangs is waited for, and its claim prolonged: as long as it may still happen, no push of the
        same digest may begin.
        """
        if not digests:
            return {}
        by_path = {paths.blob(digest): digest for digest in digests}
        removing = asyncio.ensure_future(self._storage.remove(list(by_path), until=until, rest=rest))
        slow_s = self._deadlines.storage.total_seconds()
        try:
            while not (await asyncio.wait([removing], timeout=min(slow_s, _PROLONG_S)))[0]:
                _log.warning("storage is slow to remove blobs", blobs=len(by_path))
                await self._in_time(self._reviews.prolong(digests))
        except BaseException:
            await asyncio.wait([removing])  # What is under way cannot be called back.
            raise
        return {by_path[path]: failure for path, failure in removing.result().items()}

    async def _finish(self, gone: Mapping[Digest, int], rests: Rests) -> None:
        left = iter(gone.items())
        while some := dict(islice(left, _CLAIMED_AT_ONCE)):
            await self._settle(partial(self._reviews.finish, some))
            await rests.between()

    async def _put_off(self, claims: Mapping[Digest, Review], failures: Mapping[Digest, BackendError]) -> None:
        alike: defaultdict[tuple[int, str], list[Digest]] = defaultdict(list)
        for digest, failure in failures.items():
            attempts = claims[digest].attempts
            alike[attempts, str(failure)].append(digest)
            _log.error(
                "blob could not be removed; it will be tried again",
                digest=str(digest),
                error=str(failure),
                review_count=attempts + 1,
                delay_s=_delay(attempts).total_seconds(),
            )
        for (attempts, error), digests in alike.items():
            await self._settle(partial(self._reviews.put_off, digests, delay=_delay(attempts), error=error))

    async def _settle(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step that ends claims; again if another process holds what it needs: else claims would stay a minute."""
        for pause_s in _CONTENDED_PAUSES_S:
            try:
                await self._in_time(step())
            except DatabaseContended:
                await asyncio.sleep(pause_s)
            else:
                return
        await self._in_time(step())

    async def _in_time(self, step: Awaitable[_T]) -> _T:
        return await in_time(step, self._deadlines.transaction)


class ManifestCollector:
    """Reviews manifests. Any number may be at it, in any number of processes."""

    def __init__(
        self, reviews: ManifestReviewStore, deadlines: Deadlines, *, make_rests: Callable[[], Rests] = Rests
    ) -> None:
        """*make_rests*: the rests of a round."""
        self._reviews = reviews
        self._deadlines = deadlines
        self._make_rests = make_rests

    async def round(self, *, limit: int = MANIFEST_BATCH) -> ManifestsReviewed:
        """Review at most *limit* manifests that are due.

        Raises:
            DatabaseUnavailable: the database did not answer in time. Those after the last piece are as they were.
        """
        rests, due = self._make_rests(), 0
        needed, dropped = list[str](), list[Dropped]()
        while due < limit:
            wanted = min(limit - due, _REVIEWED_AT_ONCE)
            found = await in_time(self._reviews.review(limit=wanted), self._deadlines.transaction)
            due += found.due
            needed += found.needed
            dropped += found.dropped
            await rests.between()
            for manifest in found.dropped:
                _log.info(
                    "manifest removed",
                    repository=manifest.repository,
                    digest=str(manifest.digest),
                    media_type=manifest.media_type,
                    gc_event=manifest.event,
                )
                await rests.between()
            if found.due < wanted:
                break
        return ManifestsReviewed(due=due, needed=needed, dropped=dropped)


def _delay(attempts: int) -> timedelta:
    """Return the wait after one attempt more than *attempts* has failed."""
    return min(_FIRST_DELAY * int(2 ** min(attempts, 16)), _LONGEST_DELAY)


async def in_time(step: Awaitable[_T], deadline: timedelta) -> _T:
    """Do a step of the database.

    Raises:
        DatabaseUnavailable: it took longer than *deadline*.
    """
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            return await step
    except TimeoutError as exc:
        msg = f"the database did not answer within {deadline.total_seconds():g} s (gc.transactiontimeout)"
        raise DatabaseUnavailable(msg) from exc
