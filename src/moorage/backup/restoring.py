"""The way back: a backup brought onto places that are empty.

Nothing is written before it is clear that everything can be. A note in storage comes first and goes last: while it is
there nobody serves or collects what is there already, and the same restore goes on with it. Blobs come before
databases, and each database is there whole or not at all.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused, OneBackup
from moorage.backup.backup_record import BackupRecord, digest_of_record, see_that_files_are_right
from moorage.backup.blob_copies import BLOB_BAR, PARALLEL_BLOBS, BlobsBack
from moorage.backup.control_tables import make_control_tables, see_that_tables_are_known
from moorage.backup.link_files import link_lines
from moorage.backup.places import ServerPlaces, kind_of, see_that_they_are_two
from moorage.backup.postgres_copies import load_tables, tables_of
from moorage.backup.sqlite_copies import put_sqlite, see_that_no_file_is_left
from moorage.errors import BackendError, PathUnknown
from moorage.gc.offline.offline_run import batched, in_parallel
from moorage.metadata.schema.chains import CHAINS, Chains
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import up
from moorage.sql.database_place import DatabasePlace, PostgresSettings, named_database
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import forget_note
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, Announcement, announce, living_others
from moorage.storage.restore_note import RestoreNote
from moorage.work.noted import Noted
from moorage.work.reports import WorkReports

_PARALLEL_LINKS = 16
_STATS = 500
_SHOWN = 5
_OF_BEFORE = (
    *(lock.path for lock in Lock),
    *(paths.IDENTITY, paths.IMPORT, paths.ADOPTION, paths.CHECK, paths.CHECKED),
)
"""Notes that tell of what was in storage until somebody emptied it: they would stop a start."""


@dataclass(slots=True)
class Restored:
    """Result of a restore."""

    blobs: int = 0
    size_bytes: int = 0
    problems: Noted[str] = field(default_factory=Noted)
    registry_lacks: list[str] = field(default_factory=list)
    """Migrations that came after the backup: PostgreSQL's tables are as they were, and migrated by a command."""
    control_lacks: list[str] = field(default_factory=list)
    """The same of the control plane's tables."""
    left_out: list[str] = field(default_factory=list)
    """Tables of the backup that are none of ours: somebody else had them in the same database."""


class PutTables(NamedTuple):
    """Tables of a database that was brought back."""

    lacks: list[str]
    """Migrations that came after the backup."""
    left_out: list[str]
    """Tables that are none of ours."""


async def restore(
    folder: BackupFolder, one: OneBackup, places: ServerPlaces, *, record: BackupRecord, reports: WorkReports
) -> Restored:
    """Bring a backup back onto empty places, or go on with that after it was ended before it was done.

    Raises:
        BackupRefused, ConfigurationError: it cannot be brought there; what would help.
        BackendError: storage or a database failed on the way. The same call goes on from there.
    """
    await asyncio.to_thread(see_that_files_are_right, one, record)
    place = _registry_place(places, record)
    control = _control_place(places, record)
    see_that_they_are_two(control, place)
    storage = places.storage(must_be_there=False)
    try:
        async with alone(storage) as presence:
            back = _Restoring(folder, one, places, storage, record=record, reports=reports, presence=presence)
            return await back.run(place, control)
    except OSError as exc:
        msg = f"{exc.filename} cannot be used: {exc.strerror}; the same command goes on from there"
        raise BackupRefused(msg) from exc
    finally:
        await storage.close()


