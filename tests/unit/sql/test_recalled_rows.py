"""Rows of SQLite that are remembered: for as long as nobody has changed anything, in whatever process."""

import gc
import sqlite3
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.sql.sqlite import recalled_rows
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from unit.sql.sqlite_files import opened, q


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with opened(tmp_path / "t.sqlite") as database:
        with sqlite3.connect(tmp_path / "t.sqlite") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS recalled (id INTEGER PRIMARY KEY, text)")
        connection.close()
        yield database


PUT = q("INSERT OR REPLACE INTO recalled (id, text) VALUES ($1, $2)")
GET = q("SELECT text FROM recalled WHERE id = $1")


def traced(database: SqliteDatabase) -> list[str]:
    """The statements of the reader from now on."""
    statements: list[str] = []
    database._reader.set_trace_callback(statements.append)
    return statements


def selects(statements: list[str]) -> int:
    return sum(statement.startswith("SELECT text") for statement in statements)


async def test_what_nobody_has_changed_is_read_once(database: SqliteDatabase) -> None:
    await database.write(PUT, 1, "one")
    statements = traced(database)
    assert [await database.recall(GET, 1) for _ in range(3)] == [("one",)] * 3
    assert selects(statements) == 1


async def test_a_change_of_its_own_is_seen_at_once(database: SqliteDatabase) -> None:
    for text in ("one", "two", "three"):
        await database.write(PUT, 1, text)
        assert await database.recall(GET, 1) == (text,)


async def test_a_change_by_another_connection_is_seen_at_once(database: SqliteDatabase) -> None:
    await database.write(PUT, 1, "one")
    other = sqlite3.connect(database.path)
    for text in ("two", "three"):
        assert await database.recall(GET, 1) is not None
        with other:
            other.execute("UPDATE recalled SET text = ?", (text,))
        assert await database.recall(GET, 1) == (text,)
    with other:
        other.execute("DELETE FROM recalled")
    assert await database.recall(GET, 1) is None
    other.close()


async def test_what_is_not_there_is_asked_for_again(database: SqliteDatabase) -> None:
    statements = traced(database)
    assert [await database.recall(GET, 9) for _ in range(2)] == [None, None]
    assert selects(statements) == 2


async def test_large_rows_are_not_remembered_and_all_are_bounded(database: SqliteDatabase) -> None:
    large, count = "a" * recalled_rows._LARGE_BYTES, 200
    await database.write(PUT, 0, large)
    statements = traced(database)
    assert [await database.recall(GET, 0) for _ in range(2)] == [(large,)] * 2
    assert selects(statements) == 2
    rows = recalled_rows.RecalledRows(database._reader)
    rows.get(0)
    for number in range(count):
        rows.put(number, ("a" * (100 << 10),))
    assert len(rows._rows) * (100 << 10) <= recalled_rows._LIMIT_BYTES


async def test_rows_take_no_more_memory_than_they_may(database: SqliteDatabase) -> None:
    rows, count = recalled_rows.RecalledRows(database._reader), 5000
    rows.get(0)
    tracemalloc.start()
    try:
        for number in range(count):
            payload = f"{number:0600}".encode()
            rows.put(("manifest_by_tag", f"group/app{number}", f"{number}"), (number, "text/plain", payload))
        gc.collect()  # What is in cycles goes when the collector comes by.
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 100 < len(rows._rows) < count
    assert held_bytes < 1.1 * recalled_rows._LIMIT_BYTES
