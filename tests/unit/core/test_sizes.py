"""Sizes: measured once while nothing changes, estimated where measuring takes too long."""

import asyncio

import pytest

from moorage.core import sizes as module
from moorage.core.sizes import GIVEN_UP_S, REMEMBERED_S, Precision, Size, Sizes
from moorage.errors import DatabaseUnavailable
from moorage.metadata.details import SizeStore as SizeStore
from moorage.oci.names import RepositoryName
from support.clock import Clock

GROUP, APP = RepositoryName("group"), RepositoryName("group/app")
MEASURED, ESTIMATED = Size(100, Precision.DEFAULT), Size(900, Precision.UNTAGGED)
DEADLINE_S = 0.02


class Store(SizeStore):
    """Repositories that all have one size; measuring it ends at once, or never."""

    def __init__(self) -> None:
        self.size_bytes = MEASURED.size_bytes
        self.changes = 1
        self.is_slow = False
        self.measured = 0
        self.estimated = 0

    async def measure(self, name: RepositoryName, *, with_descendants: bool) -> int:
        del name, with_descendants
        self.measured += 1
        if self.is_slow:
            await asyncio.Event().wait()
        return self.size_bytes

    async def estimate(self, name: RepositoryName) -> int:
        del name
        self.estimated += 1
        return ESTIMATED.size_bytes

    async def last_change(self, name: RepositoryName, *, with_descendants: bool) -> int:
        del name, with_descendants
        return self.changes


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sizes(store: Store, clock: Clock) -> Sizes:
    return Sizes(store, deadline_s=DEADLINE_S, clock=clock)


async def test_a_size_is_measured_once_while_nothing_changes(sizes: Sizes, store: Store, clock: Clock) -> None:
    for _ in range(3):
        assert await sizes.of(APP, with_descendants=False) == MEASURED
        clock.now += REMEMBERED_S / 4
    assert store.measured == 1
    clock.now += REMEMBERED_S / 4
    await sizes.of(APP, with_descendants=False)
    assert store.measured == 2


async def test_a_change_is_seen_at_once(sizes: Sizes, store: Store) -> None:
    await sizes.of(APP, with_descendants=False)
    store.changes, store.size_bytes = 2, 7
    assert await sizes.of(APP, with_descendants=False) == Size(7, Precision.DEFAULT)


async def test_sizes_are_told_apart_by_what_they_cover(sizes: Sizes, store: Store) -> None:
    for name in (GROUP, APP):
        for with_descendants in (False, True):
            await sizes.of(name, with_descendants=with_descendants)
    assert store.measured == 4


async def test_a_top_level_repository_that_takes_too_long_is_estimated_for_a_day(
    sizes: Sizes, store: Store, clock: Clock
) -> None:
    store.is_slow = True
    assert await sizes.of(GROUP, with_descendants=True) == ESTIMATED
    store.changes += 1
    clock.now += GIVEN_UP_S - 1
    assert await sizes.of(GROUP, with_descendants=True) == ESTIMATED
    assert (store.measured, store.estimated) == (1, 2)
    store.is_slow = False
    store.changes += 1
    clock.now += 1
    assert await sizes.of(GROUP, with_descendants=True) == MEASURED


async def test_an_estimate_is_remembered_while_nothing_changes(sizes: Sizes, store: Store) -> None:
    store.is_slow = True
    for _ in range(3):
        assert await sizes.of(GROUP, with_descendants=True) == ESTIMATED
    assert (store.measured, store.estimated) == (1, 1)


@pytest.mark.parametrize(("name", "with_descendants"), [(APP, True), (APP, False), (GROUP, False)], ids=str)
async def test_anything_else_that_takes_too_long_is_an_error_each_time(
    sizes: Sizes, store: Store, name: RepositoryName, *, with_descendants: bool
) -> None:
    store.is_slow = True
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await sizes.of(name, with_descendants=with_descendants)
    assert (store.measured, store.estimated) == (2, 0)


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_REMEMBERED_LIMIT", 2)
    sizes = Sizes(store, clock=lambda: 0.0)
    names = [RepositoryName(f"app{number}") for number in range(3)]
    for name in names:
        await sizes.of(name, with_descendants=False)
    assert store.measured == 3
    await sizes.of(names[2], with_descendants=False)
    await sizes.of(names[1], with_descendants=False)
    assert store.measured == 3
    await sizes.of(names[0], with_descendants=False)
    assert store.measured == 4
