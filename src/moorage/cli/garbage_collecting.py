"""Runs of ``moorage garbage-collect``, and the output."""

import asyncio
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from moorage.cli.amounts import shown_bytes
from moorage.cli.configuration import read_or_defaults
from moorage.config import Config
from moorage.gc.offline.offline_collection import CollectionRefused, collect_offline
from moorage.gc.offline.offline_run import CollectionReports, OfflineOptions, Totals
from moorage.telemetry import configure, get_log
from moorage.wiring.registry import log_settings
from moorage.wiring.storage import local_folder, storage_driver

_log = get_log("garbagecollect")


def collect(path: Path | None, options: OfflineOptions, *, debug_server: str | None, as_json: bool) -> int:
    """Collect garbage, print what was done, and return the exit status.

    Raises:
        ConfigurationError: the configuration cannot be used.
        CollectionRefused: it would not be safe.
        StorageFull, StorageUnavailable, NotesFull: storage, or the disk of the temporary file, failed.
    """
    config = read_or_defaults(path).config
    if config.database.enabled is True:
        msg = (
            "the garbage-collect command is not compatible with database metadata, please use online garbage "
            "collection instead"
        )
        raise CollectionRefused(msg)
    with _Bars() as bars:
        # Standard output is for the answer; and the bars want to know of lines that are written between them.
        configure(dataclasses.replace(log_settings(config), output="stderr"))
        if debug_server is not None:
            _log.warning("there is no debug server: --debug-server does nothing", address=debug_server)
        began = time.monotonic()
        totals = _collect(config, options, bars)
    duration_s = time.monotonic() - began
    if as_json:
        print(
            json.dumps({"dry_run": options.dry_run, **dataclasses.asdict(totals), "duration_s": round(duration_s, 3)})
        )
    else:
        _print(totals, duration_s, dry_run=options.dry_run)
    return 0


def interrupted() -> int:
    """Say what Ctrl-C means; return the exit status."""
    print("interrupted: what was deleted stays deleted, and the next run finishes the work", file=sys.stderr)
    return 1


def _collect(config: Config, options: OfflineOptions, reports: CollectionReports) -> Totals:
    folder = local_folder(config)
    if folder is not None and not folder.is_dir():
        _log.warning("skipping garbage collection: there is no such folder", path=str(folder))
        return Totals()

    async def main() -> Totals:
        storage = storage_driver(config)
        try:
            return await collect_offline(storage, options, reports)
        finally:
            await storage.close()

    return asyncio.run(main())


class _RateColumn(ProgressColumn):
    """Number per second."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")


class _Bars(CollectionReports):
    """Shows on standard error how it goes, if that is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._progress.stop()

    def begins(self, stage: str, unit: str, total: int) -> None:
        """See the interface."""
        self._task = self._progress.add_task(f"{stage}: {unit}", total=total)

    def advanced(self, count: int = 1) -> None:
        """See the interface."""
        if self._task is not None:
            self._progress.advance(self._task, count)


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
    ):
        if count:
            print(f"note          {count:,} {what}; the log names them")
    print(f"time          {duration_s:.1f} s")