class _Restoring:
    """One restore on its way."""

    def __init__(
        self,
        folder: BackupFolder,
        one: OneBackup,
        places: ServerPlaces,
        storage: StorageDriver,
        *,
        record: BackupRecord,
        reports: WorkReports,
        presence: Announcement,
    ) -> None:
        self._folder = folder
        self._one = one
        self._places = places
        self._storage = storage
        self._record = record
        self._reports = reports
        self._presence = presence
        self._check = presence.check
        self._done = Restored()

    async def run(self, place: DatabasePlace | None, control: DatabasePlace | None) -> Restored:
        """Bring it back."""
        storage, record = self._storage, self._record
        ours = RestoreNote(backup=self._one.path.name, record=digest_of_record(record), places=_named(place, control))
        note = begun = await _begun(storage, ours)
        if note is None:
            await _see_that_all_is_empty(storage, place, control, record=record)
            note = ours
            await note.write(storage)
            await self._see_that_nobody_has_started()
        if record.blobs.are_copied:
            await self._copy_blobs(goes_on=begun is not None)
        else:
            await _look_for_blobs(self._one, storage, self._done)
        self._check()  # Else another restore may have begun beside this one, or have ended and be served.
        if begun is None:  # Hours have gone by: a control plane may have been started.
            await _see_that_databases_are_empty(place, control)
        if control is not None and not note.has_control:
            self._done.control_lacks, left_out = await _put_control(self._one, control, self._places, record)
            self._done.left_out += left_out
            await replace(note, has_control=True).write(storage)
        self._check()
        self._done.registry_lacks, left_out = await put_registry(self._one, storage, place, record)
        self._done.left_out += left_out
        with suppress(PathUnknown):  # What a restore that was killed has left on its way.
            await storage.delete(paths.RESTORING)
        for path in _OF_BEFORE if record.blobs.are_copied else ():  # Else blobs were there, and may be another's.
            await forget_note(storage, path)
        await forget_note(storage, paths.RESTORE)
        return self._done

    async def _see_that_nobody_has_started(self) -> None:
        """Look again, now that a registry which starts sees the note."""
        try:
            await _refuse_others(self._storage, self._presence)
        except BackupRefused:
            await forget_note(self._storage, paths.RESTORE)  # Nothing else is there yet.
            raise

    async def _copy_blobs(self, *, goes_on: bool) -> None:
        self._reports.begins(BLOB_BAR, self._record.blobs.size_bytes)
        back = BlobsBack(self._storage, self._folder, self._reports, goes_on=goes_on)

        async def copy(blob: BackupBlob) -> None:
            self._check()
            await back.copy(blob)

        await in_parallel(self._one.blobs(), copy, limit=PARALLEL_BLOBS)
        self._done.blobs, self._done.size_bytes = back.sums.copied, back.sums.copied_bytes
        self._done.problems = back.sums.problems


async def put_registry(
    one: OneBackup, storage: StorageDriver, place: DatabasePlace | None, record: BackupRecord
) -> PutTables:
    """Put the registry's metadata where it belongs.

    Raises:
        BackupRefused, BackendError, OSError: it does not go there.
    """
    if place is None:
        # In any order, as nobody is served from there yet.
        await in_parallel(link_lines(one.links), lambda link: storage.put(*link), limit=_PARALLEL_LINKS)
    elif isinstance(place, Path):
        await asyncio.to_thread(put_sqlite, one.registry_sqlite, place)
    else:
        chains = _chains_of(record)
        await up(place, Wish(), chains=chains)
        left_out, known = await load_tables(place, one.registry_tables), chains.steps()
        return PutTables([step.migration.name for step in CHAINS.steps() if step not in known], left_out)
    return PutTables([], [])


def _registry_place(places: ServerPlaces, record: BackupRecord) -> DatabasePlace | None:
    section = places.config.database
    wants_links = section.enabled is False or (section.enabled == "prefer" and record.registry.kind == "layout")
    place = None if wants_links else named_database(section)
    _see_that_it_is_the_same("database", kind_of(place), record.registry.kind)
    if isinstance(place, PostgresSettings):
        _chains_of(record)
    return place


def _control_place(places: ServerPlaces, record: BackupRecord) -> DatabasePlace | None:
    if record.control is None:
        return None
    if places.control is None:
        msg = "this backup has users and projects; name the control.yml of the place for them by --control"
        raise BackupRefused(msg)
    place = places.control_database()
    _see_that_it_is_the_same("control plane's database", kind_of(place), record.control.kind)
    if isinstance(place, PostgresSettings):
        see_that_tables_are_known(places.control, record.control.migrations, record.moorage)
    return place


def _see_that_it_is_the_same(what: str, there: str, wanted: str) -> None:
    if there != wanted:
        words = {"layout": "link files, without a database", "sqlite": "SQLite", "postgresql": "PostgreSQL"}
        msg = (
            f"the {what} of the backup is {words[wanted]}, and that of the configuration {words[there]}: name the same"
        )
        raise BackupRefused(msg)


