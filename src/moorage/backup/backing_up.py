"""The making of a backup while everything runs.

The order is what keeps it whole: garbage collection is held; then the databases are copied, both as they are at one
moment, so that each image is where its project is; then the blobs that the registry's copy names. A blob is in storage
before a row names it, and stays while collection is held. See ADR 0093 and ADR 0188.
"""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from moorage import __version__
from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused, OneBackup
from moorage.backup.backup_record import (
    BackupRecord,
    BlobsRecord,
    HalfRecord,
    record_files,
    write_record,
)
from moorage.backup.blob_copies import BLOB_BAR, PARALLEL_BLOBS, BlobsOut, CopySums
from moorage.backup.garbage_hold import claims_ended, garbage_held
from moorage.backup.kept_files import keep, not_there
from moorage.backup.link_files import LinkFilesOut, blobs_in_storage
from moorage.backup.one_moment import Snapshot, one_moment
from moorage.backup.places import ServerPlaces, see_that_they_are_two
from moorage.backup.same_registry import identity_of, see_that_it_is_the_same
from moorage.backup.sqlite_copies import SqliteSnapshot, sqlite_blobs, sqlite_rows
from moorage.gc.offline.offline_run import in_parallel
from moorage.sql.database_place import DatabasePlace
from moorage.starting.database_choice import database_beside
from moorage.storage.base import StorageDriver
from moorage.wiring.storage import local_folder
from moorage.work.reports import WorkReports

DATABASE_BAR = "databases"
_PREFIXES = ("REGISTRY_", "MOORAGE_CONTROL_")
_MIGRATIONS = "SELECT phase || ' ' || name FROM moorage_migrations ORDER BY 1"
_CONTROL_MIGRATIONS = "SELECT app || ' ' || name FROM django_migrations ORDER BY 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeBackup:
    """A backup that is whole."""

    backup: OneBackup
    record: BackupRecord


async def make_backup(
    places: ServerPlaces,
    folder: BackupFolder,
    *,
    with_blobs: bool | None,
    reports: WorkReports,
    may_be_another: bool = False,
) -> MadeBackup:
    """Make a backup in *folder*. Interrupted at any moment, it leaves none that looks whole.

    Args:
        places: what is copied.
        folder: the folder of all backups.
        with_blobs: whether blobs are copied, and not only listed; None: if storage is a folder of this machine.
        reports: where to tell of progress.
        may_be_another: True if the folder may have backups of another registry.

    Raises:
        BackupRefused, ConfigurationError: it cannot be made; what would help.
        BackendError: storage or a database failed.
    """
    copies = local_folder(places.config) is not None if with_blobs is None else with_blobs
    storage = places.storage()
    try:
        with folder.held():
            async with garbage_held(storage) as lease:
                place = await database_beside(places.config, storage)
                if place is not None:
                    await claims_ended(place)
                making = _Making(places, folder, storage, copies=copies, check=lease.check, reports=reports)
                return await making.run(place, may_be_another=may_be_another)
    except OSError as exc:
        msg = (
            f"{exc.filename or folder.path} cannot be used: {exc.strerror}; blobs that are whole stay, and the same "
            "command goes on from there"
        )
        raise BackupRefused(msg) from exc
    finally:
        await storage.close()


