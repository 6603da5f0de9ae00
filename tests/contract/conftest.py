"""An empty database of each kind, for every room below that wants one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, OpenSql, quick_folder, sql_opener


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.fixture(params=SQL_KINDS)
def open_sql(request: pytest.FixtureRequest, folder: Path) -> OpenSql:
    """Opens the database once more, each time as another process would."""
    return sql_opener(request, folder)
