"""Operations on link files are measured for a moment; the page of scale and its pictures say what was measured."""

import importlib
import random
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).parents[2] / "bench"
SIZES = (1000, 100_000)
GET = "GET of a manifest by tag"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCH))
    names = ("machine", "peers", "scale_layout", "scale_pictures", "scale_works", "scaling", "subjects")
    return {name: importlib.import_module(name) for name in names}


def scale(bench: dict[str, ModuleType]) -> object:
    measured, sized = bench["scale_works"].Measured, bench["scaling"].Sized
    costs = {"SQLite": (50, 60), "PostgreSQL": (100, 400), "link files": (40, 41)}
    return bench["scaling"].Scale(
        date="2026-11-30",
        machine=bench["machine"].describe(Path("/")),
        database_version="15",
        seconds=2,
        sized=[
            sized(store=store, size=size, operations={GET: measured(cost, 0.1, 10)}, load_average=0.5)
            for store, both in costs.items()
            for size, cost in zip(SIZES, both, strict=True)
        ],
    )


def test_every_operation_on_link_files_works_on_a_folder_that_was_filled_in_bulk(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, works = bench["scale_layout"], bench["scale_works"]
    monkeypatch.setattr(layout, "DELETED", 20)
    monkeypatch.setattr(works, "SETTLE_S", 0)
    with bench["subjects"].running(bench["peers"].QuietOnLayout(1), tmp_path) as daemon:
        layout.fill(daemon, 150)
        grown = works.Grown(daemon, 150, 0.01, random.Random(1))
        counts = {name: works.measure(grown, operation).count for name, operation in layout.OPERATIONS.items()}
    assert all(counts.values())
    assert GET in counts


def test_growth_is_on_the_page_in_words_and_each_picture_has_a_bar_for_every_store_and_size(
    bench: dict[str, ModuleType], tmp_path: Path
) -> None:
    found = scale(bench)
    bench["scale_pictures"].write(found, tmp_path)
    page = bench["scaling"].page(found, "notes", bench["scale_pictures"].shown(found, "pictures"))
    assert f"| {GET} | 50 (0.1) | 60 (0.1) | flat |" in page
    assert f"| {GET} | 100 (0.1) | 400 (0.1) | 4 times |" in page
    ((words, link),) = re.findall(r"!\[(.*?)\]\((.*?)\)", page)
    assert link == "pictures/get.svg"
    said = "SQLite at 1,000 50, SQLite at 100,000 60, PostgreSQL at 1,000 100, PostgreSQL at 100,000 400, "
    assert words == f"{GET}, CPU µs: {said}link files at 1,000 40, link files at 100,000 41."
    assert [path.name for path in tmp_path.iterdir()] == ["get.svg"]
    picture = ET.fromstring((tmp_path / "get.svg").read_text())  # noqa: S314 - our own
    bars = picture.findall("svg:rect", {"svg": "http://www.w3.org/2000/svg"})
    assert [bar.get("class") for bar in bars] == ["ours", "ours", "other", "other", "floor", "floor"]
