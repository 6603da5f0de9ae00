"""Runs of ``moorage database export``, and the output."""

import asyncio
import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from moorage.cli.bars import Bars
from moorage.cli.noted_output import print_left_out, print_noted
from moorage.cli.standard_streams import INTERRUPTED
from moorage.moving.exporting import Exported, ExportOptions
from moorage.moving.link_writing import LinkWriter
from moorage.moving.outcome import Outcome, Teller
from moorage.starting.configuration_file import read
from moorage.starting.export_start import export_link_files

_PRINTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportWish:
    """The options of the command."""

    dry_run: bool
    verifies: bool
    switches: bool
    as_json: bool


def run(path: Path | None, wish: ExportWish) -> int:
    """Export, print what was done, and return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used.
        ExportRefused: it would not be safe.
        BackendError: storage or the database failed.
    """
    config = read(path).config
    options = ExportOptions(dry_run=wish.dry_run, verifies=wish.verifies, switches=wish.switches)
    began = time.monotonic()
    with Bars(counts=True) as bars:
        teller = Teller(bars)
        try:
            exported = asyncio.run(export_link_files(config, options, teller))
        except KeyboardInterrupt:
            print("interrupted: the same command goes on from here", file=sys.stderr)
            return INTERRUPTED
    show = _print_json if wish.as_json else _print
    show(exported, teller.outcome, wish, time.monotonic() - began)
    return 1 if exported.verified is not None and exported.verified.counts.changes else 0


def _print(exported: Exported, outcome: Outcome, wish: ExportWish, seconds: float) -> None:
    counts = exported.writer.counts
    print(
        f"repositories {counts.repositories:,}, tags {counts.tags:,}, manifests {counts.manifests:,}, "
        f"links to blobs {counts.blobs:,}, in {seconds:.1f} s"
    )
    written, removed = ("to be written", "to be removed") if wish.dry_run else ("written", "removed")
    print(f"{written} {counts.written:,}, {removed} {counts.removed:,}")
    if wish.dry_run:
        _print_differences(exported.writer)
    print_left_out(outcome.left_out)
    if exported.verified is not None:
        print(f"compared once more: {exported.verified.counts.changes:,} differences")
        _print_differences(exported.verified)
    if exported.is_switched:
        print("storage now says that its images are in link files: set database.enabled: false")
    elif not wish.dry_run:
        print("storage still says that its images are in the database: --switch changes that, while nobody pushes")


def _print_differences(writer: LinkWriter) -> None:
    print_noted(writer.differences, "  {}".format, limit=_PRINTED, rest="--json has the first thousand")


def _print_json(exported: Exported, outcome: Outcome, wish: ExportWish, seconds: float) -> None:
    verified = exported.verified
    print(
        json.dumps(
            {
                "dry_run": wish.dry_run,
                **dataclasses.asdict(exported.writer.counts),
                "left_out": [found.to_json() for found in outcome.left_out.first],
                "differences": exported.writer.differences.first if wish.dry_run else [],
                "verified_differences": None if verified is None else verified.counts.changes,
                "is_switched": exported.is_switched,
                "duration_s": round(seconds, 3),
            }
        )
    )
