"""Backups made, changed and brought back in this process: what is wrong is found, and what cannot be is refused."""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from moorage.backup.backing_up import MadeBackup, make_backup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.backup_record import read_record
from moorage.backup.garbage_hold import claims_ended, garbage_held
from moorage.backup.link_files import LinkFilesOut, link_lines
from moorage.backup.places import read_places, read_targets
from moorage.backup.restoring import restore
from moorage.backup.trial_report import VerifyReport
from moorage.backup.verifying import verify
from moorage.gc.offline.offline_collection import CollectionRefused, collect_offline
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.lease_files import LEASE_S
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce, others_at_work
from moorage.work.reports import WorkReports
from support.daemon import Daemon
from support.images import Image, build_cache, push_image
from support.registry_client import RegistryClient

NOBODY = WorkReports()
APP = "group/app"


@dataclass
class Site:
    """The folder of a registry that is not at work, with some images."""

    folder: Path
    images: dict[str, Image]

    @property
    def config(self) -> Path:
        return self.folder / "config.yml"


def config_text(folder: Path, store: str) -> str:
    database = {"enabled": True, "sqlite": str(folder / "moorage.db")} if store == "sqlite" else {"enabled": False}
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": True}}
    return json.dumps({"version": "0.1", "storage": storage, "database": database, "http": {"addr": "127.0.0.1:0"}})


