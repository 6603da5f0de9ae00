"""Reviews of what may be unused, over the queues of the database."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from moorage.errors import DatabaseConflict, DatabaseContended
from moorage.metadata.reviews import (
    ASTRAY,
    CLAIM,
    CLAIM_MARGIN,
    BlobReviewStore,
    Dropped,
    Judged,
    ManifestReviewStore,
    ManifestsReviewed,
    Review,
    ReviewDelayStore,
)
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.metadata.words import Queue
from moorage.oci.digests import Digest
from moorage.sql import clock
from moorage.sql.base import Database, NamedQuery, Transaction, maybe_moment, moment
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.sql", "reviews")

BUSY_DELAY = timedelta(seconds=5)
"""After which what somebody else held is looked at again."""
_CLAIM_ASTRAY = timedelta(hours=1)
"""Further ahead than this no claim ends, as each is for :data:`CLAIM` from its last renewal on."""
_MENDED_AT_ONCE = 500
_CLAIMED_AT_ONCE = 100
"""Rows of the queue that a statement claims."""
_DROPPED_AT_ONCE = 20
"""Blobs that a statement drops: with what hangs on them it is one long call, in PostgreSQL some 60 µs a blob, in which
other processes wait for the processor. Between two of them the database's process waits, and others have their turn."""


class SqlBlobReviews(BlobReviewStore):
    """``gc_blob_review_queue``, for one collector.

    A claim is a lease in the row and not a lock: no transaction stays open while bytes are removed, and expecting,
    linking and asking for a blob see the lease wherever they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = secrets.token_hex(8)

    async def claim(self, *, limit: int) -> Sequence[Review]:
        async with self._database.transaction() as transaction:
            now = await _now(transaction)
            rows = await transaction.all(QUERIES["due_blobs"], now, limit)
            for at in range(0, len(rows), _CLAIMED_AT_ONCE):
                keys = [row[0] for row in rows[at : at + _CLAIMED_AT_ONCE]]
                await transaction.all(QUERIES["claim_blobs"], keys, self._holder, now + CLAIM)
        return [Review(digest_of(bytes(row[0])), row[1], row[2], moment(row[3])) for row in rows]

    async def judge(self, digests: Collection[Digest]) -> Judged:
        try:
            return await self._judge(_keys(digests))
        except DatabaseContended:
            return Judged(busy=list(digests))

    async def _judge(self, keys: Sequence[bytes]) -> Judged:
        async with self._database.transaction() as transaction:
            least = await _now(transaction) + CLAIM_MARGIN
            locked = {row[0] for row in await transaction.all(QUERIES["lock_blobs"], keys)}
            needed = await _ids(transaction, "needed_blobs", sorted(locked))
            # Last: whatever took away a need before it was looked for has put the blob off, and that is seen here.
            claimed = await transaction.all(QUERIES["claimed_blobs"], keys, self._holder, least)
            free = [row for row in claimed if row[3] and (row[1] is None or row[1] in locked)]
            dropped = sorted(row[1] for row in free if row[1] is not None and row[1] not in needed)
            for at in range(0, len(dropped), _DROPPED_AT_ONCE):
                await transaction.all(QUERIES["drop_blobs"], dropped[at : at + _DROPPED_AT_ONCE])
        kept = {row[0] for row in claimed} - {row[0] for row in free}
        return Judged(
            needed=[digest_of(bytes(key)) for key, row_id, *_ in free if row_id in needed],
            unneeded=[(digest_of(bytes(key)), size) for key, row_id, size, _ in free if row_id not in needed],
            busy=[digest_of(bytes(key)) for key in sorted(kept)],
        )

    async def prolong(self, digests: Collection[Digest]) -> Collection[Digest]:
        async with self._database.transaction() as transaction:
            now = await _now(transaction)
            rows = await transaction.all(QUERIES["prolong_blobs"], _keys(digests), self._holder, now + CLAIM, now)
        return {digest_of(bytes(row[0])) for row in rows}

    async def finish(self, removed: Mapping[Digest, int]) -> None:
        async with self._database.transaction() as transaction:
            await _now(transaction)  # It says how long to wait for what others hold.
            await transaction.all(QUERIES["finish_blobs"], _keys(removed), self._holder)
            await transaction.all(QUERIES["count_removals"])
            await _note(transaction, "blob", removed=len(removed), removed_bytes=sum(removed.values()))

    async def forget(self, digests: Collection[Digest]) -> None:
        async with self._database.transaction() as transaction:
            now = await _now(transaction)
            await transaction.all(QUERIES["forget_blobs"], _keys(digests), self._holder)
            # What something happened to meanwhile stays, for its own time.
            await self._let_go(transaction, digests, now, attempts=0, error=None)
            await _note(transaction, "blob", kept=len(digests))

    async def put_off(self, digests: Collection[Digest], *, delay: timedelta, error: str | None) -> None:
        async with self._database.transaction() as transaction:
            at = await _now(transaction) + delay
            await self._let_go(transaction, digests, at, attempts=0 if error is None else 1, error=error)
            if error is not None:
                await transaction.all(QUERIES["count_removals"])  # They may have gone all the same.
                await _note(transaction, "blob", failed=len(digests))

    async def next_at(self) -> datetime | None:
        return await _next(self._database, QUERIES["next_blob"])

    async def _let_go(
        self, transaction: Transaction, digests: Collection[Digest], at: datetime, *, attempts: int, error: str | None
    ) -> None:
        await transaction.all(QUERIES["put_off_blobs"], _keys(digests), self._holder, at, attempts, error)


class SqlManifestReviews(ManifestReviewStore):
    """``gc_manifest_review_queue``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def review(self, *, limit: int) -> ManifestsReviewed:
        try:
            return await self._review(limit)
        except (DatabaseContended, DatabaseConflict):
            # Nothing was changed; it is due as before. A conflict: another collector has dropped what hangs on one that
            # was to be dropped here, and for which a review was to be written down by that.
            return ManifestsReviewed()

    async def _review(self, limit: int) -> ManifestsReviewed:
        async with self._database.transaction() as transaction:
            now = await _now(transaction)
            due = {row[0]: row[1] for row in await transaction.all(QUERIES["due_manifests"], now, limit)}
            if not due:
                return ManifestsReviewed()
            locked = await _ids(transaction, "lock_manifests", sorted(due))
            needed = await _ids(transaction, "needed_manifests", sorted(locked))
            # Forgotten before others are dropped: what hangs on those gets into the queue again by that.
            await transaction.all(QUERIES["forget_manifests"], sorted(needed))
            await transaction.all(QUERIES["review_circles"], sorted(needed))
            await transaction.all(QUERIES["put_off_manifests"], sorted(due.keys() - locked), now + BUSY_DELAY, 0, None)
            rows = await transaction.all(QUERIES["drop_manifests"], sorted(locked - needed))
            await _note(transaction, "manifest", kept=len(needed), removed=len(rows))
        dropped = [
            Dropped(
                repository=path or "", digest=digest_of(bytes(key)), media_type=kind, size_bytes=size, event=due[row_id]
            )
            for row_id, key, kind, size, path in rows
        ]
        return ManifestsReviewed(due=len(due), needed=[due[row_id] for row_id in sorted(needed)], dropped=dropped)

    async def next_at(self) -> datetime | None:
        return await _next(self._database, QUERIES["next_manifest"])


