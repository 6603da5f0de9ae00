"""Trials of a backup: every byte compared with its digest, all brought back into a scratch place, images pulled."""

import asyncio
import contextlib
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused, OneBackup
from moorage.backup.backup_record import BackupRecord, HalfRecord, file_problems
from moorage.backup.blob_copies import BLOB_BAR, blob_problem
from moorage.backup.link_files import link_lines
from moorage.backup.postgres_copies import load_tables, postgres_snapshot
from moorage.backup.restoring import put_registry
from moorage.backup.same_registry import newest_of_each
from moorage.backup.scratch_database import ScratchDatabase, as_configured, migrate_control
from moorage.backup.scratch_folders import scratch_folder
from moorage.backup.scratch_registry import ScratchRegistry
from moorage.backup.sqlite_copies import sqlite_problems, sqlite_rows
from moorage.backup.trial_pulls import Puller
from moorage.backup.trial_report import SampledTag, VerifyReport
from moorage.gc.offline.offline_run import batched
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import up
from moorage.oci.digests import Hasher
from moorage.sql.database_place import PostgresSettings
from moorage.storage import paths
from moorage.wiring.backup_sources import digest_of, folder_as_storage
from moorage.work.reports import WorkReports

SAMPLE = 20
"""Images that are pulled."""
_TAGS = """
    SELECT r.path, t.name, m.digest FROM tags t
    JOIN manifests m ON m.id = t.manifest_id JOIN repositories r ON r.id = t.repository_id
    ORDER BY random() LIMIT ?"""
_PAYLOADS = "SELECT r.path, m.digest, m.payload FROM manifests m JOIN repositories r ON r.id = m.repository_id"


def verify(
    folder: BackupFolder,
    one: OneBackup,
    record: BackupRecord,
    *,
    sample: int,
    reports: WorkReports,
    server: PostgresSettings | None = None,
) -> VerifyReport:
    """Try a backup out.

    Args:
        folder: the folder of all backups.
        one: the one that is tried.
        record: its record.
        sample: tags that are pulled.
        reports: where to tell of progress.
        server: PostgreSQL, for tables that were PostgreSQL's; None: such tables are compared by digest only.

    Raises:
        DatabaseUnavailable, BackupRefused: there is no database for the trial on *server*.
    """
    began = time.monotonic()
    report = VerifyReport(backup=one.path.name)
    report.files = len(record.files)
    damaged = file_problems(one, record)
    for problem in damaged:
        report.problems.add(problem)
    others = [each.path.name for name, (each, _) in newest_of_each(folder).items() if name != record.identity]
    if others and record.identity:
        report.notes.append(f"backups of another registry in this folder; --backup {others[0]} is the newest of them")
    for problem in record.problems:
        report.problems.add(f"when the backup was made: {problem}")
    if record.blobs.are_copied:
        _hash_all(folder, one, record, report=report, reports=reports)
    else:
        report.notes.append("blobs are only listed, in a store that has copies of its own: none was read or pulled")
    if damaged:
        report.notes.append("as files of it are damaged, it was not restored")
    else:
        _try_databases(one, record, report, has_server=server is not None)
        try:
            if server is not None:
                _try_postgres(folder, one, record, report=report, sample=sample, server=server)
            if record.blobs.are_copied and sample and record.registry.kind != "postgresql":
                _try_images(folder, one, record, report=report, sample=sample)
        except OSError as exc:  # What was found until then may have taken hours.
            report.problems.add(f"it could not be tried any further: {exc}")
    report.seconds = round(time.monotonic() - began, 3)
    return report


