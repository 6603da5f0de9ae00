"""A storage of either kind, a database file, and a start over both."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from unit.starting.starts import Starter


@pytest.fixture(params=["memory", "filesystem"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    made = MemoryDriver() if request.param == "memory" else FilesystemDriver(tmp_path / "data")
    yield made
    await made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "moorage.db"


@pytest.fixture
def starter(storage: StorageDriver, file: Path) -> Starter:
    return Starter(storage, file)
