"""Registries over every store and driver."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contract.integrity.registries import DRIVERS, Registry, database_registry, layout_registry
from contract.metadata.conftest import sql_opener
from contract.metadata.stores import SQL_KINDS, OpenSql, quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, folder: Path) -> OpenSql:
    return sql_opener(request, folder)


@pytest.fixture(params=DRIVERS)
async def registry(request: pytest.FixtureRequest, open_sql: OpenSql, folder: Path) -> AsyncIterator[Registry]:
    """One with a database."""
    async with database_registry(request.param, open_sql, folder) as made:
        yield made


@pytest.fixture(params=DRIVERS)
async def layout(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Registry]:
    """One with link files."""
    async with layout_registry(request.param, folder) as made:
        yield made
