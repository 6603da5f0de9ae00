"""Each test gets a store with nothing in it; ``other`` is a second process's view of the same."""

from collections.abc import AsyncIterator, Iterator
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
    quick_folder,
    sql_opener,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(params=KINDS)
def open_store(request: pytest.FixtureRequest, folder: Path) -> Open:
    if request.param in SQL_KINDS:
        return sql_opener(request, folder)
    return layout_opener(request.param, folder)


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, folder: Path) -> OpenSql:
    return sql_opener(request, folder)


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
