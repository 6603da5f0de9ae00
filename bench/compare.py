"""Compares Moorage with the registries that this machine has, over HTTP. ``--help`` lists the options.

A full run writes ``bench/results/comparison.json``, ``docs/comparison.md`` and the pictures of that page. A quick run,
or one of some works, prints its table only; with ``--keep`` its rows replace those that are there.
"""

import argparse
import contextlib
import dataclasses
import datetime as dt
import fcntl
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import comparison
import contestants
import machine
import postgres
from compare_works import GROUPS, PUSH_CONNECTIONS
from comparison import Comparison, Entrant
from content import GIB, MIB, Pool
from contestants import KINDS, Contestant
from load import LoadError
from stage import FULL, Plan, Stage
from works import CONNECTIONS, PULL_CONNECTIONS

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results" / "comparison.json"
PAGE = BENCH.parent / "docs" / "comparison.md"
PICTURES = PAGE.parent / "pictures" / "comparison"
POSTGRES_SETTINGS = {"shared_buffers": "256MB"}

WHOLE = dataclasses.replace(FULL, rounds=3, load_s=1, large_bytes=512 * MIB, large_pulls=2, free_bytes=30 * GIB)
QUICK = dataclasses.replace(WHOLE, rounds=1, large_bytes=128 * MIB, large_pulls=4, free_bytes=12 * GIB)


def main(arguments: Sequence[str]) -> int:
    """Run with command-line *arguments*; the exit status says whether all could be measured."""
    options = _options(arguments)
    if options.report:
        _write(comparison.from_json(RESULTS.read_bytes()))
        return 0
    programs = contestants.found(options.registry)
    for key, kind in KINDS.items():
        if key not in programs:
            print(f"without {key}, which is not here: {kind.how}", file=sys.stderr)
    missing = [] if shutil.which("wrk") else ["wrk"]
    missing += [] if postgres.programs() else ["postgresql"]
    if missing:
        print(f"not installed: {', '.join(missing)} (scripts/install-test-components installs them)", file=sys.stderr)
        return 1
    # Whoever ends this run ends the servers and removes their folders too: SystemExit passes through every "finally".
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = QUICK if options.quick else WHOLE
    taken = {key: program for key, program in programs.items() if key not in options.without}
    is_whole = options.keep or not (options.quick or options.only)
    measured = None
    try:
        with _alone(options.scratch, plan) as folder:
            for group in options.only or GROUPS:
                found = dataclasses.replace(
                    _measure(folder, plan, options, taken, group=group), command=_command(arguments)
                )
                measured = measured.with_later(found) if measured else found
                if is_whole:
                    # After each: an end in the middle loses one group only.
                    _keep(found)
    except LoadError as failure:
        print(failure, file=sys.stderr)
        return 1
    print(comparison.table(measured) if measured else "")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/compare.py", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round and smaller blobs: under four minutes")
    parser.add_argument("--only", action="append", choices=GROUPS, help="these works only (may be repeated)")
    parser.add_argument(
        "--keep", action="store_true", help="put the rows of a quick run, or of some works, into the page"
    )
    parser.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="NAME=PROGRAM",
        help=f"a program that is not on PATH; NAME is one of {', '.join(KINDS)}",
    )
    parser.add_argument("--without", action="append", default=[], choices=KINDS, help="leave this one out")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="of Moorage (default: one per core)"
    )
    parser.add_argument(
        "--scratch", type=Path, default=BENCH / "scratch", help="where the data folders go: a real disk, not tmpfs"
    )
    parser.add_argument("--report", action="store_true", help="write page and pictures again; measure nothing")
    options = parser.parse_args(arguments)
    options.registry = _named(parser, options.registry)
    return options


def _named(parser: argparse.ArgumentParser, given: Sequence[str]) -> dict[str, str]:
    named = {}
    for text in given:
        key, _, program = text.partition("=")
        if key not in KINDS:
            parser.error(f"--registry {text}: NAME is one of {', '.join(KINDS)}")
        if shutil.which(program) is None:
            parser.error(f"--registry {text}: there is no program {program!r}")
        named[key] = program
    return named


@contextlib.contextmanager
def _alone(scratch: Path, plan: Plan) -> Iterator[Path]:
    """Yield a fresh folder in *scratch*, which no other run uses meanwhile.

    Raises:
        LoadError: one does, or there is not enough room.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(scratch).free < plan.free_bytes:
        msg = f"{plan.free_bytes // GIB} GiB have to be free where --scratch is"
        raise LoadError(msg)
    # The lock goes with the process.
    lock = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        msg = f"another run is under way in {scratch}"
        raise LoadError(msg) from None
    with tempfile.TemporaryDirectory(prefix="compare-", dir=scratch) as folder:
        yield Path(folder)


def _measure(
    folder: Path, plan: Plan, options: argparse.Namespace, programs: Mapping[str, str], *, group: str
) -> Comparison:
    load_average = os.getloadavg()[0]
    with postgres.serving(folder, POSTGRES_SETTINGS) as server:
        taking_part = [*contestants.ours(options.workers, server), *contestants.others(programs, server)]
        first = taking_part[0].subject
        stage = Stage(
            reference=first, candidate=first, scratch=folder, plan=plan, pool=Pool(), say=_say, workers=options.workers
        )
        rows = GROUPS[group](stage, taking_part)
        described = machine.describe(folder)
    _say("")
    return Comparison(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        command="",
        machine=described,
        database_version=postgres.version(),
        workers=options.workers,
        rounds=plan.rounds,
        load_average=load_average,
        entrants=[_entrant(each) for each in taking_part],
        rows=rows,
    )


def _entrant(contestant: Contestant) -> Entrant:
    kind = "ours" if contestant.is_ours else "floor" if contestant.is_floor else "other"
    return Entrant(title=contestant.title, version=contestant.subject.version, kind=kind)


def _command(arguments: Sequence[str]) -> str:
    """The command as anybody could give it: programs by their names alone, and no folder of this machine."""
    words = ["bench/compare.py"]
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, program = argument.partition("=")
        if "--scratch" not in {before, name}:
            words.append(f"{name}={Path(program).name}" if equals else argument)
    return shlex.join(words)


def _keep(found: Comparison) -> None:
    if RESULTS.exists():
        found = comparison.from_json(RESULTS.read_bytes()).with_later(found)
    RESULTS.write_bytes(comparison.to_json(found))
    _write(found)


def _write(measured: Comparison) -> None:
    comparison.write_pictures(measured, PICTURES)
    text = comparison.page(
        measured,
        PICTURES.relative_to(PAGE.parent).as_posix(),
        connections=CONNECTIONS,
        pull_connections=PULL_CONNECTIONS,
        push_connections=PUSH_CONNECTIONS,
    )
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(BENCH.parent)} and {len(measured.rows)} pictures")


def _say(text: str) -> None:
    # One line that changes, for whoever waits; nothing where nobody does.
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
