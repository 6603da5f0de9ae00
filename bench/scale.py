"""Measures how operations grow with a database, from a thousand tags to a million. ``--help`` lists the options.

With ``--keep`` the figures go into ``bench/results/scale.json``, ``docs/scale.md`` and its pictures, in the place of
those of the same operations on the same store and size; else they are printed only.
"""

import argparse
import datetime as dt
import itertools
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import machine
import postgres
import scale_control
import scale_folders
import scale_layout
import scale_pictures
import scale_works
import scaling
import seeding
from content import GIB, SEED
from load import LoadError
from peers import QuietOnLayout, QuietOnPostgres, QuietOnSqlite
from scale_works import COLLECTIONS, OPERATIONS, Grown, Measured, Operations
from scaling import Scale, Sized
from subjects import Subject, running

BENCH = Path(__file__).resolve().parent
RESULTS = BENCH / "results" / "scale.json"
NOTES = BENCH / "scale_notes.md"
PAGE = BENCH.parent / "docs" / "scale.md"
PICTURES = PAGE.parent / "pictures" / "scale"
DATABASES = ("SQLite", "PostgreSQL")
STORES = (*DATABASES, scale_folders.LINK_FILES)
FOLDERS = (scale_folders.COLLECTION, scale_folders.IMPORT)
LIMIT = 100_000
"""Whole images of link files, and projects of a control plane, at most: a million would be fifteen million files and
folders, and more than anybody has."""
SIZES = (1000, 10_000, 100_000, 1_000_000)
BYTES_A_TAG = 12_000
"""On the disk, generously, with its share of everything."""
POSTGRES_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "16GB", "checkpoint_timeout": "1h"}