class SqlReviewDelay(ReviewDelayStore):
    """``gc_review_after_defaults``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, delay: timedelta) -> bool:
        return bool(await self._database.write(QUERIES["set_delay"], delay // timedelta(microseconds=1)))

    async def mend(self) -> int:
        return await self._mend("blobs") + await self._mend("manifests")

    async def _mend(self, queue: str) -> int:
        count, mended = 0, _MENDED_AT_ONCE
        while mended == _MENDED_AT_ONCE:
            async with self._database.transaction() as transaction:
                now = await _now(transaction)
                row = await transaction.first(QUERIES["longest_delay"])
                delay = timedelta(microseconds=row[0] if row else 0)
                times = [now + delay + ASTRAY, now + delay]
                if queue == "blobs":
                    times += [now + _CLAIM_ASTRAY, now + CLAIM]
                mended = len(await transaction.all(QUERIES[f"mend_{queue}"], *times, _MENDED_AT_ONCE))
            count += mended
        return count


async def _now(transaction: Transaction) -> datetime:
    return await clock.now(transaction, QUERIES["now"])


async def _note(
    transaction: Transaction, queue: Queue, *, kept: int = 0, removed: int = 0, removed_bytes: int = 0, failed: int = 0
) -> None:
    """Add to what was done in this hour. The last statement of a transaction: others wait for the row."""
    reviewed = kept + removed + failed
    if reviewed:
        hour = (await _now(transaction)).replace(minute=0, second=0, microsecond=0)
        await transaction.all(QUERIES["note_progress"], hour, queue, reviewed, removed, removed_bytes, failed)


async def _ids(transaction: Transaction, query: str, ids: Sequence[int]) -> set[int]:
    return {row[0] for row in await transaction.all(QUERIES[query], ids)} if ids else set()


async def _next(database: Database, query: NamedQuery) -> datetime | None:
    row = await database.first(query)
    return None if row is None else maybe_moment(row[0])


def _keys(digests: Collection[Digest]) -> list[bytes]:
    return sorted(digest_key(digest) for digest in digests)
