"""Storage for garbage collection to be tried on: in memory, and in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from support.bucket import Bucket
from unit.gc.registry import OTHER, Writer


@pytest.fixture(params=["inmemory", "filesystem", "bucket"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    made: StorageDriver = Bucket() if request.param == "bucket" else MemoryDriver()
    if request.param == "filesystem":
        made = FilesystemDriver(tmp_path, fsync=False)
    yield made
    await made.close()


@pytest.fixture(params=["inmemory", "filesystem"])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStorage]:
    """Storage that has exclusive writers."""
    made = MemoryDriver() if request.param == "inmemory" else FilesystemDriver(tmp_path, fsync=False)
    yield made
    await made.close()


@pytest.fixture
def app(storage: StorageDriver) -> Writer:
    return Writer(storage)


@pytest.fixture
def other(storage: StorageDriver) -> Writer:
    return Writer(storage, OTHER)
