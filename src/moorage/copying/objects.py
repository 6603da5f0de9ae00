"""Lists of the objects of a storage, a page at a time, and their count by kind."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from moorage.copying.kinds import CopiedObject, ObjectKind, object_at
from moorage.errors import PathUnknown
from moorage.storage import paths
from moorage.storage.base import Capability, StorageDriver
from moorage.storage.walk import entries_of, lies_at, pages_of

PAGE = 1000


@dataclass(slots=True)
class KindCounts:
    """Objects and bytes of a storage, by kind, and how many links of it are empty."""

    objects: Counter[ObjectKind] = field(default_factory=Counter)
    size_bytes: Counter[ObjectKind] = field(default_factory=Counter)
    empty_links: int = 0

    def add(self, found: CopiedObject) -> None:
        """Count one more; an empty link is none."""
        if found.is_empty_link:
            self.empty_links += 1
            return
        self.objects[found.kind] += 1
        self.size_bytes[found.kind] += found.size_bytes


async def objects_below(
    storage: StorageDriver, folder: str, *, no_file: Callable[[str], object] | None = None
) -> AsyncIterator[Sequence[CopiedObject]]:
    """Yield all objects below a folder, at any depth, but for uploads; nothing if it is not there.

    *no_file* is told of each name that is neither a file nor a folder.
    """
    if Capability.FLAT_LISTS in storage.capabilities:
        async for page in storage.all_below(folder):
            yield [object_at(path, stat.size_bytes) for path, stat in page if not paths.is_of_an_upload(path)]
        return
    waiting: list[str] = []
    async for path in _paths_below(storage, folder):
        waiting.append(path)
        if len(waiting) >= PAGE:
            yield await _with_sizes(storage, waiting, no_file)
            waiting = []
    if waiting:
        yield await _with_sizes(storage, waiting, no_file)


async def no_files_above_blobs(storage: StorageDriver) -> AsyncIterator[str]:
    """Yield each name above the folders of blobs that is neither a file nor a folder: all below it cannot be seen."""
    if await lies_at(storage, paths.BLOBS) and not await _is_folder(storage, paths.BLOBS):
        yield paths.BLOBS
    async for algorithm in entries_of(storage, paths.BLOBS):
        folder = f"{paths.BLOBS}/{algorithm.name}"
        entries = [entry async for entry in entries_of(storage, folder)] if algorithm.is_folder else []
        names = [f"{folder}/{entry.name}" for entry in entries if not entry.is_folder]
        names += [] if algorithm.is_folder else [folder]
        for path, stat in zip(names, await storage.stat_each(names), strict=True):
            if stat is None and await lies_at(storage, path):
                yield path


async def counted(storage: StorageDriver) -> KindCounts:
    """Count all objects of a storage by their kinds."""
    counts = KindCounts()
    for folder in (paths.BLOBS, paths.REPOSITORIES):
        async for page in objects_below(storage, folder):
            for found in page:
                counts.add(found)
    return counts


async def _paths_below(storage: StorageDriver, folder: str) -> AsyncIterator[str]:
    async for page in pages_of(storage, folder):
        for entry in page:
            path = f"{folder}/{entry.name}"
            if not entry.is_folder:
                yield path
            elif not paths.is_of_an_upload(path):
                async for below in _paths_below(storage, path):
                    yield below


async def _is_folder(storage: StorageDriver, path: str) -> bool:
    return (await storage.stat_each([path], folder=True))[0] is not None


async def _with_sizes(
    storage: StorageDriver, wanted: Sequence[str], no_file: Callable[[str], object] | None
) -> Sequence[CopiedObject]:
    stats = await storage.stat_each(wanted)
    for path, stat in zip(wanted, stats, strict=True):
        if stat is None and no_file is not None and await lies_at(storage, path):
            no_file(path)
    return [object_at(path, stat.size_bytes) for path, stat in zip(wanted, stats, strict=True) if stat is not None]


async def is_there(storage: StorageDriver, folder: str) -> bool:
    """Return whether a folder has anything in it."""
    with contextlib.suppress(PathUnknown):
        return bool(await storage.list(folder, limit=1))
    return False
