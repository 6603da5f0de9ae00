"""A restore that is ended in the middle: nobody serves or collects what it has left, and the same one goes on."""

import asyncio
import errno
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from moorage.backup.backing_up import MadeBackup, make_backup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.places import read_places, read_targets
from moorage.backup.restoring import Restored, restore
from moorage.config import load
from moorage.errors import ConfigurationError, MoorageError
from moorage.gc.offline.offline_collection import CollectionRefused
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.starting.database_preparing import prepare
from moorage.starting.offline_collecting import collect_garbage
from moorage.starting.store_choice import choose
from moorage.storage import paths
from moorage.wiring.stores import Store
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, write_config

__all__ = ["backups", "site", "store"]

STAGES = 8


class _Syncs:
    """Counts what is made durable below a folder; from the *full_at*-th on the disk is full."""

    def __init__(self, folder: Path, full_at: int) -> None:
        self._folder, self._full_at, self._sync, self.count = folder, full_at, os.fsync, 0

    def __call__(self, descriptor: int) -> None:
        if str(self._folder) in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            self.count += 1
            if self.count > self._full_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))
        self._sync(descriptor)


@contextmanager
def syncs(monkeypatch: pytest.MonkeyPatch, folder: Path, full_at: int = 1 << 30) -> Iterator[_Syncs]:
    counting = _Syncs(folder, full_at)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counting)
        yield counting


def brought_back(made: MadeBackup, folder: BackupFolder, config: Path) -> Restored:
    return asyncio.run(restore(folder, made.backup, read_targets(config, None), record=made.record, reports=NOBODY))


def chosen(config: Path) -> Store:
    return choose(load(config.read_text(), {}).config, prepare)


def refusals(config: Path) -> list[Callable[[], object]]:
    elsewhere = BackupFolder(config.parent / "elsewhere")
    with_links = json.loads(config.read_text()) | {"database": {"enabled": False}}
    forced = OfflineOptions(force=True)
    return [
        lambda: chosen(config),
        lambda: collect_garbage(load(json.dumps(with_links), {}).config, forced, NOBODY),
        lambda: asyncio.run(make_backup(read_places(config, None), elsewhere, with_blobs=None, reports=NOBODY)),
    ]


def test_wherever_a_restore_is_ended_nothing_is_served_and_the_same_one_goes_on(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(site, backups)
    with syncs(monkeypatch, tmp_path / "whole") as counted:
        brought_back(made, backups, write_config(tmp_path / "whole", store))
    assert counted.count > STAGES
    for stage in range(1, STAGES + 1):
        config = write_config(tmp_path / f"ended-{stage}", store)
        full = syncs(monkeypatch, config.parent, counted.count * stage // (STAGES + 1))
        with full, pytest.raises(MoorageError):
            brought_back(made, backups, config)
        for use in refusals(config):
            with pytest.raises((ConfigurationError, CollectionRefused), match="was not finished"):
                use()
        done = brought_back(made, backups, config)
        assert (done.blobs, done.problems.first) == (made.record.blobs.count, [])
        again = make(Site(config.parent, site.images), BackupFolder(tmp_path / f"again-{stage}")).record
        assert (again.registry.rows, again.blobs.count) == (made.record.registry.rows, made.record.blobs.count)
        assert not (config.parent / "storage" / paths.RESTORING.lstrip("/")).exists()
        assert chosen(config) is not None


def test_another_backup_does_not_go_on_with_what_one_has_begun(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make(site, backups), make(site, backups)
    config = write_config(tmp_path / "after", store)
    with syncs(monkeypatch, config.parent, 20), pytest.raises(MoorageError):
        brought_back(first, backups, config)
    with pytest.raises(BackupRefused, match=f"a restore of the backup {first.backup.path.name} .* not the same backup"):
        brought_back(second, backups, config)
    brought_back(first, backups, config)


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_the_log_that_a_killed_server_has_left_is_not_mixed_into_the_database(
    site: Site, backups: BackupFolder, tmp_path: Path
) -> None:
    made, config = make(site, backups), write_config(tmp_path / "after", "sqlite")
    place = config.parent / "moorage.db"
    with closing(sqlite3.connect(place)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE others (x)")
        place.rename(config.parent / "moved-away.db")  # As somebody does who is told that it is not empty.
        with pytest.raises(BackupRefused, match=r"moorage\.db-wal is not empty"):
            brought_back(made, backups, config)
