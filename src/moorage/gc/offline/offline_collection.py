"""Offline garbage collection, for images in link files: mark what is alive, then sweep the rest.

It relies on nobody writing meanwhile, and makes sure of it (see ``storage/presence.py``). Everything is known before
anything is deleted; see ``marking.py`` for what stays, and ``sweeping.py`` for the order of deleting.

Source: GitLab features FGC-001 to FGC-011; ``docs/adr/0017-offline-garbage-collection.md``.
"""

import sqlite3
import time
from contextlib import AsyncExitStack, closing

from moorage.errors import MoorageError
from moorage.gc.offline.marking import MARKED_REPOSITORIES, mark_repository
from moorage.gc.offline.marks import Marks
from moorage.gc.offline.offline_run import (
    OfflineOptions,
    OfflineRun,
    Totals,
    algorithms_in,
    in_parallel,
)
from moorage.gc.offline.sweeping import SWEPT_BLOBS, SWEPT_REPOSITORIES, find_dead_blobs, remove_blobs, unlink
from moorage.storage import locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from moorage.storage.restore_note import RestoreNote
from moorage.storage.walk import repository_folders
from moorage.telemetry import get_log
from moorage.work.reports import WorkReports

_log = get_log("garbagecollect")


class CollectionRefused(MoorageError):
    """A collection that would not be safe. Nothing was deleted."""


class NotesFull(MoorageError):
    """The temporary file of a collection cannot be written. What was deleted until then is gone."""


async def collect_offline(storage: StorageDriver, options: OfflineOptions, reports: WorkReports) -> Totals:
    """Collect garbage and return what was done.

    Interrupted at any moment it has deleted nothing that is alive, and the next one finishes its work.

    Raises:
        CollectionRefused: the images are in a database, or somebody else is at work.
        StorageFull, StorageUnavailable: storage failed. What was deleted until then is gone.
        NotesFull: there is no room for the temporary file.
    """
    try:
        return await _collect(storage, options, reports)
    except sqlite3.Error as exc:
        msg = f"the notes of the collection do not fit; give them room by TMPDIR or SQLITE_TMPDIR: {exc}"
        raise NotesFull(msg) from exc


async def _collect(storage: StorageDriver, options: OfflineOptions, reports: WorkReports) -> Totals:
    await _refuse_database(storage)
    await _refuse_half_restored(storage)
    announcement: Announcement | None = None
    async with AsyncExitStack() as stack:
        if not options.dry_run:
            await _refuse_backups(storage)
        if not options.dry_run and not options.force:
            announcement = await announce(storage, Activity.COLLECTING)
            stack.push_async_callback(announcement.close)
            await _refuse_company(storage, announcement)
            await _refuse_backups(storage)  # Again, now that a backup which begins sees us.
        marks = stack.enter_context(closing(Marks()))
        algorithms = await algorithms_in(storage)
        run = OfflineRun(
            storage=storage,
            marks=marks,
            options=options,
            log=_log,
            reports=reports,
            algorithms=algorithms,
            announcement=announcement,
        )
        if not await _find_repositories(run):
            return run.totals
        await _mark(run)
        if not options.dry_run:
            await _sweep(run)
        return run.totals


async def _refuse_half_restored(storage: StorageDriver) -> None:
    """With ``--force`` too: what a restore has not linked yet would pass for garbage."""
    note = await RestoreNote.read(storage)
    if note is not None:
        raise CollectionRefused(note.said)


async def _refuse_database(storage: StorageDriver) -> None:
    if (await locks.read(storage)).database:
        _log.error(
            "this filesystem is managed by the metadata database, and offline garbage collection is no longer "
            "possible, if you are not using the database anymore, remove the file at the lock_path in this log message",
            lock_path=Lock.DATABASE.path,
        )
        msg = "database managed filesystem, cannot continue"
        raise CollectionRefused(msg)


async def _refuse_company(storage: StorageDriver, ours: Announcement) -> None:
    writers = await others_at_work(storage, Activity.WRITING)
    if writers:
        msg = (
            f"a registry that takes pushes is at work on this storage: {', '.join(map(str, writers))}; restart it in "
            "read-only mode, by storage.maintenance.readonly.enabled: true or by the variable "
            "REGISTRY_STORAGE_MAINTENANCE_READONLY='{\"enabled\":true}', or stop it; --force goes on beside it"
        )
        raise CollectionRefused(msg)
    collectors = await others_at_work(storage, Activity.COLLECTING, but=ours)
    if collectors:
        msg = f"another garbage collection is at work on this storage: {', '.join(map(str, collectors))}"
        raise CollectionRefused(msg)


async def _refuse_backups(storage: StorageDriver) -> None:
    """With ``--force`` too: what a backup has not copied yet would be missing in it."""
    backups = await others_at_work(storage, Activity.BACKING_UP)
    if backups:
        msg = f"a backup of this storage is being made by {', '.join(map(str, backups))}; collect when it has ended"
        raise CollectionRefused(msg)


async def _find_repositories(run: OfflineRun) -> bool:
    """Note all repositories; False if there is none with manifests."""
    has_manifests = False
    async for name in repository_folders(run.storage):
        run.marks.add_repository(name)
        has_manifests = has_manifests or await run.storage.exists(paths.manifests(name))
    if not has_manifests:
        # Where images are in a database, or a folder was mounted that is not the right one, all blobs look dead.
        run.log.warning("skipping garbage collection: no repository with manifests is there", path=paths.REPOSITORIES)
    return has_manifests


async def _mark(run: OfflineRun) -> None:
    began = time.monotonic()
    stage = {"stage": "mark", "driver": run.storage.name, "dry_run": run.options.dry_run}
    run.log.info("starting mark stage", **stage)
    run.reports.begins(MARKED_REPOSITORIES, run.marks.count_repositories())
    await in_parallel(run.marks.repositories(), lambda repository: mark_repository(run, repository))
    run.totals.blobs_marked = run.marks.count_marks()
    await find_dead_blobs(run)
    run.log.info(
        "mark stage complete",
        **stage,
        blobs_marked=run.totals.blobs_marked,
        blobs_to_delete=run.totals.blobs_to_delete,
        manifests_to_delete=run.totals.manifests_to_delete,
        storage_use_estimate_bytes=run.totals.storage_use_estimate_bytes,
        duration_s=round(time.monotonic() - began, 3),
    )


async def _sweep(run: OfflineRun) -> None:
    began = time.monotonic()
    stage = {"stage": "sweep", "driver": run.storage.name, "dry_run": False}
    run.log.info("starting sweep stage", **stage)
    run.reports.begins(SWEPT_REPOSITORIES, run.marks.count_repositories())
    await in_parallel(run.marks.repositories(), lambda repository: unlink(run, repository))
    run.reports.begins(SWEPT_BLOBS, run.totals.blobs_to_delete)
    await remove_blobs(run)
    run.log.info(
        "sweep stage complete",
        **stage,
        blobs_deleted=run.totals.blobs_deleted,
        blobs_not_deleted=run.totals.blobs_not_deleted,
        manifests_deleted=run.totals.manifests_deleted,
        layer_links_deleted=run.totals.layer_links_deleted,
        freed_bytes=run.totals.freed_bytes,
        duration_s=round(time.monotonic() - began, 3),
    )
