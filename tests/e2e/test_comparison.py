"""Registries compete for a moment, and what they did is on the page and in its pictures."""

import dataclasses
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from support.components import need

BENCH = Path(__file__).parents[2] / "bench"
OURS, THEIRS, FLOOR = "Moorage, SQLite", "Distribution 2", "nginx"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCH))
    names = ("compare", "compare_works", "comparison", "contestants", "content", "machine", "peers", "stage")
    return {name: importlib.import_module(name) for name in names}


def row(bench: dict[str, ModuleType], key: str, values: dict[str, float], *, is_higher_better: bool = False) -> object:
    rounds = {title: [value, value * 2, value] for title, value in values.items()}
    return bench["comparison"].Row(key, f"work {key}", "CPU µs", rounds, is_higher_better)


def comparison(bench: dict[str, ModuleType], rows: list[object]) -> object:
    kinds = {OURS: "ours", THEIRS: "other", FLOOR: "floor"}
    entrant = bench["comparison"].Entrant
    return bench["comparison"].Comparison(
        date="2026-11-30",
        command="bench/compare.py",
        machine=bench["machine"].describe(Path("/")),
        database_version="15",
        workers=2,
        rounds=3,
        load_average=0.5,
        entrants=[entrant(title=title, version="1", kind=kind) for title, kind in kinds.items()],
        rows=rows,
    )


def test_registries_that_are_here_do_the_same_work_in_turn(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("docker-registry", "nginx")
    monkeypatch.setattr(bench["compare_works"], "PULLED_BLOBS", 8)  # Less to push before.
    contestant, peers = bench["contestants"].Contestant, bench["peers"]
    entrants = [
        contestant(OURS, peers.QuietOnSqlite(1), is_ours=True),
        contestant(THEIRS, peers.Distribution("docker-registry", "docker-registry")),
        contestant(FLOOR, peers.NginxFiles("nginx", "nginx"), is_floor=True),
    ]
    short = dataclasses.replace(bench["compare"].QUICK, load_s=0.1, large_bytes=1 << 20, large_pulls=1)
    first = entrants[0].subject
    stage = bench["stage"].Stage(
        reference=first, candidate=first, scratch=tmp_path, plan=short, pool=bench["content"].Pool(), say=print
    )
    rows = {
        row.key: row
        for work in (bench["compare_works"].pulls, bench["compare_works"].tags)
        for row in work(stage, entrants)
    }
    assert {key: set(row.rounds) for key, row in rows.items()} == {
        "pull-1-mib": {OURS, THEIRS, FLOOR},
        "pull-large": {OURS, THEIRS, FLOOR},
        "tags": {OURS, THEIRS},
    }
    assert all(len(values) == 1 for row in rows.values() for values in row.rounds.values())


def test_the_best_registry_of_a_row_is_bold_and_the_floor_is_no_registry(bench: dict[str, ModuleType]) -> None:
    rows = [
        row(bench, "a", {OURS: 50, THEIRS: 60, FLOOR: 10}),
        row(bench, "b", {OURS: 50, THEIRS: 60}, is_higher_better=True),
    ]
    table = bench["comparison"].table(comparison(bench, rows)).splitlines()
    assert table[2:] == ["| work a | CPU µs | **50** | 60 | 10 |", "| work b | CPU µs | 50 | **60** |  |"]


def test_each_row_has_a_picture_that_says_the_same_in_words(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    found = comparison(bench, [row(bench, "a", {OURS: 50, THEIRS: 1234.5, FLOOR: 10})])
    bench["comparison"].write_pictures(found, tmp_path)
    page = bench["comparison"].page(found, "pictures", connections=1, pull_connections=1, push_connections=1)
    ((words, link),) = re.findall(r"!\[(.*?)\]\((.*?)\)", page)
    assert link == "pictures/a.svg"
    assert words == f"work a, CPU µs: {OURS} 50, {THEIRS} 1,234, {FLOOR} 10."
    text = (tmp_path / "a.svg").read_text()
    picture = ET.fromstring(text)  # noqa: S314 - our own
    names = {"svg": "http://www.w3.org/2000/svg"}
    assert picture.findtext("svg:desc", None, names) == f"{OURS} 50, {THEIRS} 1,234, {FLOOR} 10."
    widths = [float(bar.get("width") or 0) for bar in picture.findall("svg:rect", names)]
    assert widths[0] / widths[1] == pytest.approx(50 / 1234.5, abs=0.01)
    assert "prefers-color-scheme: dark" in text


def test_works_that_are_measured_again_take_the_place_of_their_rows(bench: dict[str, ModuleType]) -> None:
    earlier = comparison(bench, [row(bench, "a", {OURS: 50}), row(bench, "b", {OURS: 1})])
    later = comparison(bench, [row(bench, "b", {OURS: 2}), row(bench, "c", {OURS: 3})])
    whole = earlier.with_later(later)  # type: ignore[attr-defined] # a module of the benchmarks
    assert [(row.key, row.medians()[OURS]) for row in whole.rows] == [("a", 50), ("b", 2), ("c", 3)]
    module = bench["comparison"]
    assert module.from_json(module.to_json(whole)) == whole


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, str(BENCH / "compare.py"), "--registry", f"zot={tmp_path}/zot"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 2
    assert f"there is no program '{tmp_path}/zot'" in said.stderr
