"""An empty database of each kind, and chains of migrations for it."""

from pathlib import Path

import pytest

from moorage.metadata.schema.chains import Chains
from moorage.sql.database_place import DatabasePlace
from support.migrations import DIALECTS, three_and_one
from support.postgres import Postgres, settings_for


@pytest.fixture(params=DIALECTS)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> DatabasePlace:
    """An empty database: no file yet, or one without tables."""
    if request.param == "sqlite":
        return tmp_path / "moorage.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return settings_for(postgres, postgres.create_database())


@pytest.fixture
def chains(tmp_path: Path) -> Chains:
    """Three migrations before a deployment, one after it."""
    return three_and_one(tmp_path / "chains")
