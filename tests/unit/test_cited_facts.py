"""Facts of GitLab's registry that are cited by number: a reader can open each, and none stands there for nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "compatibility.md"

_ROW = re.compile(r"^\| ([A-Z][A-Z0-9]{2})-(\d{3}) \|", re.MULTILINE)
_CITED = re.compile(r"\b([A-Z][A-Z0-9]{2})-(\d{3})\b(?: to ([A-Z][A-Z0-9]{2})-(\d{3})\b)?")
_ABBREVIATIONS = {"SHA", "AES"}
"""Algorithms, which are written the same way."""


def listed() -> set[tuple[str, int]]:
    return {(kind, int(number)) for kind, number in _ROW.findall(PAGE.read_text())}


def cited() -> Iterator[tuple[str, int, bool]]:
    """Each number that is cited, and whether it is an end of what was written."""
    files = [path for folder in ("src", "tests", "bench", "docs") for path in (ROOT / folder).rglob("*.*")]
    for path in files:
        if path.suffix not in {".py", ".sql", ".md"} or path in {PAGE, Path(__file__)}:
            continue
        for kind, first, last_kind, last in _CITED.findall(path.read_text()):
            if kind in _ABBREVIATIONS:
                continue
            end = int(last) if last_kind == kind else int(first)
            yield from ((kind, number, number in {int(first), end}) for number in range(int(first), end + 1))


def test_a_fact_that_is_cited_can_be_looked_up() -> None:
    missing = {(kind, number) for kind, number, is_end in cited() if is_end} - listed()
    assert not missing, "docs/reference/compatibility.md has a row for each"


def test_a_fact_that_nobody_cites_is_not_listed() -> None:
    assert not listed() - {(kind, number) for kind, number, _ in cited()}
