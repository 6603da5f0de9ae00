"""The list of requirements: each number is there once, and each test that it names is one of ours."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
COUNT = 117
STATES = {"works", "partly", "not yet"}

_ROW = re.compile(r"^\| S-(\d{3}) \| (.*?) \| (.*?) \| ?(.*?) ?\|$", re.MULTILINE)


def rows() -> list[tuple[int, str, str, str]]:
    return [
        (int(number), state, text, test.strip("` ")) for number, state, text, test in _ROW.findall(PAGE.read_text())
    ]


@cache
def names_of_tests() -> frozenset[str]:
    return frozenset(
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_every_requirement_is_there_once_and_in_order() -> None:
    assert [number for number, *_ in rows()] == list(range(1, COUNT + 1))


def test_every_test_that_is_named_is_there() -> None:
    assert {test for *_, test in rows() if test} - names_of_tests() == set()


def test_a_requirement_that_works_names_its_test_and_another_says_what_is_missing() -> None:
    for number, state, text, test in rows():
        assert state in STATES, number
        assert bool(test) == (state != "not yet"), number
        assert state != "partly" or "missing: " in text, number
        assert state != "not yet" or text, number
