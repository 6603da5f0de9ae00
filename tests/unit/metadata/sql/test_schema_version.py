"""Which code may use which schema: too old, too new, newer and compatible, without post-deployment migrations."""

from pathlib import Path

import pytest

from moorage.errors import ConfigurationError
from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import Chains, Migration
from moorage.metadata.schema.migration_plan import Wish, plan_up
from moorage.metadata.schema.schema_version import SchemaState, check, migrate_sqlite
from moorage.sql.database_place import DatabasePlace
from support.migrations import knowing, rows, run, using, with_more, write

TOO_OLD = "there are pending database migrations, use the 'moorage database migrate up' command to check and apply them"


async def state(where: DatabasePlace, chains: Chains) -> SchemaState:
    async with using(where) as database:
        return await check(database, chains)


async def test_an_empty_database_is_too_old(where: DatabasePlace, chains: Chains) -> None:
    found = await state(where, chains)
    assert (found.verdict, len(found.pending)) == ("too old", 4)
    with pytest.raises(ConfigurationError) as raised:
        found.refuse()
    assert str(raised.value) == TOO_OLD


async def test_a_database_with_everything_is_current(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    found = await state(where, chains)
    assert (found.verdict, found.pending, found.newer) == ("current", [], [])
    found.refuse()


async def test_new_code_runs_on_a_schema_without_the_post_deployment_migrations(
    where: DatabasePlace, chains: Chains
) -> None:
    await migrator.up(where, Wish(post=0), chains=chains)
    found = await state(where, chains)
    found.refuse()
    assert (found.verdict, [step.migration.name for step in found.pending]) == (
        "post-deployment pending",
        ["0001_index"],
    )
    await run(where, "INSERT INTO words (word, length) VALUES ($1, $2)", "new", 3)
    await migrator.up(where, Wish(), chains=chains)
    assert (await state(where, chains)).verdict == "current"
    assert await rows(where, "SELECT length FROM words WHERE word = $1", "new") == [(3,)]


async def test_new_code_does_not_run_on_an_older_schema(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=knowing(chains, 2, 1))
    found = await state(where, chains)
    assert found.verdict == "too old"
    with pytest.raises(ConfigurationError, match="there are pending database migrations"):
        found.refuse()


async def test_old_code_runs_on_a_newer_schema_that_allows_it(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    old = knowing(chains, 2, 0)
    found = await state(where, old)
    found.refuse()
    assert (found.verdict, [row.name for row in found.newer]) == (
        "newer and compatible",
        ["0001_index", "0003_more"],
    )
    # What it knows goes on working, and it has nothing to migrate.
    await run(where, "INSERT INTO words (word) VALUES ($1)", "old")
    assert (await migrator.up(where, Wish(), chains=old)).steps == []


async def test_old_code_does_not_run_on_a_schema_that_needs_newer_code(where: DatabasePlace, chains: Chains) -> None:
    folder = Path(str(chains.pre.folder))
    write(folder, "0004_away", "DROP TABLE words;\n")
    new = with_more(chains, Migration("0004_away", oldest_code=4))
    await migrator.up(where, Wish(post=0), chains=new)
    message = (
        "the database's schema is too new for this version of Moorage, which knows it up to 0003_more: start the "
        "version that migrated it to 0004_away, or take it back with that version's 'moorage database migrate down "
        "-n 1'"
    )
    found = await state(where, chains)
    assert found.verdict == "too new"
    with pytest.raises(ConfigurationError) as raised:
        found.refuse()
    assert str(raised.value) == message
    with pytest.raises(ConfigurationError) as raised:
        await migrator.up(where, Wish(), chains=chains)
    assert str(raised.value) == message
    if isinstance(where, Path):
        with pytest.raises(ConfigurationError) as raised:
            migrate_sqlite(where, chains)
        assert str(raised.value) == message


async def test_a_post_deployment_migration_can_shut_old_code_out(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    found = await state(where, knowing(chains, 1, 0))
    assert found.verdict == "too new"  # 0001_index needs code that knows 2
    with pytest.raises(ConfigurationError, match=r"migrate down -n 2 -p 1'"):
        found.refuse()


async def test_code_of_two_branches_does_not_migrate_a_schema_that_it_does_not_know(
    where: DatabasePlace, chains: Chains
) -> None:
    await migrator.up(where, Wish(), chains=knowing(chains, 2, 0))
    folder = Path(str(chains.pre.folder))
    write(folder, "0003_other", "CREATE TABLE other (id IDS);\n")
    ours = with_more(knowing(chains, 2, 0), Migration("0003_other", oldest_code=1))
    await migrator.up(where, Wish(), chains=ours)
    with pytest.raises(ConfigurationError, match="has the pre-deployment migration 0003_other, which this version"):
        await migrator.up(where, Wish(), chains=chains)
    with pytest.raises(ConfigurationError, match="has the pre-deployment migration 0003_other, which this version"):
        await migrator.planned_down(where, Wish(), chains)


def test_a_needed_post_deployment_migration_is_applied_first_unless_it_may_not_be(chains: Chains) -> None:
    more = with_more(chains, Migration("0004_after", oldest_code=1, requires=("0001_index",)))
    assert [step.migration.name for step in plan_up(more, [], Wish(post=0))][-2:] == ["0001_index", "0004_after"]
    with pytest.raises(ConfigurationError, match="post-deployment migration 0001_index is needed first"):
        plan_up(more, [], Wish(post=0, never_post=True))


async def test_the_database_of_this_version_is_current(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    async with using(where) as database:
        assert (await check(database)).verdict == "current"
    async with migrator.database(where) as usable:
        await usable.ping()


async def test_a_command_does_not_use_a_database_that_is_too_old(where: DatabasePlace) -> None:
    with pytest.raises(ConfigurationError, match="there are pending database migrations"):
        async with migrator.database(where):
            pass
