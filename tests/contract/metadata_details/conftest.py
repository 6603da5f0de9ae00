"""Each test gets a database with nothing in it, which it fills with rows; ``other`` is a second process's view."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, OpenSql, postgres_opener, sqlite_opener
from contract.metadata_details.rows import Rows
from moorage.sql.base import Database


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSql:
    if request.param == "postgres":
        # Asked for only here: where PostgreSQL cannot be had, SQLite is tested all the same.
        return postgres_opener(request.getfixturevalue("postgres"))
    return sqlite_opener(tmp_path)


@pytest.fixture
async def database(open_sql: OpenSql) -> AsyncIterator[Database]:
    async with open_sql() as opened:
        yield opened.database


@pytest.fixture
async def other(open_sql: OpenSql) -> AsyncIterator[Database]:
    async with open_sql() as opened:
        yield opened.database


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)
