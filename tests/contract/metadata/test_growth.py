"""A repository with most of what there is costs no more than a small one where a few things of it are asked for."""

import asyncio
import importlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import asyncpg
import pytest

from contract.metadata.stores import sqlite_opener
from moorage.metadata import sql
from moorage.sql.base import NamedQuery
from moorage.sql.queries import load_queries
from moorage.sql.sqlite.sqlite_parameters import bound
from support.postgres import Postgres, migrated

BENCH = Path(__file__).parents[3] / "bench"
LISTS = re.compile(r"= ANY\(\?(\d+)\)|json_each\(\?\d+\)")
WHOLE = re.compile(r"SEARCH \w+ USING .*\(repository_id=\?\)|SCAN \w+ USING ")
"""A step that reads all of a repository, or of a table."""
QUERIES: Mapping[str, NamedQuery] = {
    **load_queries("moorage.metadata.sql", "details"),
    **load_queries("moorage.metadata.sql", "sizes"),
    **load_queries("moorage.metadata.sql", "history"),
    **load_queries("moorage.metadata.sql", "imports"),
    **load_queries("moorage.metadata.sql", "tag_lists"),
    **load_queries("moorage.metadata.sql", "outbox"),
    **load_queries("moorage.metadata.sql"),
}
STATEMENTS: Mapping[str, NamedQuery] = {
    f"{path.name.partition('.')[0]}.{name}": query
    for path in Path(sql.__file__).parent.glob("*.sql")
    for name, query in load_queries("moorage.metadata.sql", path.name.partition(".")[0]).items()
}
PATH, ID, ROWS, SMALL, PAGE = "group/big", 1_000_000, 5000, 2000, 20
MANY = "many/app0500"
NONE = "none/at/all"
LIMIT = 20 * PAGE
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
DIGESTS = "SELECT digest FROM manifests WHERE repository_id = 1000000 ORDER BY id LIMIT 5"
BLOBS = "SELECT blob_id FROM repository_blobs WHERE repository_id = 1000000 ORDER BY blob_id LIMIT 5"
NAMES = "SELECT name FROM tags WHERE repository_id = 1000000 ORDER BY id LIMIT 5"
CHECK = "EXPLAIN (FORMAT JSON) SELECT 1 FROM ONLY {table} WHERE id = 1 FOR KEY SHARE"
FRESH = """
    INSERT INTO repositories (id, top_level_namespace_id, path, created_at) VALUES (1, 1, 'group/big', now());
    INSERT INTO blobs (id, digest, size, created_at)
        SELECT n, '\\x01'::bytea || sha256(int4send(n)), 5, now() FROM generate_series(1, 5000) n;
    INSERT INTO repository_blobs (repository_id, blob_id, created_at) SELECT 1, id, now() FROM blobs;
"""
NOTICES = """
    INSERT INTO notification_queue (endpoint, lane, event_id, action, artifact, at, payload)
    VALUES ('away', $2, $3, 'push', 'manifest', $1, '{}')
"""
HELD = "group/held"
REFERRERS = """
    UPDATE manifests SET subject_digest =
        (SELECT digest FROM manifests WHERE repository_id = 1000000 ORDER BY digest LIMIT 1)
    WHERE repository_id = 1000000
"""
SUBJECT = "SELECT digest FROM manifests WHERE repository_id = 1000000 ORDER BY digest LIMIT 1"
JOURNAL = (
    "INSERT INTO journal (at, request_id, actor, reason, action, repository_id, repository, tag)"
    " VALUES ($1, 'r', '', '', 'tag_delete', 1000000, 'group/big', $2)"
)


def fill(seeding: ModuleType, sink: object, rows: int) -> None:
    """Write a large repository and many small ones."""
    small = [seeding.Images(path=f"many/app{number:04}", tags=1, own_layers=0) for number in range(SMALL)]
    seeding.seed(sink, [seeding.Images(path=PATH, tags=rows), *small])


