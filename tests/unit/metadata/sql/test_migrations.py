"""Migrations up and down, on SQLite and PostgreSQL: order, limits, failures, crashes, two at once."""

import dataclasses
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError, DatabaseUnavailable, MigrationFailed
from moorage.metadata.schema import migrator
from moorage.metadata.schema import sqlite_migrations as sqlite
from moorage.metadata.schema.chains import CHAINS, Chains, ChainStep, Migration
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.sql.database_place import DatabasePlace
from support.migrations import (
    DIALECTS,
    MIGRATE,
    TABLES,
    as_argument,
    go,
    knowing,
    names,
    ready,
    rows,
    start,
    wait_for,
    with_more,
    write,
)
from support.postgres import Postgres

PRE = ["0001_words", "0002_lengths", "0003_more"]
ALL = [*PRE, "0001_index"]
SLOW = {
    "sqlite": "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 900000000) "
    "INSERT INTO slow SELECT count(*) FROM c;\n",
    "postgres": "SELECT pg_sleep(120);\n",
}
"""Written so that the database is at work while it is being done."""
PAUSE = {
    "sqlite": "SELECT count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 5000000) "
    "SELECT n FROM c)",
    "postgres": "SELECT pg_sleep(0.5)",
}
"""Long enough for all of them to be in the middle of it, if nothing keeps them from that."""


def named(steps: Sequence[ChainStep]) -> list[str]:
    return [step.migration.name for step in steps]


async def applied(where: DatabasePlace, chains: Chains) -> list[str]:
    return [row.name for row in await migrator.history(where, chains)]


async def versions(where: DatabasePlace) -> list[str]:
    """What Alembic has noted, of both chains."""
    found = await rows(
        where,
        "SELECT version_num FROM (SELECT 1 AS chain, version_num FROM moorage_pre_version"
        " UNION ALL SELECT 2, version_num FROM moorage_post_version) AS noted ORDER BY chain",
    )
    return [str(version) for (version,) in found]


async def test_everything_is_applied_in_order_and_once(where: DatabasePlace, chains: Chains) -> None:
    announced: list[str] = []
    report = await migrator.up(where, Wish(), chains=chains, announce=lambda plan: announced.extend(named(plan)))
    assert named(report.steps) == announced == ALL
    assert await applied(where, chains) == ALL
    assert await versions(where) == ["0003", "0001"]
    assert await rows(where, "SELECT word, length FROM words") == [("a;b :c %s", None)]
    again = await migrator.up(where, Wish(), chains=chains)
    assert again.steps == []


async def test_the_time_of_each_is_noted(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    history = await migrator.history(where, chains)
    times = [row.applied_at for row in history]
    assert times == sorted(times)
    assert [row.phase for row in history] == ["pre-deployment"] * 3 + ["post-deployment"]
    assert [row.oldest_code for row in history] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(pre=2, post=0), ["0001_words", "0002_lengths"]),
        (Wish(pre=1, post=1), ["0001_words", "0002_lengths", "0001_index"]),
        (Wish(pre=0), ["0001_words", "0002_lengths", "0001_index"]),
        (Wish(post=0, never_post=True), PRE),
        (Wish(pre=0, post=0), []),
    ],
)
async def test_limits_count_what_is_asked_for_and_not_what_it_needs(
    where: DatabasePlace, chains: Chains, wish: Wish, expected: list[str]
) -> None:
    assert named(await migrator.planned_up(where, wish, chains)) == expected
    report = await migrator.up(where, wish, chains=chains)
    assert named(report.steps) == expected


async def test_a_plan_changes_nothing(where: DatabasePlace, chains: Chains) -> None:
    assert named(await migrator.planned_up(where, Wish(), chains)) == ALL
    assert not isinstance(where, Path) or not where.exists()
    assert await names(where) == set()
    assert await rows(where, TABLES["sqlite" if isinstance(where, Path) else "postgres"]) == []