def _chains_of(record: BackupRecord) -> Chains:
    """The migrations that make the tables of a backup, of this version or an older one."""
    chains = CHAINS.as_of(record.registry.migrations)
    if chains is None:
        known = {f"{step.phase} {step.migration.name}" for step in CHAINS.steps()}
        different = sorted(set(record.registry.migrations) - known)
        msg = (
            f"the backup is of Moorage {record.moorage}, whose tables this version does not know how to make "
            f"({', '.join(different[:_SHOWN])}): restore with that version"
        )
        raise BackupRefused(msg)
    return chains


def _named(place: DatabasePlace | None, control: DatabasePlace | None) -> str:
    """The databases in words, by which a restore knows its own again."""
    return " ".join(
        f"{one.host}:{one.port}/{one.dbname}" if isinstance(one, PostgresSettings) else str(one and one.absolute())
        for one in (place, control)
    )


@asynccontextmanager
async def alone(storage: StorageDriver) -> AsyncIterator[Announcement]:
    """Be the only one who writes to the storage until the block ends.

    A second restore of the same backup would take what this one has written for its own, and write a database anew
    over one that is served by then.
    """
    presence = await announce(storage, Activity.WRITING)
    try:
        await _refuse_others(storage, presence)
        yield presence
    finally:
        with suppress(BackendError):
            await presence.close()


async def _refuse_others(storage: StorageDriver, presence: Announcement) -> None:
    others = await living_others(storage, but=presence)
    if others:
        msg = (
            f"a registry or another restore is at work on that storage: {', '.join(map(str, others))}; stop it, or "
            "wait for its end"
        )
        raise BackupRefused(msg)


async def _begun(storage: StorageDriver, ours: RestoreNote) -> RestoreNote | None:
    """Return the note of a restore that is gone on with; None: nothing was begun there.

    What is in its places is its own: nothing is served from them before it is done.
    """
    note = await RestoreNote.read(storage)
    if note is not None and replace(note, has_control=False) != ours:
        msg = f"{note.said}; this is not the same backup, or it goes into other databases"
        raise BackupRefused(msg)
    return note


async def _see_that_all_is_empty(
    storage: StorageDriver, place: DatabasePlace | None, control: DatabasePlace | None, *, record: BackupRecord
) -> None:
    for folder in [paths.REPOSITORIES, *([paths.BLOBS] if record.blobs.are_copied else [])]:
        if await _has_names(storage, folder):
            msg = (
                f"storage is not empty: there is something in {folder}; a backup is never mixed with what is there. "
                "Name an empty folder or bucket, or empty this one by hand"
            )
            raise BackupRefused(msg)
    await _see_that_databases_are_empty(place, control)


async def _see_that_databases_are_empty(place: DatabasePlace | None, control: DatabasePlace | None) -> None:
    for which, where in (("registry", place), ("control plane", control)):
        if isinstance(where, Path):
            see_that_no_file_is_left(where)
        if isinstance(where, PostgresSettings):
            tables = await tables_of(where)
            if tables:
                msg = (
                    f"the database {where.dbname} of the {which} is not empty: it has {tables[0]}; make a new one with "
                    "createdb, and name that"
                )
                raise BackupRefused(msg)


async def _has_names(storage: StorageDriver, folder: str) -> bool:
    try:
        return bool(await storage.list(folder, limit=1))
    except PathUnknown:
        return False


async def _look_for_blobs(one: OneBackup, storage: StorageDriver, done: Restored) -> None:
    for some in batched(one.blobs(), _STATS):
        states = await storage.stat_each([paths.blob(blob.digest) for blob in some])
        for blob, state in zip(some, states, strict=True):
            if state is not None and state.size_bytes == blob.size_bytes:
                done.blobs += 1
                done.size_bytes += blob.size_bytes
                continue
            done.problems.add(f"{blob.digest} is not in storage, and the backup has only listed it")


async def _put_control(one: OneBackup, place: DatabasePlace, places: ServerPlaces, record: BackupRecord) -> PutTables:
    """Put the control plane's tables where they belong."""
    if isinstance(place, Path):
        await asyncio.to_thread(put_sqlite, one.control_sqlite, place)
        return PutTables([], [])
    assert places.control is not None  # noqa: S101 - there is a place
    assert record.control is not None  # noqa: S101 - as above
    pending = await asyncio.to_thread(make_control_tables, places.control, record.control.migrations)
    return PutTables(pending, await load_tables(place, one.control_tables))
