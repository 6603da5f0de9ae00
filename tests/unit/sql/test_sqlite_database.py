"""SqliteDatabase on a file: settings, statements, lists, moments, errors, heavy reads, closing."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from moorage.errors import DatabaseConflict, DatabaseUnavailable
from moorage.sql.base import Value, moment
from moorage.sql.sqlite import sqlite_database as sqlite
from moorage.sql.sqlite import sqlite_lists
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from unit.sql.sqlite_files import IDS, PUT, SCHEMA, SLOW, ids, opened, put, q, trace, writer

FOREVER = 1 << 40


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with opened(tmp_path / "t.sqlite") as database:
        yield database


async def test_the_settings_that_durability_rests_on(database: SqliteDatabase) -> None:
    def asked(connection: sqlite3.Connection, name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    full = 2
    assert asked(writer(database), "synchronous") == full
    heavy = await database._heavy.run(lambda connection: connection)
    for connection in (writer(database), database._reader, heavy):
        assert asked(connection, "journal_mode") == "wal"
        assert asked(connection, "foreign_keys") == 1
    for connection in (database._reader, heavy):
        assert asked(connection, "query_only") == 1
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("DELETE FROM t")


async def test_foreign_keys_hold(database: SqliteDatabase) -> None:
    await database.write(q("CREATE TABLE child (id INTEGER REFERENCES t (id))"))
    with pytest.raises(DatabaseConflict):
        await database.write(q("INSERT INTO child (id) VALUES (7)"))


async def test_what_was_written_is_read(database: SqliteDatabase) -> None:
    assert await database.write(q("INSERT INTO t (id, owner) VALUES ($1, $2) RETURNING owner"), 1, "me") == [("me",)]
    read = q("SELECT owner FROM t WHERE id = $1")
    assert await database.first(read, 1) == ("me",)
    assert await database.all(read, 1) == [("me",)]
    assert await database.all(read, 1, heavy=True) == [("me",)]
    assert await database.first(read, 2) is None
    assert await database.all(read, 2) == []
    await database.ping()


async def test_a_reader_sees_whole_transactions_only(database: SqliteDatabase) -> None:
    async with database.transaction() as session:
        await put(session, 1)
        assert await session.all(IDS) == [(1,)]
        assert await database.all(IDS) == []
        assert await database.all(IDS, heavy=True) == []
        await put(session, 2)
    assert await ids(database) == [1, 2]


async def test_the_first_row_is_read_and_no_snapshot_kept(database: SqliteDatabase) -> None:
    for number in (1, 2, 3):
        await database.write(PUT, number)
    assert await database.first(IDS) == (1,)
    await database.write(q("DELETE FROM t WHERE id = 1"))
    assert await database.first(IDS) == (2,)
    async with database.transaction() as session:
        assert await session.first(q("DELETE FROM t RETURNING id")) == (2,)
    assert await ids(database) == [], "RETURNING gives one row, and all are gone"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 1024, 1025, 5000, 40_000])
async def test_any_takes_lists_of_every_length_and_type(database: SqliteDatabase, count: int) -> None:
    numbers = random.Random(count).sample(range(FOREVER), count)
    texts = [f"é'{number}" for number in numbers]
    keys = [b"\x01" + number.to_bytes(32, "big") for number in numbers]
    rows = [(number, f"é'{number}", b"\x01" + number.to_bytes(32, "big")) for number in [*numbers[:5], FOREVER]]
    async with database.transaction() as session:
        await session.run_many(q("INSERT INTO t VALUES ($1, $2, $3)"), rows)
        lists: dict[str, Value] = {"id": numbers, "owner": texts, "payload": keys}
        for column, items in lists.items():
            query = q(f"SELECT id FROM t WHERE {column} = ANY($1)")  # noqa: S608 - one of three names
            expected = sorted(numbers[:5])
            assert sorted(row[0] for row in await session.all(query, items)) == expected
            assert sorted(row[0] for row in await database.all(query, items)) == []
        assert len(await session.all(q("DELETE FROM t WHERE payload = ANY($1) RETURNING 1"), keys)) == len(expected)


async def test_any_with_several_lists_and_parameters_of_two_digits(database: SqliteDatabase) -> None:
    query = q(
        "SELECT $2, $3, $4, $5, $6, $7, $8, $9, $11, $12 FROM (SELECT 5 AS i, 'b' AS s)"
        " WHERE i = ANY($1) AND s = ANY($10) AND NOT s = ANY($13) AND NOT i + 9999 = ANY($1)"
    )
    for items in ([5], [4, 5], [3, 4, 5], list(range(2000))):
        row = await database.first(query, items, 2, 3, 4, 5, 6, 7, 8, 9, ["a", "b"], 11, 12, [])
        assert row == (2, 3, 4, 5, 6, 7, 8, 9, 11, 12)
    assert await database.first(query, [4], 2, 3, 4, 5, 6, 7, 8, 9, ["a", "b"], 11, 12, []) is None
    assert await database.first(query, [5], 2, 3, 4, 5, 6, 7, 8, 9, ["a", "c"], 11, 12, []) is None
    assert await database.first(query, [5], 2, 3, 4, 5, 6, 7, 8, 9, ["b"], 11, 12, ["a", "b"]) is None


async def test_nothing_is_among_no_items_not_even_what_is_unknown(database: SqliteDatabase) -> None:
    assert await database.first(q("SELECT 1 = ANY($1), NULL = ANY($1)"), []) == (0, 0)


async def test_lists_of_all_lengths_make_few_statements(database: SqliteDatabase) -> None:
    said: set[str] = set()
    trace(database, lambda statement: said.add(statement.partition("IN (")[2]) if "IN (" in statement else None)
    texts = {sqlite_lists.expanded("a = ANY(?1)", (list(range(count)),))[0] for count in range(3000)}
    assert len(texts) == 12, "none or very many; 1, 2, 4 … 1024"


async def test_moments_come_back_to_the_microsecond(database: SqliteDatabase) -> None:
    chance = random.Random(5)
    edges = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    near = [epoch + timedelta(microseconds=n) for n in (-1, 0, 1)]
    some = [epoch + timedelta(microseconds=chance.randrange(10**17)) for _ in range(200)]
    elsewhere = datetime(2026, 3, 29, 1, 30, 0, 7, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    for at in (*edges, *near, *some, elsewhere):
        row = await database.first(q("SELECT $1, $1 < $2"), at, at + timedelta(0))
        assert row is not None
        assert moment(row[0]) == at
        assert row[1] == 0
    ordered = [row[0] for row in await database.all(q("SELECT $1 UNION SELECT $2 ORDER BY 1"), some[0], near[0])]
    assert [moment(value) for value in ordered] == [near[0], some[0]]


async def test_a_moment_without_a_time_zone_is_a_mistake(database: SqliteDatabase) -> None:
    with pytest.raises(TypeError):
        await database.write(PUT, datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake
    await database.write(PUT, 1)


async def test_many_rows_let_others_run(database: SqliteDatabase) -> None:
    passes = 0

    async def other() -> None:
        nonlocal passes
        while True:
            passes += 1
            assert await ids(database) == []
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async with database.transaction() as session:
        before = passes
        await session.run_many(PUT, ((number,) for number in range(5000)))
        assert passes - before >= 9
        task.cancel()
    assert len(await ids(database)) == 5000


async def test_many_rows_of_which_one_is_wrong_are_all_undone(database: SqliteDatabase) -> None:
    with pytest.raises(DatabaseConflict):
        async with database.transaction() as session:
            await session.run_many(PUT, [*((number,) for number in range(1200)), (0,)])
    assert await ids(database) == []


async def test_a_heavy_read_does_not_hold_the_loop(database: SqliteDatabase) -> None:
    assert await database.all(SLOW, 1000, heavy=True) == [(1000,)]
    heavy = asyncio.create_task(database.all(SLOW, FOREVER, heavy=True))
    for number in range(10):
        await database.write(PUT, number)
    assert await ids(database) == list(range(10))
    assert not heavy.done()
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await heavy


async def test_constraints_are_conflicts(database: SqliteDatabase) -> None:
    await database.write(PUT, 1)
    for query in (PUT, q("INSERT INTO t (id, owner) VALUES ($1 + 1, NULL)")):
        with pytest.raises(DatabaseConflict):
            await database.write(query, 1)


async def test_a_mistake_in_a_read_is_shown_as_it_is(database: SqliteDatabase) -> None:
    for heavy in (False, True):
        with pytest.raises(sqlite3.OperationalError, match="no such table") as caught:
            await database.all(q("SELECT * FROM nowhere"), heavy=heavy)
        assert caught.value.__cause__ is None
    with pytest.raises(sqlite3.Error):
        await database.all(q("SELECT $1"), [1])


async def test_another_that_holds_the_lock_too_long_makes_it_unavailable(
    database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_TURN_DEADLINE_S", 0.2)
    other = sqlite3.connect(tmp_path / "t.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    for attempt in (database.write(PUT, 1), database.ping()):
        with pytest.raises(DatabaseUnavailable):
            await attempt
    assert time.monotonic() - begun >= 0.4
    assert await ids(database) == [], "readers do not wait"
    waiting = asyncio.create_task(database.write(PUT, 2))
    await asyncio.sleep(0.05)
    other.execute("ROLLBACK")
    other.close()
    await waiting
    assert await ids(database) == [2]


@pytest.mark.parametrize("what", ["a folder", "no folder for it", "text", "half a header", "memory"])
async def test_what_is_no_database_cannot_be_opened(tmp_path: Path, what: str) -> None:
    path = tmp_path / "t.sqlite"
    if what == "a folder":
        path.mkdir()
    elif what == "no folder for it":
        path = path / "t.sqlite"
    elif what == "memory":
        path = Path(":memory:")
    else:
        path.write_bytes({"text": b"no database " * 1000, "half a header": b"SQLite format 3"}[what])
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        await SqliteDatabase.open(path)


async def test_a_damaged_file_is_unavailable_wherever_it_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with opened(path) as database, database.transaction() as session:
        await session.run_many(q("INSERT INTO t (payload) VALUES (zeroblob($1))"), [(900,)] * 2000)
    whole = path.read_bytes()
    page = 4096
    path.write_bytes(whole[: 100 * page] + b"\xff" * (300 * page) + whole[400 * page :])
    database = await SqliteDatabase.open(path)
    every = q("SELECT id, payload FROM t NOT INDEXED")
    assert await database.first(every) is not None, "its beginning can be read"
    for heavy in (False, True):
        with pytest.raises(DatabaseUnavailable):
            await database.all(every, heavy=heavy)
    with pytest.raises(DatabaseUnavailable):
        await database.write(q("UPDATE t SET owner = 'x'"))
    await database.close()


async def test_closing_finishes_what_waits_and_refuses_what_comes(database: SqliteDatabase) -> None:
    waiting = [asyncio.create_task(database.write(PUT, number)) for number in range(200)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    late = asyncio.create_task(database.write(PUT, 1000))
    async with asyncio.timeout(60):
        with pytest.raises(DatabaseUnavailable, match="closed"):
            await late
        await asyncio.gather(*waiting)
        await closing
        await database.close()
    async with opened(database.path) as again:
        assert await ids(again) == list(range(200))


async def test_closing_waits_for_whoever_has_its_turn_even_if_it_is_given_up(database: SqliteDatabase) -> None:
    async with database.transaction() as session:
        await put(session, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await database.close()
        await put(session, 2)
    async with asyncio.timeout(60):
        await database.close()
    async with opened(database.path) as again:
        assert await ids(again) == [1, 2]


async def test_closing_does_not_wait_for_a_heavy_read(database: SqliteDatabase) -> None:
    heavy = asyncio.create_task(database.all(SLOW, FOREVER, heavy=True))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(60):
        await database.close()
        with pytest.raises(DatabaseUnavailable):
            await heavy


async def test_after_closing_all_is_in_one_file(database: SqliteDatabase, tmp_path: Path) -> None:
    await database.write(PUT, 1)
    await database.all(IDS, heavy=True)
    await database.close()
    assert [entry.name for entry in os.scandir(tmp_path)] == ["t.sqlite"]


async def test_a_writer_that_is_stopped_leaves_nobody_waiting(tmp_path: Path) -> None:
    database = await SqliteDatabase.open(tmp_path / "t.sqlite")
    await database.write(q(SCHEMA))
    inside = asyncio.Event()

    async def stay() -> None:
        async with database.transaction() as session:
            await put(session, 1)
            inside.set()
            await asyncio.sleep(0.05)

    first = asyncio.create_task(stay())
    await inside.wait()
    others = [asyncio.create_task(database.write(PUT, number)) for number in (2, 3)]
    await asyncio.sleep(0)
    database._writer._task.cancel()
    async with asyncio.timeout(60):
        results = await asyncio.gather(first, *others, return_exceptions=True)
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    with pytest.raises(DatabaseUnavailable):
        await database.write(PUT, 4)
    assert await ids(database) == []
    with pytest.raises(asyncio.CancelledError):
        await database.close()
    await database._heavy.close()
    for connection in (writer(database), database._reader):
        connection.close()
