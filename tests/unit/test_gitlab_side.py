"""The list of what GitLab's side does: each fact is there once, and each test that it names is one of ours."""

import re
from pathlib import Path

from unit.test_requirements import names_of_tests

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gitlab-side.md"
FAMILIES = {
    "TKN": 23,
    "TKC": 14,
    "GYM": 9,
    "OMN": 26,
    "APP": 9,
    "PRJ": 12,
    "REP": 11,
    "RCL": 9,
    "CPD": 13,
    "CPS": 12,
    "CPA": 15,
    "TDL": 6,
    "RDL": 10,
    "RPR": 9,
    "TPR": 13,
    "RST": 12,
    "GQL": 8,
    "UIP": 17,
    "NAM": 4,
    "MOV": 5,
    "DSK": 5,
    "CMD": 11,
    "EVT": 4,
    "MDA": 11,
    "CIC": 6,
}
"""How many facts there are of each kind."""
STATES = {"works", "partly", "otherwise", "left out"}

_ROW = re.compile(r"^\| ([A-Z]{3}-\d{3}) \| (.*?) \| (.*?) \| ?(.*?) ?\|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str, str]]:
    return [(number, state, text, test.strip("` ")) for number, state, text, test in _ROW.findall(PAGE.read_text())]


def test_every_fact_is_there_once_and_in_order() -> None:
    wanted = [f"{family}-{number:03}" for family, count in FAMILIES.items() for number in range(1, count + 1)]
    assert [number for number, *_ in rows()] == wanted


def test_every_test_that_a_fact_names_is_there() -> None:
    assert {test for *_, test in rows() if test} - names_of_tests() == set()


def test_what_is_left_out_says_why_and_all_else_names_its_test() -> None:
    for number, state, text, test in rows():
        assert state in STATES, number
        assert text, number
        assert bool(test) == (state != "left out"), number
        assert (state == "partly") == ("missing: " in text), number
