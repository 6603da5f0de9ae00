"""An empty database of each kind, and chains of migrations for it."""

from pathlib import Path

import pytest

from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import Chains
from moorage.metadata.schema.migration_plan import Wish
from moorage.sql.database_place import DatabasePlace
from support.background import fill
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


@pytest.fixture
async def numbers(where: DatabasePlace) -> DatabasePlace:
    """A database of this version with numbers that are 0."""
    await migrator.up(where, Wish())
    await fill(where)
    return where
