"""Places that somebody has emptied for a restore, in which notes of what was there are left: they keep nobody away."""

import asyncio
from pathlib import Path

import pytest

from moorage.backup.backup_folder import BackupFolder
from moorage.backup.places import read_targets
from moorage.backup.restoring import restore
from moorage.config import load
from moorage.errors import ConfigurationError
from moorage.moving.adoption_note import AdoptionNote
from moorage.moving.import_note import ImportNote
from moorage.starting.database_preparing import inspect, prepare
from moorage.starting.store_choice import choose
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.locks import Lock, write
from moorage.wiring.stores import Store
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, write_config

__all__ = ["backups", "site", "store"]


def started(config: Path) -> Store:
    return choose(load(config.read_text(), {}).config, prepare, inspect)


async def begun_once(storage: StorageDriver, what: str) -> None:
    if what == "link files":
        await write(storage, Lock.FILESYSTEM)
    elif what == "import":
        await ImportNote(database="another", takes_tags=True).write(storage)
    elif what == "adoption":
        await write(storage, Lock.FILESYSTEM)
        await write(storage, Lock.DATABASE)
        await AdoptionNote("another").write(storage)
    await storage.close()


@pytest.mark.parametrize("what", ["link files", "database", "import", "adoption"])
def test_what_was_there_before_does_not_keep_a_restored_registry_from_starting(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, what: str
) -> None:
    made, after = make(site, backups), tmp_path / "after"
    if what == "database":
        fresh = write_config(after, "sqlite")
        (after / "storage").mkdir()
        assert started(fresh)
        (after / "moorage.db").rename(tmp_path / "moved-away.db")
    else:
        asyncio.run(begun_once(FilesystemDriver(after / "storage"), what))
    config = write_config(after, store)
    asyncio.run(restore(backups, made.backup, read_targets(config, None), record=made.record, reports=NOBODY))
    assert started(config) is not None
    again = make(Site(after, {}), BackupFolder(tmp_path / "again"))
    assert again.record.registry.rows == made.record.registry.rows


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_a_storage_that_keeps_its_blobs_keeps_the_name_of_the_database_that_it_belongs_to(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made, after = make(site, backups, with_blobs=False), tmp_path / "after"
    fresh = write_config(after, store)
    (after / "storage").mkdir()
    started(fresh)
    (after / "moorage.db").rename(tmp_path / "moved-away.db")
    places = read_targets(fresh, None)
    asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    with pytest.raises(ConfigurationError, match="belongs to another database"):
        started(fresh)
