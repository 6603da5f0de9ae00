"""The storage that a configuration names. Light to import: a command that only needs storage need not wait for more."""

from pathlib import Path

from moorage.config import Config, FilesystemDriver, InmemoryDriver
from moorage.errors import ConfigurationError, Mistake
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
