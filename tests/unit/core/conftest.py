"""Storages of both kinds that need no server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver


@pytest.fixture(params=["inmemory", "filesystem"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    """An empty storage."""
    made: StorageDriver = MemoryDriver() if request.param == "inmemory" else FilesystemDriver(tmp_path, fsync=False)
    yield made
    await made.close()
