"""Small objects as they should be: written where they are not, or only counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.errors import PathUnknown
from moorage.gc.offline.offline_run import in_parallel
from moorage.storage.base import StorageDriver
from moorage.work.noted import Noted


@dataclass(slots=True)
class Written:
    """Counts of a pass over all link files."""

    repositories: int = 0
    blobs: int = 0
    manifests: int = 0
    tags: int = 0
    written: int = 0
    """Objects that were not there or had other bytes."""
    removed: int = 0
    """Tags, manifests, blobs and repositories whose link files said more than the database."""

    @property
    def changes(self) -> int:
        """The number of all changes."""
        return self.written + self.removed


class LinkWriter:
    """Makes objects what they should be; or looks only, and counts what it would do."""

    def __init__(self, storage: StorageDriver, *, changes: bool) -> None:
        """*changes*: whether anything is written or removed."""
        self._storage = storage
        self._changes = changes
        self.counts = Written()
        self.differences: Noted[str] = Noted()
        """Paths of what is not as it should be, the first thousand of them."""

    async def write(self, wanted: Mapping[str, bytes]) -> None:
        """See that all of these objects have these bytes; a power cut may undo what was written."""
        paths = list(wanted)
        same = await self._storage.get_each(paths, lambda number, content: content == wanted[paths[number]])
        different = [path for path, is_same in zip(paths, same, strict=True) if not is_same]
        self._differ(different)
        self.counts.written += len(different)

        async def put(path: str) -> None:
            await self._storage.put(path, wanted[path], durable=False)

        if self._changes:
            await in_parallel(different, put)

    async def remove(self, folders: Sequence[str]) -> None:
        """See that these folders are not there, which somebody has just seen."""
        self._differ(folders)
        self.counts.removed += len(folders)

        async def delete(path: str) -> None:
            try:
                await self._storage.delete(path, durable=False)
            except PathUnknown:
                return

        if self._changes:
            await in_parallel(folders, delete)

    def _differ(self, paths: Sequence[str]) -> None:
        for path in paths:
            self.differences.add(path)
