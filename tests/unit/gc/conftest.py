"""Storage for garbage collection to be tried on: in memory, and in a folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from unit.gc.registry import OTHER, Writer


@pytest.fixture(params=["inmemory", "filesystem"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    made = MemoryDriver() if request.param == "inmemory" else FilesystemDriver(tmp_path, fsync=False)
    yield made
    await made.close()


@pytest.fixture
def app(storage: StorageDriver) -> Writer:
    return Writer(storage)


@pytest.fixture
def other(storage: StorageDriver) -> Writer:
    return Writer(storage, OTHER)
