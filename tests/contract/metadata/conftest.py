"""Each test gets a store with nothing in it; ``other`` is a second process's view of the same."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import (
    KINDS,
    SQL_KINDS,
    Open,
    OpenSql,
    SqlStore,
    Store,
    layout_opener,
    sql_opener,
)


@pytest.fixture(params=KINDS)
def open_store(request: pytest.FixtureRequest, folder: Path) -> Open:
    if request.param in SQL_KINDS:
        return sql_opener(request, folder)
    return layout_opener(request.param, folder)


@pytest.fixture
async def store(open_store: Open) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened


@pytest.fixture
async def other(open_store: Open) -> AsyncIterator[Store]:
    async with open_store() as opened:
        yield opened


@pytest.fixture
async def sql(open_sql: OpenSql) -> AsyncIterator[SqlStore]:
    async with open_sql() as opened:
        yield opened


@pytest.fixture
async def other_sql(open_sql: OpenSql) -> AsyncIterator[SqlStore]:
    async with open_sql() as opened:
        yield opened