def _hash_all(
    folder: BackupFolder, one: OneBackup, record: BackupRecord, *, report: VerifyReport, reports: WorkReports
) -> None:
    began = time.monotonic()
    reports.begins(BLOB_BAR, record.blobs.size_bytes)
    known = {problem.partition(" ")[0] for problem in record.problems}

    def look(blob: BackupBlob) -> tuple[BackupBlob, str]:
        return blob, blob_problem(folder, blob)

    threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        try:
            for some in batched(one.blobs(), threads * 16):
                for blob, problem in pool.map(look, some):
                    report.blobs += 1
                    report.hashed_bytes += blob.size_bytes
                    if problem and str(blob.digest) not in known:
                        report.problems.add(problem)
                    reports.advanced(BLOB_BAR, blob.size_bytes)
        except (BackupRefused, OSError) as exc:
            report.problems.add(f"the list of blobs cannot be read: {exc}")
    if report.blobs != record.blobs.count:
        report.problems.add(f"the list has {report.blobs} blobs instead of {record.blobs.count}")
    report.hashing_s = round(time.monotonic() - began, 3)


def _try_databases(one: OneBackup, record: BackupRecord, report: VerifyReport, *, has_server: bool) -> None:
    halves = (("registry", record.registry, one.registry_sqlite), ("control", record.control, one.control_sqlite))
    for name, half, path in halves:
        if half is None:
            continue
        report.rows.update({f"{name}: {table}": count for table, count in half.rows.items()})
        if half.kind == "sqlite":
            _try_sqlite(path, half, report)
            if path == one.registry_sqlite:
                _hash_manifests(path, report)
        elif half.kind == "postgresql" and not has_server:
            report.notes.append(
                f"{name}: its tables are PostgreSQL's; --scratch FILE names a server on which they are tried"
            )


def _try_sqlite(path: Path, half: HalfRecord, report: VerifyReport) -> None:
    for problem in sqlite_problems(path):
        report.problems.add(problem)
    with contextlib.suppress(BackupRefused):  # Said already.
        rows = sqlite_rows(path)
        if rows != half.rows:
            different = sorted(set(rows.items()) ^ set(half.rows.items()))
            report.problems.add(f"{path.name} has other rows than when it was copied: {different[:5]}")


def _try_images(
    folder: BackupFolder, one: OneBackup, record: BackupRecord, *, report: VerifyReport, sample: int
) -> None:
    with _scratch_folder(folder) as scratch:
        root = _linked_blobs(folder, one, scratch)
        place = scratch / "registry.db" if record.registry.kind == "sqlite" else None
        asyncio.run(put_registry(one, folder_as_storage(root), place, record))
        tags = _tags_of_sqlite(place, sample) if place is not None else _tags_of_links(one.links, sample)
        section = {"enabled": False} if place is None else {"enabled": True, "sqlite": str(place)}
        _pull(folder, ScratchRegistry(root, section), tags, report)


def _try_postgres(
    folder: BackupFolder,
    one: OneBackup,
    record: BackupRecord,
    *,
    report: VerifyReport,
    sample: int,
    server: PostgresSettings,
) -> None:
    """Bring tables back into databases of their own, count them, read every manifest, and serve from them."""
    with _scratch_folder(folder) as scratch:
        if record.control is not None and record.control.kind == "postgresql":
            with ScratchDatabase(server) as section, _refusals_in(report):
                migrate_control(section, scratch, record.control.migrations)
                _note_left_out(asyncio.run(load_tables(section, one.control_tables)), "control", report)
                asyncio.run(_compare_rows(section, "control", record.control, report))
        if record.registry.kind == "postgresql":
            with ScratchDatabase(server) as section, _refusals_in(report):
                root = scratch / "storage"
                if record.blobs.are_copied and sample:
                    _linked_blobs(folder, one, scratch)
                put = asyncio.run(put_registry(one, folder_as_storage(root), section, record))
                _note_left_out(put.left_out, "registry", report)
                asyncio.run(_compare_rows(section, "registry", record.registry, report))
                asyncio.run(up(section, Wish()))  # As the registry that is started over it needs it.
                tags = asyncio.run(_read_postgres(section, sample, report))
                if record.blobs.are_copied and sample:
                    _pull(folder, ScratchRegistry(root, {"enabled": True, **as_configured(section)}), tags, report)


