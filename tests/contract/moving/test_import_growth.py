"""An import tells PostgreSQL of the rows that it brings: it would go on planning for those that were there first."""

from pathlib import Path

import pytest

from contract.metadata.pushing import push_image
from contract.metadata.stores import layout_opener, postgres_settings, sql_store
from contract.moving.movers import Mover
from moorage.metadata.sql import imports
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.images import image
from support.postgres import Postgres, migrated

COUNTS = "SELECT relname, reltuples::int FROM pg_class WHERE relname IN ('manifests', 'repository_blobs', 'tags')"
UNKNOWN = -1


async def test_an_import_has_postgres_look_at_the_tables_when_they_have_grown(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_FIRST_LOOK", 3)
    database = await PostgresDatabase.open(postgres_settings(postgres, migrated(postgres)))
    try:
        async with layout_opener("layout-filesystem", tmp_path)() as links:
            sql = sql_store(database)
            before = {row[0]: row[1] for row in await sql.rows(COUNTS)}
            for number in range(3):
                await push_image(links, image(f"image {number}"), f"v{number}")
            await Mover(links, sql, sql).run()
            after = {row[0]: row[1] for row in await sql.rows(COUNTS)}
    finally:
        await database.close()
    assert set(before.values()) == {UNKNOWN}
    assert after["manifests"] == 3
    assert after["repository_blobs"] > 3