def asked(
    digests: Sequence[bytes], names: Sequence[str], blobs: Sequence[int], subject: bytes
) -> dict[str, tuple[Any, ...]]:
    """Queries and their arguments: a few digests or names of the large repository, or a page of a list."""
    return {
        "known_blobs": (PATH, digests),
        "known_manifests": (PATH, digests),
        "has_blob": (PATH, digests[0]),
        "manifest_by_tag": (PATH, names[0]),
        "manifest_fates": (ID, digests),
        "blob_fates": (ID, digests),
        "lock_manifests": (ID, digests),
        "manifests_of_blobs": (ID, blobs),
        "lock_tags": (ID, names),
        "tags_now": (ID, names),
        "tags": (PATH, names[0], PAGE),
        "last_change": (PATH,),
        "repositories_under": ("many", MANY, MANY, PAGE),
        "more_by_name_up": (MANY, "zzz", ""),
        "more_by_name_down": (MANY, "", ""),
        "has_content": (NONE,),
        "entries_of_tag": (ID, 1 << 62, FIRST, LAST, PAGE, "7"),
        "referring": (PATH, subject, b"", None, PAGE, 1 << 20),
        "waiting": ("away", PAGE, [HELD], 5 * PAGE),
        "waiting_elsewhere": ("away", PAGE, [HELD]),
        "waiting_pulls": ("away", PAGE),
        "first_error": ("away", 5 * PAGE),
        "listed_failed": ("away", 0, PAGE),
    }


def notices(rows: int, moment: datetime | int) -> list[tuple[datetime | int, str, str]]:
    """Events of a repository that are held, with a few of others after them."""
    return [(moment, HELD if number < rows - PAGE else f"other/app{number}", str(number)) for number in range(rows)]


