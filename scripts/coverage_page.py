"""Write ``docs/coverage.md`` from what the tests have just reached: lines and branches of each room."""

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from coverage import Coverage
from reference_text import table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "coverage.md"
SOURCE = "moorage"

_COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def main() -> None:
    """Read the measurement that ``coverage`` has kept, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rooms", nargs="*", default=[], help="only these, where the tests of others were not run")
    parser.add_argument("tests", nargs="+", help="the tests that were run, as the page names them")
    given = parser.parse_args()
    rooms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for path, found in _files().items():
        below = Path(path).parts[Path(path).parts.index(SOURCE) + 1 :]
        counts = {name: found["summary"][name] for name in _COUNTS}
        if not given.rooms or below[0] in given.rooms:
            rooms[f"`{below[0]}`" if len(below) > 1 else "files beside the rooms"].update(counts)
    rows = [_row(room, counts) for room, counts in sorted(rooms.items())]
    whole = _row("**all**", sum(rooms.values(), Counter()))
    lines = [
        "<!-- Written by `make coverage`; changes here are lost. -->",
        "",
        "# Coverage",
        "",
        "How much of each room's code the tests reach: lines, and ways out of lines that have several.",
        f"Measured on {datetime.now(UTC):%d %B %Y} as `make coverage` does, over {_listed(given.tests)}.",
        *(["Rooms whose tests were not run are left out."] if given.rooms else []),
        "What only tests of whole processes (`tests/e2e`) reach counts as missed here.",
        "[Decision 144](adr/0144-lines-that-no-test-reaches.md) says what was done about the lines that are missed.",
        "",
        *table(("room", "lines", "reached", "ways", "reached"), [*rows, whole]),
    ]
    PAGE.write_text("\n".join(lines) + "\n")


def _listed(tests: Sequence[str]) -> str:
    return ", ".join(f"`{each}`" for each in tests)


def _files() -> dict[str, dict[str, dict[str, int]]]:
    measured = Coverage()
    measured.load()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        measured.json_report(outfile=file.name)
        found: dict[str, dict[str, dict[str, int]]] = json.loads(Path(file.name).read_text())["files"]
    return found


def _row(room: str, counts: Counter[str]) -> tuple[str, str, str, str, str]:
    lines, reached, ways, taken = (counts[name] for name in _COUNTS)
    return room, f"{lines:,}", _percent(reached, lines), f"{ways:,}", _percent(taken, ways)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
