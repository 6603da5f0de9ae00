"""Parameters for SQLite: values go where their numbers stand, and no Python takes a number for a name."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.sql.sqlite.sqlite_parameters import bound
from unit.sql.sqlite_files import opened, q


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with opened(tmp_path / "t.sqlite") as database:
        yield database


@pytest.mark.parametrize(
    ("text", "values", "row"),
    [
        ("SELECT $1, $2, $3", (1, "two", b"3"), (1, "two", b"3")),
        ("SELECT $2, $1, $2", (1, 2), (2, 1, 2)),
        ("SELECT $1, $1", ("twice",), ("twice", "twice")),
        ("SELECT $2", ("not asked for", 2), (2,)),
        ("SELECT $3, 2 = ANY($1), $2, 9 = ANY($1)", ([1, 2], "b", "c"), ("c", 1, "b", 0)),
        ("SELECT 2 = ANY($2), $1", ("a", []), (0, "a")),
        ("SELECT 1999 = ANY($2), $1", ("a", list(range(2000))), (1, "a")),
    ],
)
async def test_values_go_where_their_numbers_stand(
    database: SqliteDatabase, text: str, values: tuple[int | str | bytes | list[int], ...], row: tuple[object, ...]
) -> None:
    assert await database.first(q(text), *values) == row
    assert await database.all(q(text), *values, heavy=True) == [row]


async def test_each_of_many_rows_goes_where_its_numbers_stand(database: SqliteDatabase) -> None:
    async with database.transaction() as transaction:
        await transaction.run_many(q("INSERT INTO t (id, owner) VALUES ($2, $1 || $1)"), [("a", 1), ("b", 2)])
    assert await database.all(q("SELECT id, owner FROM t ORDER BY id")) == [(1, "aa"), (2, "bb")]


@pytest.mark.parametrize("text", ["?1 ?2 ?3", "?2 ?3 ?1", "?1 ?1", "a = ANY(?1) ?2", "?2 a = ANY(?1)"])
def test_no_parameter_has_a_number_that_a_python_takes_for_a_name(text: str) -> None:
    count = len(set(re.findall(r"\d", text)))
    assert not re.search(r"\?\d", bound(text, tuple([number, 0] for number in range(count)))[0])
