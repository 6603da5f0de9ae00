"""Measures Moorage against Debian's docker-registry, over HTTP, and writes the report. ``--help`` lists the options.

A full run writes ``bench/results/latest.json`` and ``docs/benchmarks.md``. Any other run (quick, or of some works
only, or of docker-registry against itself) writes ``bench/results/scratch.json`` and leaves those two alone; with
``--keep`` the figures of some works replace those of the last full run, and the page says so.
"""

import argparse
import dataclasses
import datetime as dt
import fcntl
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import adopt_works
import auth_works
import bucket
import bucket_requests
import bucket_works
import change_works
import check_works
import command_works
import control_works
import copy_works
import gc_works
import import_works
import list_works
import machine
import memory_works
import notify_works
import offline_works
import page_works
import postgres
import report
import tls_works
from content import GIB, SEED, Pool
from figures import Figure, Results, from_json, to_json
from load import LoadError
from stage import FULL, QUICK, Plan, Stage
from subjects import DockerRegistry, Moorage, MoorageOnLayout, MoorageOnPostgres, Subject
from works import WORKS as PULL_AND_PUSH_WORKS

BENCH = Path(__file__).resolve().parent
LATEST = BENCH / "results" / "latest.json"
SCRATCH_RESULTS = BENCH / "results" / "scratch.json"
NOTES = BENCH / "notes.md"
PAGE = BENCH.parent / "docs" / "benchmarks.md"

WORKS = {
    **PULL_AND_PUSH_WORKS,
    **memory_works.WORKS,
    **tls_works.WORKS,
    **list_works.WORKS,
    **change_works.WORKS,
    **gc_works.WORKS,
    **import_works.WORKS,
    **copy_works.WORKS,
    **adopt_works.WORKS,
    **offline_works.WORKS,
    **check_works.WORKS,
    **auth_works.WORKS,
    **command_works.WORKS,
    **control_works.WORKS,
    **page_works.WORKS,
    **notify_works.WORKS,
    **bucket_requests.WORKS,
    **bucket_works.WORKS,
}
POSTGRES_SETTINGS = {"shared_buffers": "256MB"}


def main(arguments: Sequence[str]) -> int:
    """Run with command-line *arguments*; the exit status says whether all could be measured."""
    options = _options(arguments)
    if options.report:
        _write_page(from_json(LATEST.read_bytes()))
        return 0
    missing = [name for name in ("docker-registry", "wrk") if shutil.which(name) is None]
    missing += [] if postgres.programs() else ["postgresql"]
    missing += [] if bucket.program() else ["weed (make setup)"]
    if missing:
        print(f"not installed: {', '.join(missing)} (scripts/install-test-components installs them)", file=sys.stderr)
        return 1
    # Whoever ends this run ends the servers and removes their folders too: SystemExit passes through every "finally".
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.scratch.mkdir(parents=True, exist_ok=True)
    plan = _plan(options)
    if shutil.disk_usage(options.scratch).free < plan.free_bytes:
        print(f"{plan.free_bytes // GIB} GiB have to be free where --scratch is", file=sys.stderr)
        return 1
    # Two runs at once would spoil each other's figures. The lock goes with the process.
    lock = os.open(options.scratch, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another run is under way in {options.scratch}", file=sys.stderr)
        return 1
    try:
        results = _measure(options, arguments)
    except LoadError as failure:
        _say("")
        print(failure, file=sys.stderr)
        return 1
    _say("")
    if options.keep:
        whole = from_json(LATEST.read_bytes()).with_later(results)
        LATEST.write_bytes(to_json(whole))
        _write_page(whole)
    elif options.quick or options.only or options.null:
        SCRATCH_RESULTS.write_bytes(to_json(results))
    else:
        LATEST.write_bytes(to_json(results))
        _write_page(results)
    _print(results)
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else FULL
    return dataclasses.replace(plan, dead_blobs=options.dead_blobs) if options.dead_blobs else plan


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.keep and (not options.only or options.quick or options.null):
        parser.error("--keep is for whole measurements of some works: give --only, without --quick and --null")
    if options.dead_blobs and options.only != ["gc"]:
        parser.error("--dead-blobs is for --only gc")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes and shorter loads")
    parser.add_argument("--only", action="append", choices=WORKS, help="measure this work only (may be repeated)")
    parser.add_argument("--keep", action="store_true", help="with --only: put it into the page of the last full run")
    parser.add_argument("--dead-blobs", type=int, help="how many the work gc collects, if not as many as by itself")
    parser.add_argument("--null", action="store_true", help="docker-registry against itself: what noise alone gives")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="of Moorage (default: one per core)"
    )
    parser.add_argument(
        "--scratch", type=Path, default=BENCH / "scratch", help="where the data folders go: a real disk, not tmpfs"
    )
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks.md again; measure nothing")
    return parser


def _measure(options: argparse.Namespace, arguments: Sequence[str]) -> Results:
    began = time.monotonic()
    reference = DockerRegistry()
    with (
        tempfile.TemporaryDirectory(prefix="run-", dir=options.scratch) as folder,
        postgres.serving(Path(folder), POSTGRES_SETTINGS) as server,
    ):
        stores = [] if options.null else _stores(options.workers, server)
        candidate = stores[0] if stores else DockerRegistry("docker-registry again")
        stage = Stage(
            reference=reference,
            candidate=candidate,
            scratch=Path(folder),
            plan=_plan(options),
            pool=Pool(),
            say=_say,
            stores=stores,
            workers=options.workers,
        )
        figures: list[Figure] = []
        for name in options.only or WORKS:
            figures += WORKS[name](stage)
        described = machine.describe(stage.scratch)
    return Results(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        command=shlex.join([".venv/bin/python", "bench/run.py", *arguments]),
        is_quick=options.quick,
        seed=SEED,
        machine=described,
        reference=reference.name,
        candidate=candidate.name,
        reference_version=reference.version,
        candidate_version=candidate.version,
        candidate_workers=options.workers,
        database_version=postgres.version(),
        duration_s=time.monotonic() - began,
        figures=figures,
    )


def _stores(workers: int, server: postgres.Postgres) -> list[Subject]:
    return [Moorage(workers), MoorageOnLayout(workers), MoorageOnPostgres(workers, server)]


def _print(results: Results) -> None:
    if results.is_quick:
        print("QUICK: smaller sizes and shorter loads; the targets are for a full run.\n")
    print(report.table(results))
    print(report.others_table(results))
    print(report.machine_table(results))


def _write_page(results: Results) -> None:
    notes = NOTES.read_text() if NOTES.exists() else ""
    PAGE.write_text(report.page(results, notes))
    print(f"wrote {PAGE.relative_to(BENCH.parent)}")


def _say(text: str) -> None:
    # One line that changes, for whoever waits; nothing where nobody does.
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
