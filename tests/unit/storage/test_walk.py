"""Walks through folders: all names once, however many there are, and a large folder is not read over and over."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from moorage.storage import walk
from moorage.storage.base import FolderEntry
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.storage.walk import pages_of

NAMES = [f"{number:05}" for number in range(3000)]


class CountedFolders(FilesystemDriver):
    """A file system that counts how often a folder of it is gone through, and the most names that it gave at once."""

    times = 0
    most = 0

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        found = await super().list(path, after=after, limit=limit)
        self.times += 1
        self.most = max(self.most, len(found))
        return found


async def pages(storage: FilesystemDriver | MemoryDriver, page: int, after: str = "") -> Sequence[Sequence[str]]:
    return [[entry.name for entry in entries] async for entries in pages_of(storage, "/folder", after=after, page=page)]


@pytest.fixture
def storage(tmp_path: Path) -> CountedFolders:
    (tmp_path / "folder").mkdir()
    for name in NAMES:
        (tmp_path / "folder" / name).touch()
    return CountedFolders(tmp_path)


def test_a_large_folder_is_gone_through_a_few_times_whatever_the_page(storage: CountedFolders) -> None:
    found = asyncio.run(pages(storage, 10))
    assert [name for page in found for name in page] == NAMES
    assert {len(page) for page in found} <= {0, 10}
    assert storage.times <= 6, "300 pages"


def test_no_more_names_are_held_than_the_most(storage: CountedFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_HELD", 100)
    found = asyncio.run(pages(storage, 10, after=NAMES[1499]))
    assert [name for page in found for name in page] == NAMES[1500:]
    assert storage.most == 100
    assert storage.times <= 19


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 49, 50, 51])
def test_pages_end_where_the_names_do(count: int, tmp_path: Path) -> None:
    for name in NAMES[:count]:
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).touch()
    found = asyncio.run(pages(FilesystemDriver(tmp_path), 10))
    assert [name for page in found for name in page] == NAMES[:count]
