"""Schema migrations that need a background migration to be finished."""

import dataclasses
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError
from moorage.metadata.background.background_migrations import (
    Status,
)
from moorage.metadata.background.background_runner import (
    run_all,
)
from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import CHAINS, Chains, Migration
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.sql.database_place import DatabasePlace
from support.background import (
    Jobs,
    statuses,
)
from support.migrations import using, with_more, write


@pytest.fixture
def needing(tmp_path: Path) -> Chains:
    """This version's migrations, one that adds a background migration, and one that needs it to be finished."""
    folder = tmp_path / "needing"
    for chain in (CHAINS.pre, CHAINS.post):
        for path in Path(str(chain.folder)).glob("*.sql"):
            target = folder / ("pre" if chain is CHAINS.pre else "post") / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text())
    number = CHAINS.pre.newest + 1
    write(
        folder / "pre",
        f"{number:04}_numbers",
        "CREATE TABLE numbers (id integer PRIMARY KEY, value integer);\n"
        "INSERT INTO batched_background_migrations (name, max_value, batch_size, status, job_signature_name,"
        " table_name, column_name) VALUES ('raise', 75, 10, 1, 'raise', 'numbers', 'id');\n",
    )
    later = f"{CHAINS.post.newest + 1:04}_strict"
    write(folder / "post", later, "CREATE INDEX numbers_by_value ON numbers (value);\n")
    base = Chains(
        dataclasses.replace(CHAINS.pre, folder=folder / "pre"), dataclasses.replace(CHAINS.post, folder=folder / "post")
    )
    (folder / "post").mkdir(exist_ok=True)
    added = Migration(f"{number:04}_numbers", oldest_code=1)
    return with_more(base, added, post=[Migration(later, oldest_code=1, requires_background=("raise",))])


async def test_a_new_database_gets_the_background_migrations_that_others_need_run_at_once(
    where: DatabasePlace, needing: Chains
) -> None:
    report = await migrator.up(where, Wish(), chains=needing, jobs=Jobs())
    assert (report.background, len(report.steps)) == (1, len(needing.steps()))
    assert await statuses(where) == [("raise", Status.FINISHED, None)]


async def test_a_database_in_use_is_migrated_only_when_they_are_finished(where: DatabasePlace, needing: Chains) -> None:
    await migrator.up(where, Wish())
    with pytest.raises(ConfigurationError) as raised:
        await migrator.up(where, Wish(), chains=needing, jobs=Jobs())
    assert str(raised.value) == (
        f"the post-deployment migration {needing.post.migrations[-1].name} needs the background migration raise to be "
        "finished: run 'moorage background-migrate run', then migrate again"
    )
    assert len(await migrator.history(where)) == len(needing.steps()) - 1
    async with using(where) as database:
        await run_all(database, jobs=Jobs())
    report = await migrator.up(where, Wish(), chains=needing, jobs=Jobs())
    assert [step.migration.name for step in report.steps] == [needing.post.migrations[-1].name]


async def test_an_embedded_database_leaves_what_waits_for_them_for_the_next_start(
    needing: Chains, tmp_path: Path
) -> None:
    path = tmp_path / "moorage.db"
    migrate_sqlite(path)
    assert len(migrate_sqlite(path, needing)) == 1
    assert migrate_sqlite(path, needing) == []
    async with using(path) as database:
        await run_all(database, jobs=Jobs())
    assert len(migrate_sqlite(path, needing)) == 1
    migrate_sqlite(tmp_path / "new.db", needing)
    assert await statuses(tmp_path / "new.db") == [("raise", Status.FINISHED, None)]
