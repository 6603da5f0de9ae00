"""Each test gets link files, a database with nothing in it, and the means to move images between them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contract.metadata.stores import layout_opener, postgres_opener, sqlite_opener
from contract.moving.movers import Mover


@pytest.fixture(params=["layout-filesystem and sqlite", "layout-bucket and postgres"])
async def mover(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mover]:
    kind, _, database = request.param.partition(" and ")
    if database == "postgres":
        # Asked for only here: where PostgreSQL cannot be had, SQLite is tested all the same.
        open_sql = postgres_opener(request.getfixturevalue("postgres"))
    else:
        open_sql = sqlite_opener(tmp_path)
    (tmp_path / "pushed").mkdir()
    pushed = sqlite_opener(tmp_path / "pushed")
    async with layout_opener(kind, tmp_path / "links")() as links, open_sql() as sql, pushed() as other:
        yield Mover(links, sql, other)
