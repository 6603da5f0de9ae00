"""Each test gets a database with nothing in it, and the means to push and delete as the registry does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, OpenSql, sql_opener
from contract.metadata_history.past import Past


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSql:
    return sql_opener(request, tmp_path)


@pytest.fixture
async def past(open_sql: OpenSql) -> AsyncIterator[Past]:
    async with open_sql() as opened:
        yield Past(opened)


@pytest.fixture
async def other(open_sql: OpenSql) -> AsyncIterator[Past]:
    """The same database, seen by another process."""
    async with open_sql() as opened:
        yield Past(opened)