async def test_the_newest_is_undone_first(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    plan = await migrator.planned_down(where, Wish(pre=1, post=0), chains)
    assert named((await migrator.down(where, plan, chains=chains)).steps) == ["0003_more"]
    assert "more" not in await names(where)
    assert await applied(where, chains) == ["0001_words", "0002_lengths", "0001_index"]
    rest = await migrator.planned_down(where, Wish(), chains)
    assert named(rest) == ["0001_index", "0002_lengths", "0001_words"]
    await migrator.down(where, rest, chains=chains)
    assert (await names(where), await applied(where, chains), await versions(where)) == (set(), [], [])
    assert named((await migrator.up(where, Wish(), chains=chains)).steps) == ALL


async def test_what_another_one_needs_or_what_has_no_way_back_is_not_undone(
    where: DatabasePlace, chains: Chains
) -> None:
    await migrator.up(where, Wish(), chains=chains)
    with pytest.raises(ConfigurationError, match=r"0002_lengths cannot be undone before 0001_index, which needs it"):
        await migrator.planned_down(where, Wish(pre=2, post=0), chains)
    more = with_more(chains, Migration("0004_one_way", oldest_code=1))
    write(Path(str(chains.pre.folder)), "0004_one_way", "CREATE TABLE one_way (id integer);\n")
    await migrator.up(where, Wish(), chains=more)
    with pytest.raises(ConfigurationError, match="migration 0004_one_way cannot be undone"):
        await migrator.planned_down(where, Wish(), more)
    assert sorted(await applied(where, more)) == sorted([*ALL, "0004_one_way"])


async def test_a_plan_that_time_has_overtaken_does_no_harm(where: DatabasePlace, chains: Chains) -> None:
    await migrator.up(where, Wish(), chains=chains)
    plan = await migrator.planned_down(where, Wish(pre=1, post=0), chains)
    await migrator.down(where, plan, chains=chains)
    assert (await migrator.down(where, plan, chains=chains)).steps == []
    with pytest.raises(MigrationFailed, match="not the turn of migration 0001_words"):
        await migrator.down(where, [ChainStep("pre-deployment", chains.pre.migrations[0])], chains=chains)
    assert await applied(where, chains) == ["0001_words", "0002_lengths", "0001_index"]


@pytest.mark.parametrize("broken", ["CREATE TABLE extra (id integer);\nSELECT nonsense;\n", "SELECT 1 FROM;\n"])
async def test_a_migration_that_fails_leaves_what_was_before_it(
    where: DatabasePlace, chains: Chains, broken: str
) -> None:
    write(Path(str(chains.pre.folder)), "0003_more", broken)
    with pytest.raises(MigrationFailed, match=r"nothing of it was kept: .*(nonsense|syntax)"):
        await migrator.up(where, Wish(), chains=chains)
    assert await applied(where, chains) == ["0001_words", "0002_lengths"]
    assert await versions(where) == ["0002"]
    assert await names(where) & {"extra", "more"} == set()
    write(Path(str(chains.pre.folder)), "0003_more", "CREATE TABLE more (id integer);\n")
    assert named((await migrator.up(where, Wish(), chains=chains)).steps) == ["0003_more", "0001_index"]


def at_work(where: DatabasePlace, postgres: Callable[[], Postgres]) -> bool:
    """Whether the slow statement of the third migration runs now."""
    if not isinstance(where, Path):
        found = postgres().psql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(120);%'")
        return int(found) > 1  # one of them is the question itself
    if not where.exists():
        return False
    connection, count = sqlite3.connect(where, isolation_level=None, timeout=0), 0
    try:
        (count,) = connection.execute("SELECT count(*) FROM moorage_migrations").fetchone()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as exc:
        return "locked" in str(exc) and count == 2
    finally:
        connection.close()
    return False


async def test_a_crash_in_the_middle_of_a_migration_leaves_what_was_before_it(
    where: DatabasePlace, chains: Chains, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = Path(str(chains.pre.folder))
    for dialect in DIALECTS:
        text = f"CREATE TABLE more (id integer);\nCREATE TABLE slow (n integer);\n{SLOW[dialect]}"
        (folder / f"0003_more.{dialect}.sql").write_text(text)
    with start(MIGRATE, as_argument(where), str(tmp_path / "chains")) as child:
        try:
            ready(child)
            go(child)
            wait_for(lambda: child.poll() is not None or at_work(where, lambda: request.getfixturevalue("postgres")))
            assert child.poll() is None, child.stderr and child.stderr.read()
        finally:
            child.kill()
    if not isinstance(where, Path):
        # The server notices that a client is gone only when it has something to say to it.
        terminate = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = $1"
        )
        await rows(dataclasses.replace(where, dbname="postgres"), terminate, where.dbname)
    assert await applied(where, chains) == ["0001_words", "0002_lengths"]
    assert await names(where) & {"more", "slow"} == set()
    write(folder, "0003_more", "CREATE TABLE more (id integer);\n")
    assert named((await migrator.up(where, Wish(), chains=chains)).steps) == ["0003_more", "0001_index"]


async def test_migrators_at_once_apply_each_migration_once(
    where: DatabasePlace, chains: Chains, tmp_path: Path
) -> None:
    for dialect, pause in PAUSE.items():
        path = tmp_path / "chains" / "pre" / f"0001_words.{dialect}.sql"
        path.write_text(f"{pause};\n{path.read_text()}")
    children = [start(MIGRATE, as_argument(where), str(tmp_path / "chains")) for _ in range(3)]
    for tell in (ready, go):
        for child in children:
            tell(child)
    said = [child.communicate(timeout=100) for child in children]
    assert [(child.returncode, error) for child, (_, error) in zip(children, said, strict=True)] == [(0, "")] * 3
    assert sorted(name for out, _ in said for name in json.loads(out)) == sorted(ALL)
    assert await applied(where, chains) == ALL


async def test_all_of_this_version_can_be_undone_and_nothing_is_left(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    assert {"manifests", "batched_background_migrations"} <= await names(where)
    await migrator.down(where, await migrator.planned_down(where, Wish()))
    assert await names(where) == set()
    await migrator.up(where, Wish())


def test_every_migration_of_this_version_has_its_files_and_no_file_is_left_over() -> None:
    for chain in (CHAINS.pre, CHAINS.post):
        folder = Path(str(chain.folder))
        expected = [migration.name for migration in chain.migrations]
        assert sorted(expected) == expected
        assert [migration.number for migration in chain.migrations] == list(range(1, len(expected) + 1))
        for dialect in DIALECTS:
            assert sorted(path.name for path in folder.glob(f"*.{dialect}.sql")) == [
                f"{name}.{dialect}.sql" for name in expected
            ]
            undone = {path.name.removesuffix(f".{dialect}.down.sql") for path in folder.glob(f"*.{dialect}.down.sql")}
            assert undone <= set(expected)


def test_no_migration_needs_newer_code_than_comes_with_it() -> None:
    assert all(step.migration.oldest_code <= CHAINS.pre.newest for step in CHAINS.steps())
    pre = [migration.oldest_code for migration in CHAINS.pre.migrations]
    assert all(code <= migration.number for code, migration in zip(pre, CHAINS.pre.migrations, strict=True))


# --- SQLite alone


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        # The time of each note is its own.
        return [line for line in connection.iterdump() if "moorage_migrations" not in line]
    finally:
        connection.close()


@pytest.mark.parametrize("of_this_version", [True, False])
async def test_a_new_file_becomes_what_alembic_would_make_of_it(
    chains: Chains, tmp_path: Path, *, of_this_version: bool
) -> None:
    found = CHAINS if of_this_version else chains
    migrate_sqlite(tmp_path / "filled.db", found)
    await migrator.up(tmp_path / "stepped.db", Wish(), chains=found)
    assert dump(tmp_path / "filled.db") == dump(tmp_path / "stepped.db")
    filled, stepped = [await migrator.history(tmp_path / name, found) for name in ("filled.db", "stepped.db")]
    assert [row._replace(applied_at=None) for row in filled] == [row._replace(applied_at=None) for row in stepped]  # type: ignore[arg-type]


def test_an_embedded_database_goes_on_where_it_was(chains: Chains, tmp_path: Path) -> None:
    path = tmp_path / "moorage.db"
    assert named(migrate_sqlite(path, knowing(chains, 2, 0))) == PRE[:2]
    assert named(migrate_sqlite(path, chains)) == ["0003_more", "0001_index"]
    assert migrate_sqlite(path, chains) == []


def test_processes_that_start_at_once_make_one_database(chains: Chains, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from moorage.metadata.schema.schema_version import migrate_sqlite\n"
        "from support.migrations import three_and_one\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(len(migrate_sqlite(Path(sys.argv[1]), three_and_one(Path(sys.argv[2])))))"
    )
    path = tmp_path / "moorage.db"
    children = [start(code, str(path), str(tmp_path / "chains")) for _ in range(4)]
    for tell in (ready, go):
        for child in children:
            tell(child)
    said = [child.communicate(timeout=100) for child in children]
    assert [error for _, error in said] == ["", "", "", ""]
    assert sorted(int(out) for out, _ in said) == [0, 0, 0, 4]


def test_a_migration_that_breaks_a_foreign_key_is_undone(chains: Chains, tmp_path: Path) -> None:
    more = Migration("0004_broken", oldest_code=1)
    write(
        Path(str(chains.pre.folder)),
        "0004_broken",
        "CREATE TABLE child (id integer, parent integer REFERENCES words (id));\nINSERT INTO child VALUES (1, 99);\n",
    )
    for begin in (chains, knowing(chains, 0, 0)):  # step by step, and filled at once
        path = tmp_path / f"{len(begin.pre.migrations)}.db"
        migrate_sqlite(path, begin)
        with pytest.raises(MigrationFailed, match="a row of child refers to none of words"):
            migrate_sqlite(path, with_more(chains, more))
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'child'").fetchone() is None
        connection.close()


def test_statements_are_told_apart() -> None:
    script = (
        "-- first; of all\nCREATE TABLE t (word TEXT); -- ; so far\n"
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN\n    DELETE FROM t;\n    SELECT ';';\nEND;\n\n-- the end\n"
    )
    found = [statement.split(maxsplit=4) for statement in sqlite.statements(script)]
    assert len(found) == 3
    connection = sqlite3.connect(":memory:")
    sqlite.run(connection, script)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
    connection.close()


async def test_a_file_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "moorage.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (id)")
    connection.close()
    message = "is a database of something else: it has a table photos, and none of Moorage's"
    with pytest.raises(ConfigurationError, match=message):
        migrate_sqlite(path)
    with pytest.raises(ConfigurationError, match=message):
        await migrator.up(path, Wish())
    (tmp_path / "text.db").write_text("no database at all, but a text that is long enough to be read as one" * 20)
    with pytest.raises(DatabaseUnavailable, match=r"text\.db cannot be used: file is not a database"):
        migrate_sqlite(tmp_path / "text.db")
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        migrate_sqlite(tmp_path / "nowhere" / "moorage.db")


def test_a_start_imports_no_migration_tool(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from moorage.metadata.schema.schema_version import check, migrate_sqlite\n"
        "migrate_sqlite(Path(sys.argv[1])); migrate_sqlite(Path(sys.argv[1]))\n"
        "print(sorted({'alembic', 'sqlalchemy', 'asyncpg'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "moorage.db")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