@contextlib.contextmanager
def _scratch_folder(folder: BackupFolder) -> Iterator[Path]:
    """A folder beside the blobs, if that can be written: a database may be large, and needs room there."""
    within = folder.path if os.access(folder.path, os.W_OK) else None
    with scratch_folder(".verify-", within=within) as scratch:
        yield scratch


@contextlib.contextmanager
def _refusals_in(report: VerifyReport) -> Iterator[None]:
    try:
        yield
    except BackupRefused as exc:
        report.problems.add(str(exc))


def _note_left_out(tables: Sequence[str], name: str, report: VerifyReport) -> None:
    if tables:
        report.notes.append(f"{name}: {', '.join(tables)}: not Moorage's tables, which a restore leaves out")


async def _compare_rows(settings: PostgresSettings, name: str, half: HalfRecord, report: VerifyReport) -> None:
    async with postgres_snapshot(settings) as snapshot:
        found = await snapshot.rows()
    rows = {table: count for table, count in half.rows.items() if table in found}  # The others were left out.
    different = sorted(set(found.items()) ^ set(rows.items()))
    if different:
        report.problems.add(f"{name}: what was brought back has other rows than what was copied: {different[:5]}")


async def _read_postgres(settings: PostgresSettings, sample: int, report: VerifyReport) -> Sequence[SampledTag]:
    async with postgres_snapshot(settings) as snapshot:
        async for repository, key, payload in snapshot.manifests():
            _hash_manifest(repository, key, payload, report)
        return [SampledTag(path, tag, str(digest_of(key))) for path, tag, key in await snapshot.tags(sample)]


def _pull(folder: BackupFolder, over: ScratchRegistry, tags: Sequence[SampledTag], report: VerifyReport) -> None:
    with _refusals_in(report), over as registry:
        puller = Puller(registry, folder, report)
        for tag in tags:
            with _refusals_in(report):
                puller.pull(tag)


def _hash_manifests(path: Path, report: VerifyReport) -> None:
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        for repository, key, payload in connection.execute(_PAYLOADS):
            _hash_manifest(repository, bytes(key), bytes(payload), report)


def _hash_manifest(repository: str, key: bytes, payload: bytes, report: VerifyReport) -> None:
    digest = digest_of(key)
    hasher = Hasher(digest.algorithm)
    hasher.update(payload)
    report.manifests += 1
    if hasher.digest() != digest:
        report.problems.add(f"manifest {digest} of {repository} is damaged in the database")


def _linked_blobs(folder: BackupFolder, one: OneBackup, scratch: Path) -> Path:
    """Put the blobs into a folder as storage has them; return it."""
    root = scratch / "storage"
    root.mkdir()
    for blob in one.blobs():
        source, target = folder.blob(blob.digest), root / paths.blob(blob.digest).lstrip("/")
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(source, target)
    return root


def _link(source: Path, target: Path) -> None:
    """Have a file in two places, in a way that takes no room if the file systems know one."""
    with contextlib.suppress(OSError):
        return target.hardlink_to(source)
    with contextlib.suppress(OSError):
        return target.symlink_to(source.absolute())
    shutil.copyfile(source, target)
    return None


def _tags_of_sqlite(path: Path, sample: int) -> Sequence[SampledTag]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute(_TAGS, [sample]).fetchall()
    return [SampledTag(repository, tag, str(digest_of(bytes(key)))) for repository, tag, key in found]


def _tags_of_links(links: Path, sample: int) -> Sequence[SampledTag]:
    chance, seen = random.Random(), 0  # noqa: S311 - a sample
    found: list[SampledTag] = []
    for path, content in link_lines(links):
        head, is_tag, tail = path.removeprefix(f"{paths.REPOSITORIES}/").partition("/_manifests/tags/")
        tag, is_current, _ = tail.partition("/current/link")
        if not is_tag or not is_current:
            continue
        seen += 1
        each = SampledTag(head, tag, content.decode("ascii", "replace"))
        if len(found) < sample:
            found.append(each)
        elif (place := chance.randrange(seen)) < sample:
            found[place] = each
    return found
