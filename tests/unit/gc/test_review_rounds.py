"""A round of blob reviews over a database, and a storage that hangs, fails or is slow."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import structlog

from contract.metadata.pushing import NAME, push_blob, push_image
from contract.metadata.stores import SqlStore, query, quick_folder, sqlite_opener
from moorage.errors import BackendError, BeingRemoved, DatabaseContended, DatabaseUnavailable, StorageUnavailable
from moorage.gc.online import review_rounds as online
from moorage.gc.online.review_loop import ReviewLoop, ReviewObserver, ReviewPace, set_review_delay
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.reviews import Judged, ManifestsReviewed, Review, ReviewDelayStore
from moorage.metadata.sql import links, reviews
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews, SqlReviewDelay
from moorage.oci.digests import Digest
from moorage.sql.base import Database
from moorage.storage import paths
from moorage.storage.base import StorageDriver, clock
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce
from moorage.work.rests import Rests
from support.images import image

Removal = Callable[[], Awaitable[object]]
INTERVAL = timedelta(seconds=5)


class Troubled(MemoryDriver):
    """A storage to which something happens before it removes."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Removal | None = None
        self.failing: set[str] = set()

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        if self.trouble is not None:
            await self.trouble()
        kept = [path for path in paths if path not in self.failing]
        failures = await super().remove(kept, until=until, rest=rest)
        return {**failures, **{path: StorageUnavailable("the disk is away") for path in paths if path in self.failing}}


@pytest.fixture
def storage() -> Troubled:
    return Troubled()


@pytest.fixture
async def store(storage: Troubled) -> AsyncIterator[SqlStore]:
    with quick_folder() as folder:
        async with sqlite_opener(folder)() as opened:
            object.__setattr__(opened, "storage", storage)
            await SqlReviewDelay(opened.database).set(timedelta(0))
            yield opened


def collector(store: SqlStore, driver: StorageDriver, **deadlines: timedelta) -> BlobCollector:
    return BlobCollector(SqlBlobReviews(store.database), driver, Deadlines(**deadlines))


async def claims(store: SqlStore) -> Sequence[Sequence[object]]:
    return await store.rows("SELECT claimed_until, review_count, last_error, review_after FROM gc_blob_review_queue")


async def test_a_round_removes_rows_bytes_and_the_review(store: SqlStore, storage: Troubled) -> None:
    digest = await push_blob(store, b"a")
    found = await collector(store, storage).round()
    assert [(blob.digest, blob.size_bytes, blob.event) for blob in found.removed] == [(digest, 1, "blob_upload")]
    assert found.removed_bytes == 1
    assert not await storage.exists(paths.blob(digest))
    assert await claims(store) == []
    assert (await collector(store, storage).round()).due == 0


class NotedReviews(SqlBlobReviews):
    """Notes how many blobs were claimed, judged and done with."""

    claimed = judged = finished = 0

    async def claim(self, *, limit: int) -> Sequence[Review]:
        found = await super().claim(limit=limit)
        self.claimed += len(found)
        return found

    async def finish(self, removed: Mapping[Digest, int]) -> None:
        self.finished += len(removed)
        await super().finish(removed)

    async def judge(self, digests: Collection[Digest]) -> Judged:
        self.judged += len(digests)
        return await super().judge(digests)


async def test_between_two_rests_a_round_does_no_more_than_a_piece(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "_CLAIMED_AT_ONCE", 5)
    monkeypatch.setattr(online, "_JUDGED_AT_ONCE", 3)
    monkeypatch.setattr(reviews, "_DROPPED_AT_ONCE", 2)
    monkeypatch.setattr(reviews, "_CLAIMED_AT_ONCE", 2)
    digests = {await push_blob(store, bytes([number])) for number in range(8)}
    noted, computed = NotedReviews(store.database), itertools.count()  # Each look at the clock finds a second more.
    at_rests: list[tuple[int, int, int, int]] = []
    with structlog.testing.capture_logs() as lines:

        async def pause(duration_s: float) -> None:
            assert duration_s == 3.0
            at_rests.append((noted.claimed, noted.judged, noted.finished, len(lines)))

        rests = partial(Rests, 3.0, computed=lambda: float(next(computed)), pause=pause)
        found = await BlobCollector(noted, storage, Deadlines(), make_rests=rests).round()
    assert {blob.digest for blob in found.removed} == digests
    assert await store.rows("SELECT id FROM blobs") == []
    transactions = [(5, 0, 0), (8, 0, 0), (8, 3, 0), (8, 6, 0), (8, 8, 0), (8, 8, 5), (8, 8, 8)]
    assert at_rests == [*((*done, 0) for done in transactions), *((8, 8, 8, line) for line in range(8))]