def main(arguments: Sequence[str]) -> int:
    """Run with command-line *arguments*; the exit status says whether all could be measured."""
    options = _options(arguments)
    if options.report:
        _write(scaling.from_json(RESULTS.read_bytes()))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.scratch.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(options.scratch).free < max(options.sizes) * BYTES_A_TAG + GIB:
        print(f"{max(options.sizes) * BYTES_A_TAG // GIB + 1} GiB have to be free in --scratch", file=sys.stderr)
        return 1
    found: Scale | None = None
    try:
        with tempfile.TemporaryDirectory(prefix="scale-", dir=options.scratch) as name:
            for sized in _all_sized(Path(name), options):
                run = _scale(Path(name), options, [sized])
                found = run if found is None else found.with_later(run)
                if options.keep:
                    # After each: a million takes its time, and what is smaller need not be lost with it.
                    _keep(run)
    except LoadError as failure:
        print(failure, file=sys.stderr)
        return 1
    if found is not None:
        print(scaling.tables(found))
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/scale.py", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes",
        type=lambda text: sorted(map(int, text.split(","))),
        default=SIZES,
        help="tags, manifests and repositories of the databases, with commas",
    )
    parser.add_argument("--stores", type=lambda text: text.split(","), default=STORES, help=", ".join(STORES))
    parser.add_argument(
        "--only",
        action="append",
        choices=[*OPERATIONS, *COLLECTIONS, *FOLDERS, *scale_control.LISTS],
        help="these operations only",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each operation is repeated")
    parser.add_argument("--keep", action="store_true", help="put the figures into the page")
    parser.add_argument("--scratch", type=Path, default=BENCH / "scratch", help="where the databases go: a real disk")
    parser.add_argument("--report", action="store_true", help="write the page again; measure nothing")
    options = parser.parse_args(arguments)
    if set(options.stores) - set(STORES):
        parser.error(f"--stores: some of {', '.join(STORES)}")
    return options


def _all_sized(folder: Path, options: argparse.Namespace) -> Iterator[Sized]:
    """Measure each store and size, link files and the control plane last."""
    bounded = [size for size in options.sizes if size <= LIMIT]
    databases = [store for store in DATABASES if store in options.stores]
    has_files = scale_folders.LINK_FILES in options.stores
    if _wants(options, [*OPERATIONS, *COLLECTIONS]):
        for store, size in itertools.product(databases, options.sizes):
            # A server of its own for each size: what one has left to do is nobody else's.
            with postgres.serving(folder, POSTGRES_SETTINGS) as server:
                yield _measured(folder, _subject(store, server), size, options)
    if has_files and _wants(options, [*scale_layout.OPERATIONS]):
        for size in options.sizes:
            yield _link_files(folder, size, options)
    if _wants(options, [*scale_control.LISTS]):
        for store, size in itertools.product(databases, bounded):
            with postgres.serving(folder, POSTGRES_SETTINGS) as server:
                yield _control(folder, server if store == "PostgreSQL" else None, size, options)
    if _wants(options, FOLDERS):
        for size in bounded:
            with postgres.serving(folder, POSTGRES_SETTINGS) as server:
                yield from _folders(folder, [_subject(store, server) for store in databases], size)


def _control(folder: Path, server: postgres.Postgres | None, size: int, options: argparse.Namespace) -> Sized:
    load_average, name = os.getloadavg()[0], f"{scale_control.STORE} {DATABASES[server is not None]}"
    _say(f"{name}, {size:,}")
    names = [name for name in scale_control.LISTS if not options.only or name in options.only]
    operations = scale_control.measure(folder, size, options.seconds, server, names=names)
    for operation, measured in operations.items():
        _say(f"{name}, {size:,}: {operation}: {measured}")
    return Sized(store=name, size=size, operations=operations, load_average=load_average)


def _folders(folder: Path, subjects: Sequence[Subject], size: int) -> Iterator[Sized]:
    load_average = os.getloadavg()[0]
    for store, name, measured in scale_folders.measure(folder, subjects, size):
        _say(f"{store}, {size:,}: {name}: {measured}")
        yield Sized(store=store, size=size, operations={name: measured}, load_average=load_average)


def _wants(options: argparse.Namespace, names: Sequence[str]) -> bool:
    return not options.only or bool(set(options.only) & set(names))


def _subject(store: str, server: postgres.Postgres) -> Subject:
    return QuietOnSqlite(1) if store == "SQLite" else QuietOnPostgres(1, server)


def _measured(folder: Path, subject: Subject, size: int, options: argparse.Namespace) -> Sized:
    store, load_average = subject.store, os.getloadavg()[0]
    with running(subject, folder) as daemon:
        _say(f"{store}, {size:,}: writing")
        seeding_s = seeding.seed(daemon.sink(), scale_works.images(size))
        _say(f"{store}, {size:,}: written in {seeding_s:.0f} s")
        grown = Grown(daemon, size, options.seconds, random.Random(SEED))
        operations = _repeated(store, grown, OPERATIONS, options)
        for name, collection in COLLECTIONS.items():
            if not options.only or name in options.only:
                operations[name] = collection(grown)
                _say(f"{store}, {size:,}: {name}: {operations[name]}")
    return Sized(store=store, size=size, operations=operations, load_average=load_average)


def _link_files(folder: Path, size: int, options: argparse.Namespace) -> Sized:
    store, load_average = scale_folders.LINK_FILES, os.getloadavg()[0]
    with running(QuietOnLayout(1), folder) as daemon:
        _say(f"{store}, {size:,}: writing")
        scale_layout.fill(daemon, size)
        grown = Grown(daemon, size, options.seconds, random.Random(SEED))
        operations = _repeated(store, grown, scale_layout.OPERATIONS, options)
    return Sized(store=store, size=size, operations=operations, load_average=load_average)


def _repeated(store: str, grown: Grown, operations: Operations, options: argparse.Namespace) -> dict[str, Measured]:
    found = {}
    for name, operation in operations.items():
        if not options.only or name in options.only:
            began = time.monotonic()
            found[name] = scale_works.measure(grown, operation)
            _say(f"{store}, {grown.size:,}: {name}: {found[name]} in {time.monotonic() - began:.1f} s")
    return found


def _scale(folder: Path, options: argparse.Namespace, sized: Sequence[Sized]) -> Scale:
    return Scale(
        date=dt.datetime.now(dt.UTC).date().isoformat(),
        machine=machine.describe(folder),
        database_version=postgres.version(),
        seconds=options.seconds,
        sized=sized,
    )


def _keep(found: Scale) -> None:
    if RESULTS.exists():
        found = scaling.from_json(RESULTS.read_bytes()).with_later(found)
    RESULTS.write_bytes(scaling.to_json(found))
    _write(found)


def _write(found: Scale) -> None:
    scale_pictures.write(found, PICTURES)
    pictures = scale_pictures.shown(found, PICTURES.relative_to(PAGE.parent).as_posix())
    PAGE.write_text(scaling.page(found, NOTES.read_text(), pictures))
    print(f"wrote {PAGE.relative_to(BENCH.parent)} and its pictures")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
