"""Each test gets a database with nothing in it, and the means to push, to delete and to let time pass."""

from collections.abc import AsyncIterator

import pytest

from contract.metadata.stores import OpenSql
from contract.metadata_collection.aging import Aging


@pytest.fixture
async def aging(open_sql: OpenSql) -> AsyncIterator[Aging]:
    async with open_sql() as opened:
        yield Aging(opened)
