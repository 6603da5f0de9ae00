"""What only PostgreSQL's migrations do: locks, statements outside a transaction, functions, the way past a pooler."""

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from moorage.errors import ConfigurationError, DatabaseUnavailable, MigrationFailed
from moorage.metadata.schema import migrator
from moorage.metadata.schema import postgres_migrations as migrations
from moorage.metadata.schema.chains import Chains, ChainStep, Migration
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.postgres_migrations import Patience
from moorage.sql.database_place import PostgresSettings
from support.migrations import knowing, names, rows, with_more, write
from support.ports import free_port
from support.postgres import Postgres, settings_for
from unit.sql.test_postgres_pgbouncer import pooler as pooler

HASTY = Patience(
    migrator=timedelta(seconds=0.5),
    table_lock=timedelta(milliseconds=50),
    attempts=3,
    pause=timedelta(milliseconds=20),
)
QUICK = "DROP INDEX CONCURRENTLY IF EXISTS quick;\n-- next --\nCREATE INDEX CONCURRENTLY quick ON words (length);\n"


@pytest.fixture
def where(postgres: Postgres) -> PostgresSettings:
    return settings_for(postgres, postgres.create_database())


async def connect(where: PostgresSettings) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=where.host, port=where.port, user=where.user, password=where.password, database=where.dbname
    )


async def test_a_script_with_functions_and_odd_characters_runs_as_it_is(
    where: PostgresSettings, chains: Chains
) -> None:
    script = (
        "CREATE FUNCTION f(text) RETURNS text LANGUAGE plpgsql AS $body$\n"
        "DECLARE a text := 'x:y';\nBEGIN\n    RETURN $1 || a || ' %s %(b)s :c ?;' || $$;$$;\nEND $body$;\n"
        "INSERT INTO words (word) SELECT f('1');\n"
    )
    write(Path(str(chains.pre.folder)), "0003_more", script)
    await migrator.up(where, Wish(), chains=chains)
    assert ("1x:y %s %(b)s :c ?;;",) in await rows(where, "SELECT word FROM words")


@pytest.fixture
def concurrent(chains: Chains) -> Chains:
    """An index that is made while others write."""
    write(Path(str(chains.post.folder)), "0002_quick", QUICK, "DROP INDEX CONCURRENTLY quick;\n")
    return with_more(chains, post=[Migration("0002_quick", oldest_code=1, in_transaction=False)])


async def test_an_index_can_be_made_outside_a_transaction(where: PostgresSettings, concurrent: Chains) -> None:
    report = await migrator.up(where, Wish(), chains=concurrent)
    assert report.steps[-1].migration.name == "0002_quick"
    assert "quick" in await names(where)
    await migrator.down(where, await migrator.planned_down(where, Wish(pre=0, post=1), concurrent), chains=concurrent)
    assert "quick" not in await names(where)
    assert len(await migrator.history(where, concurrent)) == 4


async def test_one_outside_a_transaction_that_fails_is_run_again_from_its_beginning(
    where: PostgresSettings, concurrent: Chains
) -> None:
    write(Path(str(concurrent.post.folder)), "0002_quick", f"{QUICK}-- next --\nSELECT nonsense;\n")
    with pytest.raises(MigrationFailed, match=r"0002_quick failed.*nonsense"):
        await migrator.up(where, Wish(), chains=concurrent)
    assert len(await migrator.history(where, concurrent)) == 4
    write(Path(str(concurrent.post.folder)), "0002_quick", QUICK)
    assert len((await migrator.up(where, Wish(), chains=concurrent)).steps) == 1


async def test_a_locked_table_is_asked_for_again_until_it_is_free(where: PostgresSettings, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=knowing(chains, 1, 0))
    step = ChainStep("pre-deployment", chains.pre.migrations[1])
    other = await connect(where)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("LOCK TABLE words")
        async with migrations.opened(where, chains, HASTY) as found:
            with pytest.raises(MigrationFailed, match="a table that it changes was locked by others all the time"):
                await found.take(step, "up")
            assert [row.name for row in await found.history()] == ["0001_words"]
            patient = dataclasses.replace(HASTY, attempts=1000)
        async with migrations.opened(where, chains, patient) as found, asyncio.TaskGroup() as tasks:
            taken = tasks.create_task(found.take(step, "up"))
            await asyncio.sleep(0.3)
            assert not taken.done()
            await transaction.rollback()
        assert taken.result()
    finally:
        await other.close()


async def test_only_one_migrator_is_at_work(where: PostgresSettings, chains: Chains) -> None:
    async with migrations.opened(where, chains, HASTY):
        with pytest.raises(MigrationFailed, match="another process is migrating this database"):
            async with migrations.opened(where, chains, HASTY):
                pass
    async with migrations.opened(where, chains, HASTY) as found:
        assert await found.history() == []


async def test_a_lock_that_is_lost_takes_nothing_with_it(where: PostgresSettings, chains: Chains) -> None:
    async with migrations.opened(where, chains, HASTY) as found:
        other = await connect(where)
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        await other.close()
        assert await found.take(chains.steps()[0], "up")
    assert [row.name for row in await migrator.history(where, chains)] == ["0001_words"]


async def test_migrations_go_to_the_primary_host(where: PostgresSettings, chains: Chains) -> None:
    pooler = dataclasses.replace(where, host=f"127.0.0.1:{free_port()}", primary=f"{where.host}:{where.port}")
    assert len((await migrator.up(pooler, Wish(), chains=chains)).steps) == 4
    assert len(await migrator.history(pooler, chains)) == 4


async def test_migrations_come_through_a_pooler_and_leave_no_lock_behind(
    where: PostgresSettings, concurrent: Chains, pooler: int
) -> None:
    behind = dataclasses.replace(where, port=pooler)
    assert len((await migrator.up(behind, Wish(), chains=concurrent)).steps) == 5
    assert await rows(where, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    assert await rows(behind, "SELECT current_setting('lock_timeout')") == [("0",)]
    await migrator.down(behind, await migrator.planned_down(behind, Wish(), concurrent), chains=concurrent)
    assert await names(where) == set()


async def test_a_server_that_is_away_is_said_to_be(where: PostgresSettings, chains: Chains) -> None:
    away = dataclasses.replace(where, port=free_port())
    with pytest.raises(DatabaseUnavailable, match="no connection to PostgreSQL"):
        await migrator.up(away, Wish(), chains=chains)
    with pytest.raises(DatabaseUnavailable, match="no connection to PostgreSQL"):
        await migrator.history(away, chains)


async def test_a_connection_that_is_lost_leaves_what_was_before(
    postgres: Postgres, where: PostgresSettings, chains: Chains
) -> None:
    lost = "CREATE TABLE more (id integer);\nSELECT pg_terminate_backend(pg_backend_pid());\n"
    write(Path(str(chains.pre.folder)), "0003_more", lost)
    with pytest.raises(MigrationFailed, match=r"0003_more: the connection was lost, and .*: terminating connection"):
        await migrator.up(where, Wish(), chains=chains)
    assert [row.name for row in await migrator.history(where, chains)] == ["0001_words", "0002_lengths"]
    assert "more" not in await names(where)


async def test_the_database_of_gitlabs_registry_is_left_alone(postgres: Postgres, where: PostgresSettings) -> None:
    postgres.psql("CREATE TABLE schema_migrations (id text)", where.dbname)
    with pytest.raises(ConfigurationError, match="belongs to GitLab's registry"):
        await migrator.up(where, Wish())
    assert await names(where) == {"schema_migrations"}
