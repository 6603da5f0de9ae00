"""Runs of ``moorage garbage-collect``, and the output."""

import dataclasses
import json
import sys
import time
from pathlib import Path

from moorage.cli.amounts import shown_bytes
from moorage.cli.bars import Bars
from moorage.cli.standard_streams import INTERRUPTED
from moorage.gc.offline.offline_run import OfflineOptions, Totals
from moorage.starting.configuration_file import read_or_defaults
from moorage.starting.offline_collecting import collect_garbage, see_that_it_has_link_files
from moorage.telemetry import configure, get_log
from moorage.wiring.log_settings import log_settings

_log = get_log("garbagecollect")


def collect(path: Path | None, options: OfflineOptions, *, debug_server: str | None, as_json: bool) -> int:
    """Collect garbage, print what was done, and return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used.
        CollectionRefused: it would not be safe.
        StorageFull, StorageUnavailable, NotesFull: storage, or the disk of the temporary file, failed.
    """
    config = read_or_defaults(path).config
    see_that_it_has_link_files(config)
    with Bars(counts=True) as bars:
        # Standard output is for the answer; and the bars want to know of lines that are written between them.
        configure(dataclasses.replace(log_settings(config), output="stderr"))
        if debug_server is not None:
            _log.warning("there is no debug server: --debug-server does nothing", address=debug_server)
        began = time.monotonic()
        totals = collect_garbage(config, options, bars)
    duration_s = time.monotonic() - began
    if as_json:
        print(
            json.dumps({"dry_run": options.dry_run, **dataclasses.asdict(totals), "duration_s": round(duration_s, 3)})
        )
    else:
        _print(totals, duration_s, dry_run=options.dry_run)
    return 1 if totals.blobs_not_deleted else 0


def interrupted() -> int:
    """Say what Ctrl-C means; return the exit status."""
    print("interrupted: what was deleted stays deleted, and the next run finishes the work", file=sys.stderr)
    return INTERRUPTED


def _print(totals: Totals, duration_s: float, *, dry_run: bool) -> None:
    manifests, blobs, freed = (
        (totals.manifests_to_delete, totals.blobs_to_delete, totals.storage_use_estimate_bytes)
        if dry_run
        else (totals.manifests_deleted, totals.blobs_deleted, totals.freed_bytes)
    )
    deleted, room = ("to be deleted", "would be freed") if dry_run else ("deleted", "freed")
    print(f"repositories  {totals.repositories:,}")
    print(f"manifests     {totals.manifests:,}, of which {deleted}: {manifests:,}")
    print(f"blobs         {totals.blobs:,}, of which {deleted}: {blobs:,}")
    print(f"room          {shown_bytes(freed)} {room} ({freed} bytes)")
    for count, what in (
        (totals.links_invalid, "link files are invalid"),
        (totals.manifests_missing, "manifests have no payload"),
        (totals.manifests_damaged, "manifests cannot be read"),
        (totals.repositories_kept_whole, "repositories were kept whole, as something in them cannot be read"),
        (totals.blobs_not_deleted, "blobs are kept by the storage for now, and a later run deletes them"),
    ):
        if count:
            print(f"note          {count:,} {what}; the log names them")
    print(f"time          {duration_s:.1f} s")
