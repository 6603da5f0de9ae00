"""A store is looked at after a while and after doubts, once for all who wait, and refused while it is another one."""

import asyncio

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage.remote.store_watch import LOOK_S, LOOK_WHILE_AWAY_S, StoreWatch


class Store:
    """A store that is the right one or not, with a clock that stands still."""

    def __init__(self) -> None:
        self.is_right = True
        self.looks = 0
        self.now = 1000.0
        self.answers = asyncio.Event()
        self.answers.set()
        self.watch = StoreWatch("/note", self._look, now=lambda: self.now)

    async def _look(self) -> bool:
        self.looks += 1
        await self.watch.passed()  # As the driver does, whose requests are all asked about.
        await self.answers.wait()
        return self.is_right

    async def is_passed(self) -> bool:
        try:
            await self.watch.passed()
        except StorageUnavailable as exc:
            assert "note" in str(exc)
            return False
        return True


async def test_it_is_looked_at_before_the_first_request_and_when_that_is_old() -> None:
    store = Store()
    assert [await store.is_passed() for _ in range(3)] == [True] * 3
    assert store.looks == 1
    store.now += LOOK_S
    assert await store.is_passed()
    assert store.looks == 2


async def test_all_who_come_meanwhile_wait_for_one_look_and_one_who_goes_away_does_not_end_it() -> None:
    store = Store()
    store.answers.clear()
    waiting = [asyncio.create_task(store.is_passed()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    store.answers.set()
    assert await asyncio.gather(*waiting[1:]) == [True] * 4
    assert store.looks == 1


async def test_a_doubt_is_settled_by_another_look_even_if_it_came_during_one() -> None:
    store = Store()
    assert await store.is_passed()
    store.is_right = False
    assert await store.is_passed(), "nothing gives a reason to look"
    store.watch.doubt()
    assert not await store.is_passed()
    store.is_right, store.now = True, store.now + LOOK_WHILE_AWAY_S
    store.answers.clear()
    waiting = asyncio.create_task(store.is_passed())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.watch.doubt()
    store.answers.set()
    assert await waiting
    looks = store.looks
    assert await store.is_passed()
    assert store.looks == looks + 1


async def test_a_wrong_store_is_refused_until_it_is_the_right_one_again() -> None:
    store = Store()
    store.is_right = False
    assert not await store.is_passed()
    store.is_right = True
    assert not await store.is_passed(), "it was looked at just now"
    store.now += LOOK_WHILE_AWAY_S
    assert await store.is_passed()


async def test_a_store_that_does_not_answer_is_no_other_store() -> None:
    async def fails() -> bool:
        msg = "GetObject had no answer"
        raise StorageUnavailable(msg)

    watch = StoreWatch("/note", fails)
    with pytest.raises(StorageUnavailable, match="no answer"):
        await watch.passed()
    await watch.close()
