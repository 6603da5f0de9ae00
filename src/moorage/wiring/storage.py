"""The storage that a configuration names. Light to import: a command that only needs storage need not wait for more."""

from pathlib import Path

from moorage.config import Config, FilesystemDriver, InmemoryDriver
from moorage.config.stores import SqliteStore, Store
from moorage.errors import ConfigurationError, Mistake
from moorage.room import DATABASE_FLOOR_BYTES, STORAGE_FLOOR_BYTES, Room
from moorage.storage import filesystem, memory
from moorage.storage.base import StorageDriver


def storage_driver(config: Config) -> StorageDriver:
    """The storage that *config* names.

    Raises:
        ConfigurationError: this version does not have that driver.
    """
    driver = config.storage.driver
    if isinstance(driver, FilesystemDriver):
        return filesystem.FilesystemDriver(Path(driver.rootdirectory))
    if isinstance(driver, InmemoryDriver):
        return memory.MemoryDriver()
    msg = "this storage driver is accepted, not implemented yet; use filesystem"
    raise ConfigurationError([Mistake("storage", msg)])


def room_for(config: Config, store: Store) -> Room:
    """What pushes leave free, where the blobs are and where an SQLite file is."""
    floors: dict[Path, int] = {}
    driver = config.storage.driver
    if isinstance(driver, FilesystemDriver):
        floors[Path(driver.rootdirectory)] = STORAGE_FLOOR_BYTES
    if isinstance(store, SqliteStore):
        folder = store.path.absolute().parent
        floors[folder] = DATABASE_FLOOR_BYTES
    return Room(floors)