class _Making:
    """One backup on its way."""

    def __init__(
        self,
        places: ServerPlaces,
        folder: BackupFolder,
        storage: StorageDriver,
        *,
        copies: bool,
        check: Callable[[], None],
        reports: WorkReports,
    ) -> None:
        self._places = places
        self._folder = folder
        self._storage = storage
        self._copies = copies
        self._check = check
        self._reports = reports
        self._to = folder.begin()
        self._listed = CopySums()

    async def run(self, place: DatabasePlace | None, *, may_be_another: bool) -> MadeBackup:
        """Make it."""
        began, started_at = time.monotonic(), datetime.now(UTC)
        self._reports.begins(DATABASE_BAR, 2)
        of_control = None if self._places.control is None else self._places.control_database()
        if not isinstance(of_control, Path):  # A file is copied whole.
            see_that_they_are_two(of_control, place)
        async with one_moment(of_control, place) as (control_snapshot, registry_snapshot):
            control = await self._control(control_snapshot)
            self._reports.advanced(DATABASE_BAR)
            registry = await self._registry(registry_snapshot)
        self._reports.advanced(DATABASE_BAR)
        identity = await identity_of(place)
        if not may_be_another:
            await asyncio.to_thread(see_that_it_is_the_same, self._folder, self._to, identity)
        home = self._home()
        named = self._places.named_files()
        kept = keep(named, self._to.files)
        sums = await self._blobs() if self._copies else self._listed
        for missing in not_there(named):
            sums.problems.add(missing)
        self._check()  # Else garbage collection may have removed what was not copied yet.
        record = BackupRecord(
            moorage=__version__,
            started_at=started_at.isoformat(timespec="seconds"),
            seconds=0,
            driver=self._places.config.storage.name,
            identity=identity,
            registry=registry,
            control=control,
            folder=str(home),
            is_one_folder=self._places.config_file is not None and self._places.outside(home) is None,
            kept=kept,
            variables=sorted(name for name in os.environ if name.startswith(_PREFIXES)),
            blobs=BlobsRecord(
                are_copied=self._copies,
                count=self._listed.count,
                size_bytes=self._listed.size_bytes,
                copied=sums.copied,
                copied_bytes=sums.copied_bytes,
            ),
            problems=sums.problems.first,
            problem_count=sums.problems.count,
            files=await asyncio.to_thread(record_files, self._to.path),
        ).model_copy(update={"seconds": round(time.monotonic() - began, 3)})
        write_record(self._to.record, record)
        name = self._folder.new_name(started_at)
        return MadeBackup(backup=await asyncio.to_thread(self._folder.finish, name), record=record)

    def _home(self) -> Path:
        file = self._places.config_file
        return Path.cwd() if file is None else file.parent

    async def _control(self, snapshot: Snapshot | None) -> HalfRecord | None:
        if snapshot is None:
            return None
        if isinstance(snapshot, SqliteSnapshot):
            return await _sqlite_half(snapshot, self._to.control_sqlite, _CONTROL_MIGRATIONS)
        rows = await snapshot.copy_tables(self._to.control_tables)
        return HalfRecord(kind="postgresql", rows=rows, migrations=await snapshot.column(_CONTROL_MIGRATIONS))

    async def _registry(self, snapshot: Snapshot | None) -> HalfRecord:
        with self._to.blob_list.open("x", encoding="ascii") as out:
            add = self._adder(out.write)
            if snapshot is None:
                links = LinkFilesOut(self._storage)
                await links.copy(self._to.links)
                async for blob in blobs_in_storage(self._storage):
                    add(blob)
                return HalfRecord(kind="layout", rows={"links": links.count})
            if isinstance(snapshot, SqliteSnapshot):
                half = await _sqlite_half(snapshot, self._to.registry_sqlite, _MIGRATIONS)
                await asyncio.to_thread(_list_sqlite, self._to.registry_sqlite, add)
                return half
            rows = await snapshot.copy_tables(self._to.registry_tables)
            async for blob in snapshot.blobs():
                add(blob)
            return HalfRecord(kind="postgresql", rows=rows, migrations=await snapshot.column(_MIGRATIONS))

    def _adder(self, write: Callable[[str], object]) -> Callable[[BackupBlob], None]:
        def add(blob: BackupBlob) -> None:
            self._listed.count += 1
            self._listed.size_bytes += blob.size_bytes
            write(blob.to_line())

        return add

    async def _blobs(self) -> CopySums:
        self._reports.begins(BLOB_BAR, self._listed.size_bytes)
        out = BlobsOut(self._storage, self._folder, self._reports)

        async def copy(blob: BackupBlob) -> None:
            self._check()
            await out.copy(blob)

        await in_parallel(self._to.blobs(), copy, limit=PARALLEL_BLOBS)
        return out.sums


def _list_sqlite(path: Path, add: Callable[[BackupBlob], None]) -> None:
    for blob in sqlite_blobs(path):
        add(blob)


async def _sqlite_half(snapshot: SqliteSnapshot, target: Path, migrations: str) -> HalfRecord:
    await snapshot.copy(target)
    rows = await asyncio.to_thread(sqlite_rows, target)
    return HalfRecord(kind="sqlite", rows=rows, migrations=await snapshot.column(migrations))
