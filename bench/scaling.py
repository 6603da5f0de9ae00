"""How operations grow with a database: their figures as values and JSON, what kind of growth it is, and the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

import scale_control
import scale_folders
from figures import Machine
from scale_works import COLLECTIONS, OPERATIONS, Measured

_DATABASES = ("SQLite", "PostgreSQL")
STORES = (*_DATABASES, scale_folders.LINK_FILES, *(f"{scale_control.STORE} {database}" for database in _DATABASES))
"""In the order of the page."""
ORDER = (*OPERATIONS, *COLLECTIONS, scale_folders.COLLECTION, scale_folders.IMPORT, *scale_control.LISTS)
FLAT = 1.5
"""Times that an operation may cost between the smallest and the largest database, and still be called flat."""

_INTRODUCTION = """\
# Scale

This page is written by `bench/scale.py`; what is explained comes from `bench/scale_notes.md`.
A database of size *N* has one repository with N tags, each with a manifest, a configuration and a layer of its own,
and N more repositories with one tag each.
The registry on link files has N tags in one repository and a tenth as many other repositories: names in folders, as
all but the newest tags are links to the folder of one.
For collection and import, a folder of link files has N images, half of them in one repository, a fifth of all without a
tag.
A control plane has N users, groups, projects with an image, audit rows and so on, N images, members, runs and
refusals in one project, and N tokens of one person. Its lists are asked for in its own process: those of administrators
by one, the others by the owner of the group that all projects are in.
Each operation on a database is repeated for {seconds:g} seconds at random places, over one connection, on a registry
with one worker.
A cell has the CPU of the registry and its database together for each, and in brackets what the client waited (median).
*Growth* compares the CPU at the largest size with that at the smallest: *flat* is less than {flat:g} times;
*logarithmic* is no more than the logarithm of the size grows ({times} from {first} to {last}), times as much again.
"""

_ENDING = """\
## Measure it yourself

```sh
.venv/bin/python bench/scale.py --sizes 1000,10000,100000,1000000 --keep
.venv/bin/python bench/scale.py --sizes 1000,10000 --stores SQLite      # a first look: prints, and writes nothing
```

The rows are written into the databases in bulk, with 12 GiB of disk for a million.
CPU is measured rather than time, as it hardly depends on what else the machine does.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A database of one size on one store."""

    store: str
    size: int
    operations: Mapping[str, Measured]
    load_average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A whole run."""

    date: str
    machine: Machine
    database_version: str
    seconds: float
    sized: Sequence[Sized] = field(default_factory=list)

    def with_later(self, run: "Scale") -> "Scale":
        """With what *run* measured in the place of the same operations on the same store and size."""
        sized = {(STORES.index(each.store), each.size): each for each in self.sized}
        for each in run.sized:
            place = (STORES.index(each.store), each.size)
            known = sized[place].operations if place in sized else {}
            sized[place] = replace(each, operations={**known, **each.operations})
        return replace(run, sized=[sized[place] for place in sorted(sized)])


def to_json(scale: Scale) -> bytes:
    """Write *scale* as JSON."""
    return _SCALE.dump_json(scale, indent=2) + b"\n"


def from_json(text: bytes) -> Scale:
    """Read what :func:`to_json` wrote."""
    return _SCALE.validate_json(text)


_SCALE = TypeAdapter(Scale)


def growth(sizes: Sequence[int], costs: Sequence[float]) -> str:
    """Name the growth of *costs* over *sizes*, from the smallest to the largest; empty: too little was measured."""
    if not costs[0]:
        return ""
    times = costs[-1] / costs[0]
    if times < FLAT:
        return "flat"
    if times < FLAT * math.log(sizes[-1]) / math.log(sizes[0]):
        return "logarithmic"
    return f"{times:.0f} times"


def tables(scale: Scale) -> str:
    """A table for each store."""
    parts = []
    for store in dict.fromkeys(each.store for each in scale.sized):
        own = [each for each in scale.sized if each.store == store]
        head = ["operation", *(f"{each.size:,}" for each in own), "growth"]
        rows = []
        for name in sorted({name for each in own for name in each.operations}, key=ORDER.index):
            there = [each for each in own if name in each.operations]
            cells = [_cell(each.operations[name]) if name in each.operations else "" for each in own]
            named = growth([each.size for each in there], [each.operations[name].cpu_us for each in there])
            rows.append([name, *cells, named])
        lines = [head, ["---"] * len(head), *rows]
        text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
        parts.append(f"## {store[0].upper()}{store[1:]}\n\nCPU µs (ms).\n\n{text}")
    return "\n".join(parts)


def page(scale: Scale, notes: str, pictures: str) -> str:
    """The documentation page. *notes* and *pictures* are Markdown."""
    sizes = sorted({each.size for each in scale.sized})
    times = math.log(sizes[-1]) / math.log(sizes[0])
    machine = scale.machine
    loads = [each.load_average for each in scale.sized]
    described = (
        f"Measured on {scale.date} with PostgreSQL {scale.database_version}: {machine.cpu_model}, {machine.cores} "
        f"cores, {machine.memory_gib:.0f} GiB, kernel {machine.kernel}, {machine.file_system}, "
        f"Python {machine.python}; the load when a size began was {min(loads):.1f} to {max(loads):.1f}.\n"
    )
    introduction = _INTRODUCTION.format(
        seconds=scale.seconds, flat=FLAT, times=f"{times:.1f} times", first=f"{sizes[0]:,}", last=f"{sizes[-1]:,}"
    )
    shown = ["## Pictures\n", "Shorter is better: each has a bar for every store and size.\n", pictures]
    return "\n".join([introduction, described, tables(scale), *shown, notes.strip() + "\n", _ENDING])


def _cell(measured: Measured) -> str:
    return f"{measured.cpu_us:,.0f} ({measured.ms:.3g})"