class NotedManifests(SqlManifestReviews):
    """Notes how many manifests each transaction may review."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.limits: list[int] = []

    async def review(self, *, limit: int) -> ManifestsReviewed:
        self.limits.append(limit)
        return await super().review(limit=limit)


async def test_a_round_of_manifests_is_made_of_transactions_that_drop_few(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "_REVIEWED_AT_ONCE", 2)
    digests = {await push_image(store, image(f"untagged {number}")) for number in range(5)}
    noted = NotedManifests(store.database)
    found = await ManifestCollector(noted, Deadlines()).round(limit=3)
    more = await ManifestCollector(noted, Deadlines()).round(limit=100)
    assert (found.due, more.due, noted.limits) == (3, 2, [2, 1, 2, 2])
    assert {manifest.digest for manifest in (*found.dropped, *more.dropped)} == digests


async def test_a_removal_that_fails_is_put_off_twice_as_long_each_time(store: SqlStore, storage: Troubled) -> None:
    digest = await push_blob(store, b"a")
    storage.failing = {paths.blob(digest)}
    for attempt, minutes in enumerate((5, 10, 20), 1):
        found = await collector(store, storage).round()
        assert (list(found.removed), len(found.failed)) == ([], 1)
        ((claimed, count, error, at),) = await claims(store)
        assert (claimed, count, error) == (None, attempt, "the disk is away")
        assert isinstance(at, int)
        due = datetime.fromtimestamp(at / 1e6, UTC) - datetime.now(UTC)
        assert timedelta(minutes=minutes - 1) < due <= timedelta(minutes=minutes)
        await store.database.write(query("UPDATE gc_blob_review_queue SET review_after = 0"))
    storage.failing.clear()
    assert [blob.digest for blob in (await collector(store, storage).round()).removed] == [digest]


async def test_nothing_is_removed_while_a_backup_is_made_and_everything_afterwards(
    store: SqlStore, storage: Troubled
) -> None:
    digest = await push_blob(store, b"a")
    backup = await announce(storage, Activity.BACKING_UP)
    held = await collector(store, storage).round()
    assert (held.due, len(held.removed), len(held.needed), len(held.failed)) == (1, 0, 0, 0)
    assert await storage.exists(paths.blob(digest))
    ((claimed, count, error, _),) = await claims(store)
    assert (claimed, count, error) == (None, 0, None)
    await backup.close()
    await store.database.write(query("UPDATE gc_blob_review_queue SET review_after = 0"))
    assert [blob.digest for blob in (await collector(store, storage).round()).removed] == [digest]


async def test_one_that_fails_does_not_stop_the_others(store: SqlStore, storage: Troubled) -> None:
    bad, good = await push_blob(store, b"bad"), await push_blob(store, b"good")
    storage.failing = {paths.blob(bad)}
    found = await collector(store, storage).round()
    assert ([blob.digest for blob in found.removed], len(found.failed)) == ([good], 1)


async def test_while_a_removal_hangs_its_claim_goes_on_and_no_push_begins(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "_REMOVAL_PATIENCE_S", 0.0)
    digest = await push_blob(store, b"a")
    free = asyncio.Event()
    storage.trouble = free.wait
    round_ = asyncio.create_task(collector(store, storage, storage=timedelta(milliseconds=5)).round())
    seen: set[object] = set()
    while len(seen) < 3:  # It is prolonged again and again.
        await asyncio.sleep(0.01)
        seen |= {row[0] for row in await claims(store)} - {None}
    with pytest.raises(BeingRemoved):
        await store.links.expect(digest)
    free.set()
    assert [blob.digest for blob in (await round_).removed] == [digest]
    await store.links.expect(digest)


async def test_whoever_ends_a_round_waits_for_the_removal_that_is_under_way(store: SqlStore, storage: Troubled) -> None:
    digest = await push_blob(store, b"a")
    began, free = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        began.set()
        await free.wait()

    storage.trouble = hang
    round_ = asyncio.create_task(collector(store, storage).round())
    await began.wait()
    round_.cancel()
    await asyncio.sleep(0.05)
    assert not round_.done()
    free.set()
    with pytest.raises(asyncio.CancelledError):
        await round_
    assert not await storage.exists(paths.blob(digest))
    assert len(await claims(store)) == 1  # The next collector finishes it.


async def test_nothing_is_removed_when_the_claim_is_nearly_over(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await push_blob(store, b"a")
    late = clock() - 41
    monkeypatch.setattr(online, "clock", lambda: late)  # It began 41 seconds ago.
    found = await collector(store, storage).round()
    assert (list(found.removed), len(found.failed)) == ([], 1)
    assert await storage.exists(paths.blob(digest))
    assert await store.links.missing(NAME, [digest]) == {digest}


async def test_a_database_that_hangs_ends_the_round(store: SqlStore, storage: Troubled) -> None:
    await push_blob(store, b"a")
    async with store.database.transaction():  # Nobody else writes meanwhile.
        short = timedelta(milliseconds=50)
        with pytest.raises(DatabaseUnavailable, match=r"gc\.transactiontimeout"):
            await collector(store, storage, transaction=short).round()
        with pytest.raises(DatabaseUnavailable, match=r"gc\.transactiontimeout"):
            await ManifestCollector(SqlManifestReviews(store.database), Deadlines(transaction=short)).round()
    assert len((await collector(store, storage).round()).removed) == 1


class Contended(SqlBlobReviews):
    """Reviews of which somebody holds, so many times, what the end of a claim needs."""

    times = 0

    async def finish(self, removed: Mapping[Digest, int]) -> None:
        self._fail()
        await super().finish(removed)

    async def forget(self, digests: Collection[Digest]) -> None:
        self._fail()
        await super().forget(digests)

    def _fail(self) -> None:
        if self.times:
            self.times -= 1
            msg = "somebody holds it"
            raise DatabaseContended(msg)


async def test_what_ends_a_claim_is_tried_again_if_somebody_holds_it(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(online, "_CONTENDED_PAUSES_S", (0.0, 0.0))
    await push_image(store, image("needed"), "v1")
    await push_blob(store, b"unneeded")
    reviews = Contended(store.database)
    for times, ends in ((2, True), (3, False)):
        reviews.times = times
        rounds = BlobCollector(reviews, storage, Deadlines())
        if ends:
            assert len((await rounds.round()).removed) == 1
            assert await claims(store) == []
        else:
            await push_blob(store, b"unneeded again")
            with pytest.raises(DatabaseContended):
                await rounds.round()


async def test_rounds_of_one_collector_take_turns(store: SqlStore, storage: Troubled) -> None:
    """They claim in one name: the end of one must not end what the other has claimed."""
    await push_blob(store, b"first")
    began, free = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        began.set()
        await free.wait()

    storage.trouble = hang
    shared = collector(store, storage)
    first = asyncio.create_task(shared.round())
    await began.wait()
    await push_blob(store, b"second")
    second = asyncio.create_task(shared.round())
    await asyncio.sleep(0.05)
    assert [row[0] is None for row in await claims(store)].count(True) == 1, "the second round has claimed nothing"
    storage.trouble = None
    free.set()
    assert [len((await each).removed) for each in (first, second)] == [1, 1]


def agent(
    store: SqlStore, storage: StorageDriver, pace: ReviewPace, *, observer: ReviewObserver | None = None
) -> ReviewLoop:
    reviews = SqlBlobReviews(store.database)
    collector = BlobCollector(reviews, storage, Deadlines())
    return ReviewLoop("blob", collector, reviews.next_at, pace, observer=observer)


async def test_pauses_grow_while_nothing_is_due_and_are_short_again_after_work(
    store: SqlStore, storage: Troubled
) -> None:
    loop = agent(store, storage, ReviewPace(interval=INTERVAL, longest=timedelta(minutes=2)))
    pauses = [await loop.step() for _ in range(12)]
    assert 5 * 1.5 * 0.67 <= pauses[0] <= 5 * 1.5 * 1.33
    assert 120 * 0.67 <= pauses[-1] <= 120 * 1.33
    await push_blob(store, b"a")
    assert await loop.step() <= 5 * 1.33


async def test_a_pause_never_goes_past_the_next_review(store: SqlStore, storage: Troubled) -> None:
    loop = agent(store, storage, ReviewPace(interval=INTERVAL, longest=timedelta(days=1)))
    for _ in range(30):
        await loop.step()
    await SqlReviewDelay(store.database).set(timedelta(seconds=60))
    await push_blob(store, b"a")
    assert await loop.step() <= 60 * 1.33


async def test_without_idle_backoff_every_pause_is_the_interval(store: SqlStore, storage: Troubled) -> None:
    loop = agent(store, storage, ReviewPace(interval=INTERVAL, grows=False))
    assert all([5 * 0.67 <= await loop.step() <= 5 * 1.33 for _ in range(8)])


async def test_after_an_error_pauses_stay_long_for_the_cooldown(store: SqlStore, storage: Troubled) -> None:
    async def fail() -> None:
        msg = "away"
        raise StorageUnavailable(msg)

    loop = agent(store, storage, ReviewPace(interval=INTERVAL, longest=timedelta(hours=1), cooldown=timedelta(hours=1)))
    await push_blob(store, b"a")
    storage.trouble = fail
    assert await loop.step() >= 7.5 * 0.67
    storage.trouble = None
    await store.database.write(query("UPDATE gc_blob_review_queue SET review_after = 0, claimed_until = 0"))
    assert await loop.step() >= 7.5 * 1.5 * 0.67  # It worked, and still it is careful.


async def test_a_full_round_is_followed_by_the_next_at_once(
    store: SqlStore, storage: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moorage.gc.online.review_loop.BLOB_BATCH", 2)
    for number in range(3):
        await push_blob(store, bytes([number]))
    loop = agent(store, storage, ReviewPace(interval=timedelta(minutes=10)))
    assert await loop.step() < 60
    assert await loop.step() > 60


class Flaky(ReviewDelayStore):
    """Fails at first."""

    def __init__(self) -> None:
        self.given: list[timedelta] = []

    async def set(self, delay: timedelta) -> bool:
        self.given.append(delay)
        if len(self.given) == 1:
            msg = "not yet"
            raise DatabaseUnavailable(msg)
        return True

    async def mend(self) -> int:
        return 0


async def test_the_delay_is_written_until_the_database_takes_it_and_is_never_negative() -> None:
    store = Flaky()
    await set_review_delay(store, timedelta(seconds=-1), retry=timedelta(0))
    assert store.given == [timedelta(0), timedelta(0)]
