"""Registries over every store and driver."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.integrity.registries import DRIVERS, Registry, database_registry, layout_registry
from contract.metadata.stores import OpenSql


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
