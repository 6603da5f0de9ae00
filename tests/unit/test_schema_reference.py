"""The page of the schema is made from the migrations' text; here it is compared with databases that have them."""

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from moorage.metadata.schema.schema_version import migrate_sqlite
from support.postgres import Postgres, migrated

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "schema.md"

_SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^\| `(\w+)` \| `([^`]+)` \| `([^`]+)` \|", re.MULTILINE)
_NAMED = re.compile(r"^- (SQLite: |PostgreSQL: )?(?:Index|Trigger) `(\w+)`", re.MULTILINE)


def sections() -> Mapping[str, str]:
    return dict(_SECTION.findall(PAGE.read_text()))


def columns(place: int) -> set[tuple[str, str, str]]:
    """Table, name and type of each column in one of the two databases, as the page has them."""
    return {(table, row[0], row[place].lower()) for table, text in sections().items() for row in _COLUMN.findall(text)}


def named(dialect: str) -> set[tuple[str, str]]:
    """Table and name of each index and trigger of a database, as the page has them."""
    return {
        (table, name)
        for table, text in sections().items()
        for only, name in _NAMED.findall(text)
        if only in ("", dialect)
    }


@pytest.fixture(scope="module")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "moorage.db"
    migrate_sqlite(path)
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as postgres:
        yield postgres


def test_the_page_has_what_sqlite_has(sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        found = connection.execute(
            "SELECT m.name, c.name, lower(c.type) FROM sqlite_master m JOIN pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
        ).fetchall()
        others = connection.execute(
            "SELECT tbl_name, name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        ).fetchall()
    assert found
    assert columns(1) == set(found)
    assert named("SQLite: ") == set(others)


def test_the_page_has_what_postgresql_has(server: Postgres) -> None:
    dbname = migrated(server)
    lines = server.psql(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 "
        "AND NOT a.attisdropped",
        dbname,
    ).splitlines()
    found = {(table, name, short(kind)) for table, name, kind in (line.split("|") for line in lines)}
    assert found
    assert {(table, name, kind.removesuffix(' collate "c"')) for table, name, kind in columns(2)} == found
    lines = server.psql(
        "SELECT t.relname, i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_class t ON t.oid = x.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace "
        "WHERE n.nspname = 'public' AND NOT t.relispartition "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid) "
        "UNION ALL SELECT c.relname, g.tgname FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid "
        "WHERE NOT g.tgisinternal AND NOT c.relispartition",
        dbname,
    ).splitlines()
    assert named("PostgreSQL: ") == {tuple(line.split("|")) for line in lines}


def test_the_page_has_every_function_of_postgresql(server: Postgres) -> None:
    names = server.psql(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'",
        migrated(server),
    ).splitlines()
    _, _, text = PAGE.read_text().partition("## Functions of PostgreSQL")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(names)


def short(kind: str) -> str:
    return {"timestamp with time zone": "timestamptz", "character varying(32)": "varchar(32)"}.get(kind, kind)
