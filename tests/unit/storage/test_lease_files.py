"""Who is at work where no file can be held open: leases, judged by two clocks that a test winds by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from moorage.errors import StorageFull, StorageUnavailable
from moorage.gc.offline.marks import Marks
from moorage.gc.offline.offline_collection import CollectionRefused, collect_offline
from moorage.gc.offline.offline_run import OfflineOptions, OfflineRun
from moorage.room import Room
from moorage.storage import paths
from moorage.storage.base import ObjectContent, clock
from moorage.storage.lease_files import LEASE_S, MARGIN_S, RENEWAL_S, LeaseFile, LeaseLost, LeaseTimes
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.telemetry import get_log
from moorage.wiring.at_work import shown_at_work
from moorage.work.reports import WorkReports
from support.bucket import Bucket


class Time:
    """The machine's clock and the store's, which go alike, and sleepers that wake up when it is time."""

    def __init__(self) -> None:
        self.now_s = clock()  # A removal is timed by it, too.
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def machine(self) -> float:
        return self.now_s

    def store(self) -> datetime:
        return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now_s)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.now_s + seconds, woken))
        await woken.wait()

    async def passes(self, seconds: float) -> None:
        """Let time go on, and let those whose time has come do their work."""
        end = self.now_s + seconds
        while self.now_s < end:
            self.now_s = min(end, self.now_s + RENEWAL_S)
            due = [woken for at, woken in self._sleepers if at <= self.now_s]
            self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self.now_s]
            for woken in due:
                woken.set()
            for _ in range(20):
                await asyncio.sleep(0)

    @property
    def times(self) -> LeaseTimes:
        return LeaseTimes(now=self.machine, sleep=self.sleep)


class FailingBucket(Bucket):
    """A bucket that takes no renewals any more once a test says so."""

    is_deaf = False
    hangs: asyncio.Event | None = None

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        if "/lockfiles/clock-" not in path:
            if self.is_deaf:
                msg = "SlowDown"
                raise StorageUnavailable(msg)
            if self.hangs is not None:
                await self.hangs.wait()
        await super().put(path, content, durable=durable)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def bucket(time: Time) -> FailingBucket:
    return FailingBucket(now=time.store)


@pytest.fixture
async def writing(bucket: FailingBucket, time: Time) -> AsyncIterator[Announcement]:
    made = await announce(bucket, Activity.WRITING, times=time.times)
    yield made
    await made.close()


async def test_a_lease_is_seen_as_long_as_it_is_renewed(
    bucket: FailingBucket, time: Time, writing: Announcement
) -> None:
    for _ in range(5):
        await time.passes(LEASE_S)
        writing.check()
        (found,) = await others_at_work(bucket, Activity.WRITING)
        assert "process" in found.who
        assert await others_at_work(bucket, Activity.WRITING, but=writing) == []
        assert await others_at_work(bucket, Activity.COLLECTING) == []


async def test_what_a_killed_process_leaves_is_dead_after_its_time_and_is_removed(
    bucket: FailingBucket, time: Time
) -> None:
    path = paths.lock_file("writing-0123456789abcdef")
    await bucket.put(path, b"somebody process 1")
    await time.passes(LEASE_S)
    assert len(await others_at_work(bucket, Activity.WRITING)) == 1
    await time.passes(1)
    assert await others_at_work(bucket, Activity.COLLECTING) == []
    assert not await bucket.exists(path)


async def test_an_owner_stops_relying_on_its_lease_before_others_take_it_for_dead(
    bucket: FailingBucket, time: Time, writing: Announcement
) -> None:
    bucket.is_deaf = True
    await time.passes(LEASE_S - MARGIN_S - 1)
    writing.check()
    await time.passes(1)
    with pytest.raises(LeaseLost):
        writing.check()
    assert len(await others_at_work(bucket, Activity.WRITING)) == 1


async def test_a_lost_lease_stays_lost_though_storage_answers_again(
    bucket: FailingBucket, time: Time, writing: Announcement
) -> None:
    bucket.is_deaf = True
    await time.passes(LEASE_S)
    bucket.is_deaf = False
    await time.passes(LEASE_S)
    with pytest.raises(LeaseLost):
        writing.check()
    async with asyncio.timeout(60):
        await writing.lost()


async def test_a_renewal_whose_answer_comes_too_late_is_none(
    bucket: FailingBucket, time: Time, writing: Announcement
) -> None:
    bucket.hangs = asyncio.Event()
    await time.passes(LEASE_S)
    bucket.hangs.set()
    async with asyncio.timeout(60):
        await writing.lost()
    with pytest.raises(LeaseLost):
        writing.check()


async def test_a_few_failed_renewals_lose_nothing(bucket: FailingBucket, time: Time, writing: Announcement) -> None:
    bucket.is_deaf = True
    await time.passes(2 * RENEWAL_S)
    bucket.is_deaf = False
    await time.passes(LEASE_S)
    writing.check()


async def test_a_lease_that_is_closed_is_gone(bucket: FailingBucket, time: Time) -> None:
    made = await announce(bucket, Activity.WRITING, times=time.times)
    assert isinstance(made, LeaseFile)
    await made.close()
    await time.passes(LEASE_S)
    assert await others_at_work(bucket, Activity.WRITING) == []
    assert not await bucket.exists(made.path)


async def test_of_two_that_begin_at_once_at_least_one_sees_the_other(bucket: FailingBucket, time: Time) -> None:
    held = []

    async def begin(ours: Activity, theirs: Activity) -> bool:
        held.append(await announce(bucket, ours, times=time.times))
        return bool(await others_at_work(bucket, theirs))

    both = begin(Activity.WRITING, Activity.COLLECTING), begin(Activity.COLLECTING, Activity.WRITING)
    assert any(await asyncio.gather(*both))
    for announcement in held:
        await announcement.close()


async def test_a_worker_keeps_offline_collections_away_and_hears_when_it_no_longer_does(
    bucket: FailingBucket, time: Time
) -> None:
    lost = asyncio.Event()
    async with shown_at_work(bucket, on_loss=lost.set, times=time.times):
        with pytest.raises(CollectionRefused, match="takes pushes"):
            await collect_offline(bucket, OfflineOptions(), WorkReports())
        assert not lost.is_set()
        bucket.is_deaf = True
        await time.passes(LEASE_S)
        async with asyncio.timeout(60):
            await lost.wait()
    assert await others_at_work(bucket, Activity.WRITING) == []


class QuotaBucket(Bucket):
    """A bucket that is at its quota while a test says so."""

    is_full = True

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        if self.is_full:
            raise StorageFull(path)
        await super().put(path, content, durable=durable)


async def test_a_worker_on_a_store_at_its_quota_takes_no_pushes_until_others_can_see_it(time: Time) -> None:
    bucket, room, lost = QuotaBucket(now=time.store), Room({}), asyncio.Event()
    async with shown_at_work(bucket, on_loss=lost.set, room=room, times=time.times):
        for _ in range(5):
            with pytest.raises(StorageFull):
                room.check()
            with pytest.raises(StorageFull):
                room.take(1)
            await time.passes(LEASE_S)
        bucket.is_full = False
        collecting = await announce(bucket, Activity.COLLECTING, times=time.times)
        await time.passes(LEASE_S)
        with pytest.raises(StorageFull):  # The collection has begun without seeing us.
            room.check()
        await collecting.close()
        await time.passes(2 * RENEWAL_S)
        room.check()
        with pytest.raises(CollectionRefused, match="takes pushes"):
            await collect_offline(bucket, OfflineOptions(), WorkReports())
        assert not lost.is_set()
    assert await others_at_work(bucket, Activity.WRITING) == []


async def test_a_worker_does_not_begin_while_garbage_is_collected(bucket: FailingBucket, time: Time) -> None:
    collecting = await announce(bucket, Activity.COLLECTING, times=time.times)
    with pytest.raises(StorageUnavailable, match="garbage is being collected"):
        async with shown_at_work(bucket, on_loss=lambda: None, times=time.times):
            pass
    assert await others_at_work(bucket, Activity.WRITING) == []
    await collecting.close()


async def test_a_collection_that_others_may_no_longer_see_deletes_nothing_more(
    bucket: FailingBucket, time: Time
) -> None:
    lease = await announce(bucket, Activity.COLLECTING, times=time.times)
    await bucket.put("/docker/one", b"")
    await bucket.put("/docker/two", b"")
    with closing(Marks()) as marks:
        run = OfflineRun(
            storage=bucket,
            marks=marks,
            options=OfflineOptions(),
            log=get_log("test"),
            reports=WorkReports(),
            announcement=lease,
        )
        assert await run.delete(["/docker/one"]) == 1
        bucket.is_deaf = True
        await time.passes(LEASE_S)
        with pytest.raises(LeaseLost):
            await run.delete(["/docker/two"])
    assert await bucket.exists("/docker/two")
    await lease.close()