def write_config(folder: Path, store: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(config_text(folder, store))
    return folder / "config.yml"


@pytest.fixture(scope="module", params=["sqlite", "layout"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp(request.param)
    with (
        Daemon(folder, config=config_text(folder, request.param), has_folder=False) as daemon,
        contextlib.closing(RegistryClient(daemon.address)) as client,
    ):
        images = {f"v{number}": push_image(client, APP, f"v{number}") for number in range(5)}
        images["cache"] = push_image(client, APP, "cache", build_cache("kept"))
    return Site(folder, images)


@pytest.fixture
def store(site: Site) -> str:
    return "sqlite" if (site.folder / "moorage.db").exists() else "layout"


@pytest.fixture
def backups(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path / "backups")


def make(site: Site, folder: BackupFolder, *, with_blobs: bool | None = None) -> MadeBackup:
    return asyncio.run(make_backup(read_places(site.config, None), folder, with_blobs=with_blobs, reports=NOBODY))


def tried(made: MadeBackup, folder: BackupFolder, *, sample: int = 0) -> VerifyReport:
    return verify(folder, made.backup, made.record, sample=sample, reports=NOBODY)


def blob_of(site: Site, tag: str = "v1") -> Digest:
    return Digest.parse(site.images[tag].blobs[-1].digest)


def source_of(site: Site, digest: Digest) -> Path:
    return site.folder / "storage" / paths.blob(digest).lstrip("/")


@contextlib.contextmanager
def moved_away(path: Path) -> Iterator[Path]:
    aside = path.with_name("aside")
    path.rename(aside)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        aside.rename(path)


def test_a_whole_backup_is_right_and_a_second_one_copies_no_blob_again(site: Site, backups: BackupFolder) -> None:
    first, second = make(site, backups), make(site, backups)
    assert first.record.blobs.copied == first.record.blobs.count > 9
    assert second.record.blobs.copied == 0
    assert backups.names() == sorted([first.backup.path.name, second.backup.path.name])
    report = tried(second, backups, sample=3)
    assert report.problems.first == []
    assert (report.images, report.blobs) == (3, second.record.blobs.count)
    assert report.pulled_blobs >= 6


def test_what_a_build_cache_lists_is_pulled_as_blobs(site: Site, backups: BackupFolder) -> None:
    report = tried(make(site, backups), backups, sample=len(site.images))
    assert (report.problems.first, report.images) == ([], len(site.images))
    assert report.pulled_blobs == sum(len(made.blobs) for made in site.images.values())


def test_all_of_it_is_for_its_owner_only(site: Site, backups: BackupFolder) -> None:
    made = make(site, backups)
    for path in (backups.path, made.backup.path, backups.path / "blobs"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    for each in made.record.kept:
        assert stat.S_IMODE((made.backup.path / each.file).stat().st_mode) == 0o600, each


def test_one_flipped_byte_of_a_blob_is_found(site: Site, backups: BackupFolder) -> None:
    made, digest = make(site, backups), blob_of(site)
    content = bytearray(backups.blob(digest).read_bytes())
    content[0] ^= 1
    backups.blob(digest).write_bytes(content)
    found = tried(made, backups).problems.first
    assert any(problem.startswith(f"{digest} is damaged in the backup: its bytes are others;") for problem in found)


def test_a_damaged_blob_is_named_and_not_brought_back(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made, digest = make(site, backups), blob_of(site)
    backups.blob(digest).write_bytes(b"others")
    places = read_targets(write_config(tmp_path / "after", store), None)
    done = asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    assert done.problems.first == [f"{digest} is damaged in the backup: its bytes are others"]
    assert done.blobs == made.record.blobs.count - 1
    assert not (tmp_path / "after" / "storage" / paths.blob(digest).lstrip("/")).exists()


def test_a_blob_that_is_missing_in_the_backup_is_found(site: Site, backups: BackupFolder) -> None:
    made, digest = make(site, backups), blob_of(site)
    backups.blob(digest).unlink()
    assert tried(made, backups).problems.first == [f"{digest} is missing in the backup"]


def test_metadata_that_is_cut_short_is_found_and_not_restored(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made = make(site, backups)
    path = made.backup.registry_sqlite if store == "sqlite" else made.backup.links
    path.write_bytes(path.read_bytes()[:-200])
    report = tried(made, backups)
    assert report.problems.first == [f"{path.name} is damaged in the backup: its bytes are not those that were written"]
    assert report.images == 0
    places = read_targets(write_config(tmp_path / "after", store), None)
    with pytest.raises(BackupRefused, match="this backup is damaged; take another one"):
        asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    assert not (tmp_path / "after" / "storage").exists()


def test_a_record_of_which_a_byte_has_changed_is_refused(site: Site, backups: BackupFolder) -> None:
    made = make(site, backups)
    text = made.backup.record.read_text()
    made.backup.record.write_text(text.replace(f'"count": {made.record.blobs.count}', '"count": 1', 1))
    with pytest.raises(BackupRefused, match=r"backup\.json is damaged"):
        read_record(made.backup.record)


def test_it_is_restored_onto_an_empty_place_and_not_onto_another(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made = make(site, backups)
    places = read_targets(write_config(tmp_path / "after", store), None)
    done = asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    assert (done.blobs, done.problems.first) == (made.record.blobs.count, [])
    again = make(Site(tmp_path / "after", site.images), BackupFolder(tmp_path / "again"))
    assert again.record.registry.rows == made.record.registry.rows
    assert {blob.digest for blob in again.backup.blobs()} == {blob.digest for blob in made.backup.blobs()}
    with pytest.raises(BackupRefused, match="not empty"):
        asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))


def test_another_kind_of_database_is_refused(site: Site, backups: BackupFolder, tmp_path: Path, store: str) -> None:
    made = make(site, backups)
    other = write_config(tmp_path / "after", "layout" if store == "sqlite" else "sqlite")
    with pytest.raises(BackupRefused, match="name the same"):
        asyncio.run(restore(backups, made.backup, read_targets(other, None), record=made.record, reports=NOBODY))


@pytest.mark.parametrize(
    ("content", "said"), [(None, "missing in storage"), (b"others", "damaged in storage: its bytes are those of")]
)
def test_a_blob_that_storage_has_lost_is_said_and_the_rest_is_there(
    site: Site, backups: BackupFolder, content: bytes | None, said: str
) -> None:
    digest, is_known = blob_of(site), (site.folder / "moorage.db").exists()
    with moved_away(source_of(site, digest)) as source:
        if content is not None:
            source.write_bytes(content)
        made = make(site, backups)
    expected = 1 if content is not None or is_known else 0  # Without a database nobody knows of it.
    assert (made.record.problem_count, len(made.record.problems)) == (expected, expected)
    assert all(str(digest) in problem and said in problem for problem in made.record.problems)
    assert not backups.blob(digest).exists()
    assert tried(made, backups).problems.count == expected


async def test_a_target_without_room_leaves_nothing_that_looks_whole(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, copied = os.fsync, []

    def full_after_some(descriptor: int) -> None:
        if "/partial/" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            copied.append(descriptor)
            if len(copied) > 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after_some)
    with pytest.raises(BackupRefused, match="No space left on device; blobs that are whole stay"):
        await make_backup(read_places(site.config, None), backups, with_blobs=None, reports=NOBODY)
    assert backups.names() == []
    monkeypatch.undo()
    made = await make_backup(read_places(site.config, None), backups, with_blobs=None, reports=NOBODY)
    assert tried(made, backups).problems.first == []


def test_one_backup_is_made_at_a_time(site: Site, backups: BackupFolder) -> None:
    with backups.held(), pytest.raises(BackupRefused, match="a backup is being made"):
        make(site, backups)


def test_a_list_without_blobs_belongs_to_the_storage_that_has_them(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made = make(site, backups, with_blobs=False)
    assert list((backups.path / "blobs").iterdir()) == []
    assert made.record.blobs.count > 9
    assert "blobs are only listed" in tried(made, backups).notes[0]
    places = read_targets(write_config(tmp_path / "after", store), None)
    done = asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    assert done.problems.count == made.record.blobs.count


async def test_offline_collection_waits_for_a_backup_though_forced(site: Site) -> None:
    storage = FilesystemDriver(site.folder / "storage")
    async with garbage_held(storage):
        for options in (OfflineOptions(), OfflineOptions(force=True)):
            with pytest.raises(CollectionRefused, match=r"a backup of this storage|database managed filesystem"):
                await collect_offline(storage, options, NOBODY)
        assert len(await others_at_work(storage, Activity.BACKING_UP)) == 1
    assert await others_at_work(storage, Activity.BACKING_UP) == []
    await storage.close()


async def test_what_a_killed_backup_leaves_holds_collections_for_some_minutes_and_goes(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)
    left = paths.lock_file(f"{Activity.BACKING_UP.value}-0123456789abcdef")
    await storage.put(left, b"somebody process 1")
    assert len(await others_at_work(storage, Activity.BACKING_UP)) == 1
    long_ago = (tmp_path / left.lstrip("/")).stat().st_mtime - LEASE_S - 1
    os.utime(tmp_path / left.lstrip("/"), (long_ago, long_ago))
    assert await others_at_work(storage, Activity.BACKING_UP) == []
    assert not await storage.exists(left)
    await storage.close()


async def test_a_backup_waits_for_an_offline_collection() -> None:
    storage = MemoryDriver()
    collecting = await announce(storage, Activity.COLLECTING)
    with pytest.raises(BackupRefused, match="begin when it has ended"):
        async with garbage_held(storage):
            pytest.fail("it has begun")
    await collecting.close()


async def test_a_backup_waits_until_a_collector_has_let_go(tmp_path: Path) -> None:
    path = tmp_path / "moorage.db"
    migrate_sqlite(path)
    key = b"\x01" + hashlib.sha256(b"a").digest()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        insert = "INSERT INTO gc_blob_review_queue (digest, review_after, event, claimed_until) VALUES (?, 0, 'x', ?)"
        connection.execute("PRAGMA ignore_check_constraints = on")
        connection.execute(insert, [key, 1 << 60])
        waiting = asyncio.create_task(claims_ended(path))
        done, _ = await asyncio.wait([waiting], timeout=1)
        assert not done
        connection.execute("UPDATE gc_blob_review_queue SET claimed_until = NULL")
        await waiting


class Deleting(MemoryDriver):
    """A storage in which somebody deletes a manifest, with its tag, right after the tag was read."""

    def __init__(self, tag: str, revision: str) -> None:
        super().__init__()
        self._tag = tag
        self._revision = revision

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        content = await super().get(path, limit_bytes=limit_bytes)
        if path == self._tag:
            await self.delete(self._revision)
        return content


async def test_a_tag_is_never_copied_without_its_manifest(tmp_path: Path) -> None:
    name, gone, kept = RepositoryName(APP), Digest("sha256", "a" * 64), Digest("sha256", "b" * 64)
    storage = Deleting(paths.tag_link(name, Tag("gone")), paths.revision_link(name, gone))
    for tag, digest in (("gone", gone), ("kept", kept)):
        await storage.put(paths.revision_link(name, digest), str(digest).encode())
        await storage.put(paths.tag_link(name, Tag(tag)), str(digest).encode())
    await LinkFilesOut(storage).copy(tmp_path / "links.jsonl")
    copied = [path for path, _ in link_lines(tmp_path / "links.jsonl")]
    assert paths.tag_link(name, Tag("gone")) not in copied
    assert copied.index(paths.revision_link(name, kept)) < copied.index(paths.tag_link(name, Tag("kept")))


def test_a_lock_is_let_go_of_with_its_process(backups: BackupFolder) -> None:
    with backups.held():
        pass
    with (backups.path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
