"""Every name of a backup is durable before the backup has its own: a power cut takes nothing out of what is whole."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.backup.backup_folder import BackupFolder
from moorage.backup.backup_record import record_files
from moorage.backup.files_back import end_files, put_files_back
from moorage.backup.places import read_targets
from moorage.backup.restoring import restore
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, write_config

__all__ = ["backups", "site", "store"]


def folders_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every folder from *path* downwards: its number, which stays when it is renamed, and its name."""
    for name, _, _ in os.walk(path):
        yield Path(name).stat().st_ino, str(Path(name).relative_to(path))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The numbers of files and folders that were made durable."""
    sync, numbers = os.fsync, set[int]()

    def noted(descriptor: int) -> None:
        sync(descriptor)
        numbers.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    return numbers


def test_each_folder_of_a_backup_is_synced(site: Site, backups: BackupFolder, synced: set[int]) -> None:
    make(site, backups)
    assert [name for number, name in folders_of(backups.path) if number not in synced] == []


def test_the_folders_of_tables_are_synced_as_well(backups: BackupFolder, synced: set[int]) -> None:
    with backups.held():
        made = backups.begin()
        for folder in (made.registry_tables, made.control_tables):
            folder.mkdir()
            (folder / "public.tags.copy").write_bytes(b"rows")
        record_files(made.path)
        done = backups.finish("20261129T170000Z")
    assert [name for number, name in folders_of(done.path) if number not in synced] == []


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_each_folder_that_a_restore_makes_is_synced_and_has_its_name_synced(
    site: Site, backups: BackupFolder, tmp_path: Path, synced: set[int]
) -> None:
    made, into = make(site, backups), tmp_path / "new" / "after"
    places = put_files_back(made.backup, made.record, into)
    asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    end_files(into)
    found = [name for number, name in folders_of(tmp_path / "new") if number not in synced and "lockfiles" not in name]
    assert found == []
    assert tmp_path.stat().st_ino in synced


def test_a_file_system_that_cannot_sync_folders_takes_backups_and_what_they_bring_back(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def as_on_cifs(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", as_on_cifs)
    made, config = make(site, backups), write_config(tmp_path / "after", store)
    done = asyncio.run(restore(backups, made.backup, read_targets(config, None), record=made.record, reports=NOBODY))
    assert (done.blobs, done.problems.first) == (made.record.blobs.count, [])
