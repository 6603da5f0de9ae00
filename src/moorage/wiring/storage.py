"""The storage that a configuration names. Light to import: a command that only needs storage need not wait for more."""

from pathlib import Path

from moorage.config import AzureSection, Config, FilesystemSection, GCSSection, InmemoryDriver, S3Section
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import lacks, need_of
from moorage.room import DATABASE_FLOOR_BYTES, STORAGE_FLOOR_BYTES, Room
from moorage.storage import memory
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.filesystem import filesystem_driver as filesystem
from moorage.storage.remote.tally import NoTally, StoreTally
from moorage.wiring import remote_storage
from moorage.wiring.stores import DatabaseStore, Store


def storage_driver(config: Config, *, share: float = 1.0, tally: StoreTally | None = None) -> StorageDriver:
    """Return the storage that *config* names.

    *share*: the part of a limit of requests that this process may use.
    *tally*: counts requests to an object store; None: nobody does.

    Raises:
        ConfigurationError: its folder may not be read, or the vendor's packages or values cannot be used.
    """
    driver = config.storage.driver
    if isinstance(driver, FilesystemSection):
        root = Path(driver.rootdirectory)
        check_rights(root)
        return filesystem.FilesystemDriver(root)
    if isinstance(driver, S3Section):
        return remote_storage.s3(driver, config, share=share, tally=tally or NoTally())
    if isinstance(driver, GCSSection):
        return remote_storage.gcs(driver, tally=tally or NoTally())
    if isinstance(driver, AzureSection):
        return remote_storage.azure(driver, config, tally=tally or NoTally())
    return memory.MemoryDriver()


def capabilities_of(config: Config) -> frozenset[Capability]:
    """Return what the storage that *config* names can do, without opening it."""
    if isinstance(config.storage.driver, S3Section | GCSSection | AzureSection):
        return remote_storage.CAPABILITIES
    is_folder = isinstance(config.storage.driver, FilesystemSection)
    return (filesystem.FilesystemDriver if is_folder else memory.MemoryDriver).capabilities


def local_folder(config: Config) -> Path | None:
    """Return the folder of this machine that has the objects; None: they are elsewhere."""
    driver = config.storage.driver
    return Path(driver.rootdirectory) if isinstance(driver, FilesystemSection) else None


def place_in_words(config: Config) -> str:
    """Say where the objects are, for people."""
    folder = local_folder(config)
    if folder is not None:
        return str(folder)
    if isinstance(config.storage.driver, InmemoryDriver):
        return "memory, gone when this ends"
    return remote_storage.place_in_words(config.storage.driver)


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
    folder = local_folder(config)
    if folder is not None:
        floors[folder] = STORAGE_FLOOR_BYTES
    if isinstance(store, DatabaseStore) and isinstance(store.place, Path):
        floors[store.place.absolute().parent] = DATABASE_FLOOR_BYTES
    return Room(floors)
