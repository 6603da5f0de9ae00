"""Each test gets a database with nothing in it, and the means to push, to delete and to let time pass."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, OpenSql, postgres_opener, sqlite_opener
from contract.metadata_collection.aging import Aging


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSql:
    if request.param == "postgres":
        # Asked for only here: where PostgreSQL cannot be had, SQLite is tested all the same.
        return postgres_opener(request.getfixturevalue("postgres"))
    return sqlite_opener(tmp_path)


@pytest.fixture
async def aging(open_sql: OpenSql) -> AsyncIterator[Aging]:
    async with open_sql() as opened:
        yield Aging(opened)
