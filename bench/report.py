"""The report: the table for the terminal, and the page for the documentation."""

import statistics
from collections.abc import Sequence

from figures import AtMost, Figure, Results, Series
from list_works import CONNECTIONS, FIRST_PAGES
from offline_works import BLOBS, MANIFESTS, REPOSITORIES

_INTRODUCTION = """\
# Benchmarks

This page is written by `{command}` from `bench/results/latest.json`; do not edit it.
What falls short is explained in `bench/notes.md`, which is included at the end.

Moorage {candidate_version} is compared with Debian's `docker-registry` {reference_version}.
Both run on loopback in the same run, each with a fresh data folder on the same disk.
They are measured in turn, and who is first changes with every round.
"""

_METHOD = """\
## How it is measured

- *CPU* is user and system time of the whole server: all its processes, threads and ended children.
  The client's time does not count, but the client shares the cores.
  The kernel's own threads, such as the one that writes dirty pages back, belong to nobody.
- A cell shows the median of the rounds, and in brackets the least and the most.
  A round for warming up goes before and is not counted.
- *Times better* divides the medians; above 1 Moorage is the better one.
- `docker-registry` has the configuration of its Debian package, without the password: its blob cache is on.
  Moorage has as many workers as there are cores, unless the table below says otherwise.
  Both write their access log to a file.
- *Store* is where Moorage keeps its metadata.
  SQLite is what it takes by itself, without a configuration file.
  *layout* is Distribution's layout in storage, by a configuration without a database.
  PostgreSQL {database_version} runs on the same machine, with `shared_buffers = 256MB` and else its defaults.
  It syncs each commit.
  Its CPU is counted only where a measure says so.
- Manifests are pulled over 16 connections: GET by `wrk`, HEAD by the client in `bench/load.py`
  (`wrk` waits for the body that an answer to HEAD announces).
  That client sends everything else as well; it drops the bodies it pulls inside the kernel.
- Content is random with a fixed seed ({seed}).
  What is pulled was read whole once before, and its digest checked.
  What is pushed differs in every push, and lies in memory that has been touched.
- Both servers call `fsync` on what they write before they answer 201 to the push, as they do by default.
- Large repositories and catalogues are written into the database, and into docker-registry's folder, by
  `bench/seeding.py`: only metadata, no blobs.
  Each tag has a manifest of its own.
- Pages of lists are asked for at random places over {list_connections} connections.
  Each asks again as soon as it has its answer.
  A p99 is that of one round.
- The page of tags for people comes from a control plane of one process, which asks the registry; each begins at a tag
  that was drawn, and its time is that of the whole page, one after the other.
- Garbage is collected from folders in Distribution's layout that `bench/offline_works.py` writes:
  {collected_repositories} repositories of {collected_manifests} manifests with {collected_blobs} blobs each.
  All blobs differ, and every fifth manifest is untagged.
  Each command gets a fresh folder in every round, which is in the kernel's cache; no round is for warming up.
  Both log warnings only; the time and the CPU are those of the whole process, its start included.
- An import reads folders like those, all of whose manifests have five tags; nothing in them is left out.
  The time and the CPU are those of the whole command, its start included.
- Pulls of what is not taken over yet begin with the first answer of a server that has an empty database and
  `database.adopt`, and ask each repository for one manifest and its configuration, from that end of the names to which
  the adoption comes last.
  Before, in each round, the same is pulled from the same folder without a database.
- The last round of `storage copy --follow` begins when a copy that was up to date is told to end, after 200 more blobs.
- *Round trips* are counted on the wire, by a relay between Moorage (one worker) and PostgreSQL:
  how often bytes to PostgreSQL followed bytes from it.
- *Worker memory* is the largest resident size of any one process of a fresh server (`VmHWM`), in one round.
  While a list is paged through it is what that adds to what the worker had after the first {first_pages} pages.
- *Memory after start* and *after requests* is that of all processes of a server together (`Pss`), three seconds after
  the last answer: what several processes share counts once.
  The requests are pushes, pulls, lists of tags and referrers, over 16 connections; docker-registry is asked for no
  token, and answers 404 to referrers.
- *Start to first answer* goes from the start of the process to the first 200 on `/v2/`.
"""


def table(results: Results) -> str:
    """The figures with their verdicts."""
    head = ["work", "store", "measure", results.reference, results.candidate, "times better", "target", "verdict"]
    return _table(head, [_row(figure) for figure in results.figures])


def others_table(results: Results) -> str:
    """What was measured besides, without targets."""
    head = ["work", "store", "measure", results.reference, results.candidate, "times better"]
    rows = [
        [figure.title, figure.store, other.unit, _reference(figure, other), _cell(other.candidate), _ratio(other)]
        for figure in results.figures
        for other in figure.others
    ]
    return _table(head, rows)


def machine_table(results: Results) -> str:
    """Where and when it ran."""
    machine = results.machine
    rows = [
        ["date", results.date],
        ["processor", f"{machine.cpu_model}, {machine.cores} cores"],
        ["memory", f"{machine.memory_gib:.0f} GiB"],
        ["kernel", machine.kernel],
        ["file system", machine.file_system],
        ["Python", machine.python],
        ["workers of Moorage", str(results.candidate_workers)],
        ["duration", f"{results.duration_s / 60:.1f} min"],
    ]
    return _table(["", ""], rows)


def page(results: Results, notes: str) -> str:
    """The documentation page. *notes* are Markdown; empty if there are none."""
    introduction = _INTRODUCTION.format(
        command=results.command,
        candidate_version=results.candidate_version,
        reference_version=results.reference_version,
    )
    met = sum(figure.is_met for figure in results.figures)
    parts = [
        introduction,
        _later(results),
        f"## Results\n\n{met} of {len(results.figures)} targets are met.\n",
        table(results),
        f"Measured at the same time, without targets:\n\n{others_table(results)}",
        f"## The machine\n\n{machine_table(results)}",
        _METHOD.format(
            seed=results.seed,
            database_version=results.database_version,
            list_connections=CONNECTIONS,
            first_pages=FIRST_PAGES,
            collected_repositories=REPOSITORIES,
            collected_manifests=MANIFESTS,
            collected_blobs=BLOBS,
        ),
        f"## Notes\n\n{notes.strip()}\n" if notes.strip() else "",
    ]
    return "\n".join(part for part in parts if part)


def _later(results: Results) -> str:
    """Which of the figures are from later runs, on the same machine."""
    return "".join(
        f"On {item.date} `{item.command}` measured by themselves: {', '.join(item.works)}.\n" for item in results.later
    )


def _row(figure: Figure) -> list[str]:
    judged = figure.judged
    verdict = "met" if figure.is_met else "not met"
    return [
        figure.title,
        figure.store,
        judged.unit,
        _reference(figure, judged),
        _cell(judged.candidate),
        _ratio(judged),
        f"≤ {figure.target.limit:g}" if isinstance(figure.target, AtMost) else f"≥ {figure.target.times:g}x",
        verdict,
    ]


def _reference(figure: Figure, series: Series) -> str:
    cell = _cell(series.reference)
    return f"{figure.against}: {cell}" if cell and figure.against else cell


def _ratio(series: Series) -> str:
    return "" if series.ratio is None else f"{series.ratio:.2f}x"


def _cell(rounds: Sequence[float]) -> str:
    if not rounds:
        return ""
    if len(rounds) == 1:
        return _number(rounds[0])
    return f"{_number(statistics.median(rounds))} ({_number(min(rounds))} to {_number(max(rounds))})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [_line(head, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)]) + "\n"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
