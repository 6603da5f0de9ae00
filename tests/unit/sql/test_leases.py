"""Leases: one holder at a time, for as long as it says, on all nodes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.sql.leases import Leases
from moorage.sql.sqlite.sqlite_database import SqliteDatabase

LONG = timedelta(minutes=5)
OVER = timedelta(seconds=-1)


@pytest.fixture
async def databases(tmp_path: Path) -> AsyncIterator[tuple[SqliteDatabase, SqliteDatabase]]:
    """Two views of one file, as two nodes have them."""
    path = tmp_path / "t.sqlite"
    migrate_sqlite(path)
    first, second = await SqliteDatabase.open(path), await SqliteDatabase.open(path)
    yield first, second
    await first.close()
    await second.close()


@pytest.fixture
def leases(databases: tuple[SqliteDatabase, SqliteDatabase]) -> Leases:
    return Leases(databases[0])


@pytest.fixture
def elsewhere(databases: tuple[SqliteDatabase, SqliteDatabase]) -> Leases:
    return Leases(databases[1])


async def test_a_lease_that_somebody_has_is_not_given_to_another(leases: Leases, elsewhere: Leases) -> None:
    before = datetime.now(UTC)
    end = await leases.take("gc", "a", LONG)
    assert end is not None
    assert before + LONG <= end <= datetime.now(UTC) + LONG
    assert await elsewhere.take("gc", "b", LONG) is None
    assert await elsewhere.holder("gc") == "a"


async def test_a_node_whose_clock_is_ahead_takes_no_lease_of_another(
    leases: Leases, elsewhere: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(datetime.now(UTC).timestamp() + 3600, tz)

    await leases.take("gc", "a", LONG)
    monkeypatch.setattr("moorage.sql.leases.datetime", Ahead)
    assert await elsewhere.take("gc", "b", LONG) is None
    assert await elsewhere.holder("gc") == "a"


async def test_its_holder_may_prolong_it(leases: Leases, elsewhere: Leases) -> None:
    first = await leases.take("gc", "a", timedelta(seconds=10))
    second = await leases.take("gc", "a", LONG)
    assert first is not None
    assert second is not None
    assert second - first > LONG - timedelta(seconds=15)
    assert await elsewhere.take("gc", "b", LONG) is None


async def test_a_lease_that_has_ended_is_anybody_s(leases: Leases, elsewhere: Leases) -> None:
    await leases.take("gc", "a", OVER)
    assert await leases.holder("gc") is None
    assert await elsewhere.take("gc", "b", LONG) is not None
    assert await leases.take("gc", "a", LONG) is None
    assert await leases.holder("gc") == "b"


async def test_a_lease_that_was_given_back_is_anybody_s_at_once(leases: Leases, elsewhere: Leases) -> None:
    await leases.take("gc", "a", LONG)
    await leases.release("gc", "a")
    assert await elsewhere.holder("gc") is None
    assert await elsewhere.take("gc", "b", LONG) is not None


async def test_nobody_gives_back_what_another_has(leases: Leases, elsewhere: Leases) -> None:
    await leases.take("gc", "a", LONG)
    await elsewhere.release("gc", "b")
    await elsewhere.release("never", "b")
    assert await leases.holder("gc") == "a"


async def test_leases_of_different_names_have_nothing_to_do_with_each_other(leases: Leases) -> None:
    assert await leases.take("gc", "a", LONG) is not None
    assert await leases.take("purge", "b", LONG) is not None
    await leases.release("purge", "b")
    assert await leases.holder("gc") == "a"


async def test_of_many_who_ask_at_once_one_gets_it(leases: Leases, elsewhere: Leases) -> None:
    for attempt in range(5):
        asked = [(leases, elsewhere)[n % 2].take(f"gc{attempt}", f"h{n}", LONG) for n in range(20)]
        given = [n for n, end in enumerate(await asyncio.gather(*asked)) if end is not None]
        assert len(given) == 1
        assert await elsewhere.holder(f"gc{attempt}") == f"h{given[0]}"


async def test_a_lease_of_a_year_that_has_not_come_is_anybody_s(leases: Leases, elsewhere: Leases) -> None:
    await leases.take("gc", "a", LONG + timedelta(days=365))  # As by a clock that was ahead, and was set back.
    assert await elsewhere.holder("gc") is None
    assert await elsewhere.take("gc", "b", LONG) is not None
    assert await leases.take("gc", "a", LONG) is None
