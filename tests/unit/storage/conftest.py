"""A file system driver whose calls are watched."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.storage.disk import Disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[FilesystemDriver]:
    made = FilesystemDriver(tmp_path)
    yield made
    await made.close()
