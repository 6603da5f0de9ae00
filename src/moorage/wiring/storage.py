"""The storage that a configuration names. Light to import: a command that only needs storage need not wait for more."""

from pathlib import Path

from moorage.config import Config, FilesystemSection, InmemoryDriver
from moorage.config.stores import SqliteStore, Store
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import lacks, need_of
from moorage.room import DATABASE_FLOOR_BYTES, STORAGE_FLOOR_BYTES, Room
from moorage.storage import memory
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem import filesystem_driver as filesystem


def storage_driver(config: Config) -> StorageDriver:
    """The storage that *config* names.

    Raises:
        ConfigurationError: this version does not have that driver, or its folder may not be read.
    """
    driver = config.storage.driver
    if isinstance(driver, FilesystemSection):
        root = Path(driver.rootdirectory)
        check_rights(root)
        return filesystem.FilesystemDriver(root)
    if isinstance(driver, InmemoryDriver):
        return memory.MemoryDriver()
    msg = "this storage driver is accepted, not implemented yet; use filesystem"
    raise ConfigurationError([Mistake("storage", msg)])


def check_rights(root: Path) -> None:
    """See that the storage folder, if it is there, may be read; who may only read it can still serve pulls.

    Raises:
        ConfigurationError: it may not; who needs which right.
    """
    if lacks(root, "read"):
        message = f"{root} cannot be used as a folder: Permission denied; {need_of(root, 'read')}"
        raise ConfigurationError([Mistake("storage.filesystem.rootdirectory", message)])


def room_for(config: Config, store: Store) -> Room:
    """Return the room that pushes must leave free, where the blobs are and where an SQLite file is."""
    floors: dict[Path, int] = {}
    driver = config.storage.driver
    if isinstance(driver, FilesystemSection):
        floors[Path(driver.rootdirectory)] = STORAGE_FLOOR_BYTES
    if isinstance(store, SqliteStore):
        folder = store.path.absolute().parent
        floors[folder] = DATABASE_FLOOR_BYTES
    return Room(floors)
