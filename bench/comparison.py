"""What a comparison comes to: its rows as values and JSON, the page and its pictures."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

import bars
from bars import Bar
from figures import Machine

_INTRODUCTION = """\
# Comparison with other registries

This page and its pictures are written by `bench/compare.py`; do not edit them.
Each row is one work, done by every registry in turn on the same machine in the same run; who is first changes with
every round.
A number is {rounds}, after one for warming up; the single rounds are in `bench/results/comparison.json`.
**Bold** is the best registry of a row; nginx, which serves the same bytes as plain files and takes no pushes, shows
what the kernel and the wire cost.
The processes of PostgreSQL count. GitLab's registry has its default pool there, which keeps no connection: each request
makes one of its own.
"""

_BUSY = """
**Others were at work on the machine meanwhile.**
On a quiet one the figures are lower, and close ones may change their order.
Most of all this counts for whoever connects to a database anew for most requests, as GitLab's registry does by itself.
"""

_AGAIN = """\
## Measure it yourself

```sh
make compare
.venv/bin/python bench/compare.py --quick                            # under four minutes
.venv/bin/python bench/compare.py --registry zot=/opt/zot/bin/zot    # a program that is not on PATH
.venv/bin/python bench/compare.py --without nginx --only pushes --keep
```

It takes the registries that it finds on `PATH` and those that are named, and says how the others are had.
It needs Linux, `wrk` and PostgreSQL, and writes this page, so that `git diff docs` shows where your machine differs.
A run with `--quick` or `--only` writes nothing here, unless `--keep` puts its rows in the place of those before.
"""

_METHOD = """\
## How it is measured

- *CPU* is user and system time of the whole server, with all its processes and, where it has one, its database
  server.
  The client shares the machine's cores but does not count.
- Every registry has its metadata and its blobs on the same disk, deletion allowed, and no access log; everything
  else is as it is by itself.
  Distribution and GitLab's registry keep descriptions of blobs in memory, as Debian's package configures them.
  GitLab's registry has the pool of connections that it takes by itself.
  Moorage has as many workers as there are cores.
- Not all promise the same: Moorage, Distribution and GitLab's registry call `fsync` before a push is answered.
  zot syncs nothing unless it is told to, which its small pushes profit from.
- Manifests and the blob of 1.5 kB are pulled by `wrk` over {connections} connections, blobs of 1 MiB over
  {pull_connections}, the large blob over one.
  Everything that is pulled was pulled once before, and its digest was checked.
- Small blobs are pushed over {push_connections} connections, each blob by POST, PATCH and PUT; no blob is pushed
  twice.
- Pages of tags are asked for at random places over four connections.
  Version 2.8 of Distribution knows no pages of tags and answers with all of them.
- *Memory* is proportional (`Pss`): what processes share counts once. It is read a second after the first answer,
  without the database server's.
- *Start* goes from the start of the process with an empty folder to the first answer on `/v2/`. A database has its
  schema by then.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One measure of every server: its rounds by the server's title."""

    key: str
    title: str
    unit: str
    rounds: Mapping[str, Sequence[float]]
    is_higher_better: bool = False

    def medians(self) -> dict[str, float]:
        """The median of each server."""
        return {title: statistics.median(values) for title, values in self.rounds.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A server that took part."""

    title: str
    version: str
    kind: str
    """``ours``, ``other`` or ``floor``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A whole run."""

    date: str
    command: str
    machine: Machine
    database_version: str
    workers: int
    rounds: int
    load_average: float
    """The highest load of the machine when a group of rows began."""
    entrants: Sequence[Entrant]
    rows: Sequence[Row] = field(default_factory=list)

    def with_later(self, run: "Comparison") -> "Comparison":
        """With the rows of *run* in the place of those of the same works, and whoever is new in it."""
        later = {row.key: row for row in run.rows}
        kept = [later.pop(row.key, row) for row in self.rows]
        taking_part = {each.title: each for each in (*self.entrants, *run.entrants)}
        load = max(self.load_average, run.load_average)
        entrants = list(taking_part.values())
        return replace(run, rows=[*kept, *later.values()], entrants=entrants, load_average=load)


def to_json(comparison: Comparison) -> bytes:
    """Write *comparison* as JSON."""
    return _COMPARISON.dump_json(comparison, indent=2) + b"\n"


def from_json(text: bytes) -> Comparison:
    """Read what :func:`to_json` wrote."""
    return _COMPARISON.validate_json(text)


_COMPARISON = TypeAdapter(Comparison)


def table(comparison: Comparison) -> str:
    """The medians, a column for each server."""
    head = ["work", "unit", *(each.title for each in comparison.entrants)]
    body = [_cells(comparison, row) for row in comparison.rows]
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def page(
    comparison: Comparison, pictures: str, *, connections: int, pull_connections: int, push_connections: int
) -> str:
    """The documentation page. *pictures* is the folder of the pictures, as the page links to it."""
    shown = []
    for row in comparison.rows:
        words = f"{_heading(row)}: {bars.in_words(_bars(comparison, row))}"
        shown.append(f"![{words}]({pictures}/{row.key}.svg)\n")
    versions = "".join(f"| {each.title} | {each.version} |\n" for each in comparison.entrants)
    machine = comparison.machine
    described = (
        f"Measured on {comparison.date} by `{comparison.command}`, "
        f"with a load of at most {comparison.load_average:.1f} when a group of rows began: "
        f"{machine.cpu_model}, {machine.cores} cores, "
        f"{machine.memory_gib:.0f} GiB, kernel {machine.kernel}, {machine.file_system}, Python {machine.python}, "
        f"{comparison.workers} workers of Moorage, PostgreSQL {comparison.database_version} on the same machine.\n"
    )
    if comparison.load_average > machine.cores:
        described += _BUSY
    parts = [
        _INTRODUCTION.format(rounds=_rounds(comparison)),
        table(comparison),
        "## Pictures\n",
        "Shorter is better, but where a title says otherwise.\n",
        *shown,
        "## What ran\n",
        f"| registry | version |\n|---|---|\n{versions}",
        described,
        _AGAIN,
        _METHOD.format(connections=connections, pull_connections=pull_connections, push_connections=push_connections),
    ]
    return "\n".join(parts)


def write_pictures(comparison: Comparison, folder: Path) -> None:
    """Write a picture for each row into *folder*, and remove those of rows that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for row in comparison.rows:
        (folder / f"{row.key}.svg").write_text(bars.picture(_heading(row), _bars(comparison, row)))


def _rounds(comparison: Comparison) -> str:
    fewest = min(len(values) for row in comparison.rows for values in row.rounds.values())
    return "of one round" if fewest == 1 else f"the median of {fewest} rounds"


def _cells(comparison: Comparison, row: Row) -> list[str]:
    medians = row.medians()
    registries = [each.title for each in comparison.entrants if each.kind != "floor" and each.title in medians]
    choose = max if row.is_higher_better else min
    best = choose((medians[title] for title in registries), default=None)
    cells = []
    for each in comparison.entrants:
        text = _number(medians[each.title]) if each.title in medians else ""
        is_best = each.title in registries and medians[each.title] == best
        cells.append(f"**{text}**" if is_best else text)
    return [row.title, row.unit, *cells]


def _heading(row: Row) -> str:
    return f"{row.title}, {row.unit}{' (longer is better)' if row.is_higher_better else ''}"


def _bars(comparison: Comparison, row: Row) -> list[Bar]:
    medians = row.medians()
    return [
        Bar(each.title, medians[each.title], _number(medians[each.title]), each.kind)
        for each in comparison.entrants
        if each.title in medians
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
