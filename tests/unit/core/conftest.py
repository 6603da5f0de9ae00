"""Storages of all kinds that need no server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from support.bucket import Bucket


@pytest.fixture(params=["inmemory", "filesystem", "bucket"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    """An empty storage."""
    made: StorageDriver = Bucket() if request.param == "bucket" else _files(request.param, tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=["inmemory", "filesystem"])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStorage]:
    """An empty storage that has exclusive writers."""
    made = _files(request.param, tmp_path)
    yield made
    await made.close()


def _files(kind: str, folder: Path) -> FileStorage:
    return MemoryDriver() if kind == "inmemory" else FilesystemDriver(folder, fsync=False)
