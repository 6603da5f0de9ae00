"""Named queries: how files of them are read, and what each dialect gets."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from moorage.sql.base import NamedQuery
from moorage.sql.queries import load_queries

Load = Callable[..., Mapping[str, NamedQuery]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Queries from files of these texts, by the end of their names."""

    def load_texts(**texts: str) -> Mapping[str, NamedQuery]:
        package = f"queries_{tmp_path.name.replace('-', '_')}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        for ending, text in texts.items():
            name = {"common": "queries.sql", "fragments": "fragments.sql"}.get(ending, f"queries.{ending}.sql")
            (folder / name).write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        try:
            return load_queries(package)
        finally:
            sys.modules.pop(package, None)

    return load_texts


def test_a_text_goes_from_its_name_to_the_next(load: Load) -> None:
    found = load(common="-- one --\nSELECT 1\n   FROM a;\n\n-- two --\nSELECT 2")
    assert {name: query.postgres for name, query in found.items()} == {
        "one": "SELECT 1\n   FROM a",
        "two": "SELECT 2",
    }
    assert [query.name for query in found.values()] == ["one", "two"]


def test_what_stands_before_the_first_name_and_comments_are_left_out(load: Load) -> None:
    found = load(common="-- A file of queries.\n\n-- one --\n-- Why: because.\nSELECT 1,\n    -- and two\n    2;\n")
    assert found["one"].postgres.split() == ["SELECT", "1,", "2"]


def test_parameters_become_those_of_sqlite(load: Load) -> None:
    query = load(common="-- one --\nSELECT $1, $10, $2, $10;")["one"]
    assert query.sqlite == "SELECT ?1, ?10, ?2, ?10"
    assert query.postgres == "SELECT $1, $10, $2, $10"


def test_casts_are_for_postgresql_only(load: Load) -> None:
    query = load(common="-- one --\nSELECT $1::text, $2::bigint[], a::int8;")["one"]
    assert query.sqlite == "SELECT ?1, ?2, a"
    assert query.postgres == "SELECT $1::text, $2::bigint[], a::int8"


def test_a_dialect_may_have_words_of_its_own(load: Load) -> None:
    found = load(
        common="-- one --\nSELECT 1;\n-- two --\nSELECT 2;",
        sqlite="-- one --\nSELECT 'sqlite';\n-- three --\nSELECT 3;",
        postgres="-- two --\nSELECT 'postgres';",
    )
    assert found == {
        "one": NamedQuery("one", "SELECT 'sqlite'", "SELECT 1"),
        "two": NamedQuery("two", "SELECT 2", "SELECT 'postgres'"),
        "three": NamedQuery("three", "SELECT 3", ""),
    }


def test_what_several_queries_say_is_said_once(load: Load) -> None:
    found = load(
        fragments="-- is_new --\n(a.age < $1::bigint);",
        common="-- one --\nSELECT 1 FROM a WHERE {is_new};\n-- two --\nSELECT '{}';",
        sqlite="-- two --\nSELECT {is_new} FROM a;",
    )
    assert found == {
        "one": NamedQuery("one", "SELECT 1 FROM a WHERE (a.age < ?1)", "SELECT 1 FROM a WHERE (a.age < $1::bigint)"),
        "two": NamedQuery("two", "SELECT (a.age < ?1) FROM a", "SELECT '{}'"),
    }


def test_a_fragment_that_is_not_known_is_a_mistake_that_shows(load: Load) -> None:
    with pytest.raises(KeyError, match="is_old"):
        load(fragments="-- is_new --\ntrue;", common="-- one --\nSELECT {is_old};")


def test_files_that_are_not_there_hold_nothing(load: Load) -> None:
    assert load() == {}


def test_a_name_that_is_not_known_is_a_mistake_that_shows(load: Load) -> None:
    with pytest.raises(KeyError):
        load(common="-- one --\nSELECT 1;")["two"]


def test_names_are_not_taken_from_the_middle_of_a_line(load: Load) -> None:
    found = load(common="-- one --\nSELECT 1; -- two --\n-- three words here --\n")
    assert list(found) == ["one"]