def rows_read(plan: Mapping[str, Any]) -> int:
    """The rows that a step of a plan and those below it have looked at, and thrown away."""
    removed = sum(plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter", "Index Recheck"))
    own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return int(own) + sum(rows_read(below) for below in plan.get("Plans", ()))


@pytest.fixture
def seeding(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module with which the benchmarks fill databases."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("seeding")


async def test_postgres_finds_a_few_things_without_reading_their_whole_repository(
    postgres: Postgres, seeding: ModuleType
) -> None:
    url = postgres.dsn(migrated(postgres))
    await asyncio.to_thread(fill, seeding, seeding.PostgresSink(url), ROWS)
    connection = await asyncpg.connect(url)
    try:
        await connection.executemany(JOURNAL, [(datetime.now(UTC), str(number)) for number in range(ROWS)])
        await connection.executemany(NOTICES, notices(ROWS, datetime.now(UTC)))
        await connection.execute(REFERRERS)
        await connection.execute("ANALYZE")
        subject = await connection.fetchval(SUBJECT)
        digests = [row[0] for row in await connection.fetch(DIGESTS)]
        names = [row[0] for row in await connection.fetch(NAMES)]
        blobs = [row[0] for row in await connection.fetch(BLOBS)]
        read = {}
        questions = asked(digests, names, blobs, subject)
        questions["referrers"] = questions.pop("referring")  # It asks for all in one.
        for name, arguments in questions.items():
            text = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {QUERIES[name].postgres}"
            (found,) = json.loads(await connection.fetchval(text, *arguments))
            read[name] = rows_read(found["Plan"])
    finally:
        await connection.close()
    assert {name: rows for name, rows in read.items() if rows > LIMIT} == {}


async def test_postgres_plans_for_a_new_database_as_it_will_be_when_it_is_filled(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.dsn(migrated(postgres)))
    try:
        plans = {
            # As foreign keys are checked, with a plan that the first session keeps while it pushes or imports.
            table: await connection.fetchval(CHECK.format(table=table))
            for table in ("repositories", "blobs", "manifests", "tags")
        }
        for name, arguments in {"ids_of_manifests": (ID, [b"a"]), "known_blobs": (PATH, [b"a"])}.items():
            plans[name] = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {QUERIES[name].postgres}", *arguments)
    finally:
        await connection.close()
    assert {name: plan for name, plan in plans.items() if "Seq Scan" in plan} == {}


async def test_postgres_finds_a_few_blobs_in_a_database_that_was_just_filled_without_reading_a_repository(
    postgres: Postgres,
) -> None:
    url = postgres.dsn(migrated(postgres))
    connection = await asyncpg.connect(url, server_settings={"session_replication_role": "replica"})
    try:
        # Nobody has analyzed it: as it is in the first minutes of an import.
        await connection.execute("ALTER TABLE blobs SET (autovacuum_enabled = off)")
        await connection.execute("ALTER TABLE repository_blobs SET (autovacuum_enabled = off)")
        await connection.execute(FRESH)
        digests = [row[0] for row in await connection.fetch("SELECT digest FROM blobs WHERE id <= 50")]
        text = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {QUERIES['known_blobs'].postgres}"
        (found,) = json.loads(await connection.fetchval(text, PATH, digests))
    finally:
        await connection.close()
    assert rows_read(found["Plan"]) <= 7 * len(digests)  # Each is counted in seven steps.


class Steps:
    """Counts the steps of SQLite's machine."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return 0  # Go on.


def steps_on_sqlite(seeding: ModuleType, folder: Path, rows: int) -> dict[str, int]:
    """The steps of SQLite's machine for each query."""
    sqlite_opener(folder)  # Makes the file.
    path = folder / "moorage.db"
    fill(seeding, seeding.SqliteSink(path), rows)
    taken = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executemany(re.sub(r"\$\d", "?", JOURNAL), [(number, str(number)) for number in range(rows)])
        connection.executemany(re.sub(r"\$(\d)", r"?\1", NOTICES), notices(rows, 1))
        connection.execute(REFERRERS)
        (subject,) = connection.execute(SUBJECT).fetchone()
        digests = [row[0] for row in connection.execute(DIGESTS)]
        names = [row[0] for row in connection.execute(NAMES)]
        blobs = [row[0] for row in connection.execute(BLOBS)]
        for name, arguments in asked(digests, names, blobs, subject).items():
            steps = Steps()
            connection.set_progress_handler(steps, 1)
            connection.execute(*bound(QUERIES[name].sqlite, arguments)).fetchall()
            connection.set_progress_handler(None, 1)
            taken[name] = steps.count
    return taken


def test_sqlite_takes_as_many_steps_for_a_few_things_of_a_repository_however_large_it_is(
    seeding: ModuleType, tmp_path: Path
) -> None:
    taken = []
    for rows in (200, ROWS):
        folder = tmp_path / str(rows)
        folder.mkdir()
        taken.append(steps_on_sqlite(seeding, folder, rows))
    small, large = taken
    assert {name: (small[name], large[name]) for name in small if large[name] > 1.2 * small[name] + 20} == {}


def plan_on_sqlite(connection: sqlite3.Connection, text: str, *, items: int) -> list[str]:
    """The steps of a statement whose lists have that many items."""
    count = max(map(int, re.findall(r"\?(\d+)", text)), default=0)
    lists = {int(number) for number in LISTS.findall(text) if number}
    values = [number.to_bytes(2) for number in range(items)]
    arguments = tuple(values if number in lists else None for number in range(1, count + 1))
    statement, bound_arguments = bound(text, arguments)
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", bound_arguments)]


@pytest.mark.parametrize("items", [1, 8, 100, 2000])
def test_sqlite_walks_no_repository_to_find_what_a_list_names_however_long_that_is(tmp_path: Path, items: int) -> None:
    sqlite_opener(tmp_path)  # Makes the file.
    walked = {}
    with closing(sqlite3.connect(tmp_path / "moorage.db")) as connection:
        connection.create_function("from_hex", 1, bytes.fromhex)
        connection.create_function("now_us", 0, int)
        for name, query in STATEMENTS.items():
            if LISTS.search(query.sqlite):
                plan = plan_on_sqlite(connection, query.sqlite, items=items)
                walked[name] = [step for step in plan if WHOLE.match(step)]
    assert len(walked) > 50
    assert {name: steps for name, steps in walked.items() if steps} == {}
