"""Each test gets a database with nothing in it, and the means to push and delete as the registry does."""

from collections.abc import AsyncIterator

import pytest

from contract.metadata.stores import OpenSql
from contract.metadata_history.past import Past


@pytest.fixture
async def past(open_sql: OpenSql) -> AsyncIterator[Past]:
    async with open_sql() as opened:
        yield Past(opened)


@pytest.fixture
async def other(open_sql: OpenSql) -> AsyncIterator[Past]:
    """The same database, seen by another process."""
    async with open_sql() as opened:
        yield Past(opened)
