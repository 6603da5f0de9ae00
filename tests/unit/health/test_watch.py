"""Checks made again and again: what counts as a failure, and what a check that hangs does."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from moorage.errors import BackendError, StorageFull, StorageUnavailable
from moorage.health.checks import CheckFailed, HealthCheck
from moorage.health.questions import Question
from moorage.health.watch import HealthWatch
from moorage.storage.system_calls import result_of


class Asked:
    """Something that is well or not, as the test says."""

    def __init__(self, error: BackendError | None = None) -> None:
        self.error = error
        self.times = 0

    async def __call__(self) -> None:
        self.times += 1
        if self.error is not None:
            raise self.error


def watching(ask: Callable[[], Awaitable[None]], *, threshold: int = 0, timeout_s: float = 5.0) -> HealthWatch:
    short = timedelta(milliseconds=1)
    return HealthWatch([HealthCheck("part", ask, short, timedelta(seconds=timeout_s), threshold)])


async def rounds(watch: HealthWatch, count: int) -> None:
    for _ in range(count):
        await watch._watched[0].loop.step()


@pytest.mark.parametrize(("threshold", "needed"), [(0, 1), (1, 1), (3, 3)])
async def test_so_many_failures_in_a_row_count(threshold: int, needed: int) -> None:
    watch = watching(Asked(CheckFailed("down")), threshold=threshold)
    await rounds(watch, needed - 1)
    assert watch.failing == {}
    await rounds(watch, 1)
    assert watch.failing == {"part": "down"}


async def test_failures_with_a_success_between_them_do_not_count() -> None:
    asked = Asked()
    watch = watching(asked, threshold=2)
    for error in (CheckFailed("a"), None, CheckFailed("b"), None, CheckFailed("c")):
        asked.error = error
        await rounds(watch, 1)
        assert watch.failing == {}


async def test_one_success_is_enough_to_be_well_again() -> None:
    asked = Asked(StorageUnavailable("gone"))
    watch = watching(asked, threshold=2)
    await rounds(watch, 5)
    assert watch.failing == {"part": "gone"}
    asked.error = None
    await rounds(watch, 1)
    assert watch.failing == {}


async def test_a_full_storage_stops_no_pulls() -> None:
    watch = watching(Asked(StorageFull("full")))
    await rounds(watch, 3)
    assert watch.failing == {}


async def test_a_check_that_hangs_has_failed_and_is_asked_once() -> None:
    asked, hang = Asked(), asyncio.Event()

    async def ask() -> None:
        await asked()
        while not hang.is_set():
            try:
                await hang.wait()
            except asyncio.CancelledError:
                continue  # As a call in a thread does that must end first.

    watch = watching(ask, timeout_s=0.01)
    await rounds(watch, 3)
    assert watch.failing == {"part": "no answer within 0.01 s"}
    assert asked.times == 1
    hang.set()
    await asyncio.sleep(0)
    await rounds(watch, 1)
    assert watch.failing == {}


async def test_a_disk_that_hangs_in_a_thread_is_noticed_in_time() -> None:
    """Storage holds a caller until its thread is done: a deadline around it would never end."""
    release = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        async def probe() -> None:
            await result_of(pool.submit(release.wait, 30.0))

        question = Question(probe)
        with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
            await question.put(0.01)
        release.set()


async def test_an_asker_that_goes_away_takes_the_question_back() -> None:
    ended = asyncio.Event()

    async def ask() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asking = asyncio.create_task(Question(ask).put(30.0))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await ended.wait()


async def test_checks_are_made_while_the_block_runs() -> None:
    asked, thrice = Asked(), asyncio.Event()

    async def ask() -> None:
        await asked()
        if asked.times == 3:
            thrice.set()

    async with watching(ask).at_work():
        await thrice.wait()
    before = asked.times
    await asyncio.sleep(0.01)
    assert asked.times == before
