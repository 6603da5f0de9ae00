"""Each test gets a database with nothing in it, and the means to push, to delete and to let time pass."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, OpenSql, sql_opener
from contract.metadata_collection.aging import Aging


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSql:
    return sql_opener(request, tmp_path)


@pytest.fixture
async def aging(open_sql: OpenSql) -> AsyncIterator[Aging]:
    async with open_sql() as opened:
        yield Aging(opened)
