"""Objects in memory: for tests, and for ``storage: inmemory``. Gone when the process ends."""

import contextlib
import heapq
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from moorage.errors import BackendError, PathUnknown, StorageBusy, StorageFull, StorageUnavailable
from moorage.storage.base import (
    FolderEntry,
    Incoming,
    ObjectContent,
    Observer,
    Reader,
    Stat,
    Writer,
    check_path,
    size_of,
    whole,
)
from moorage.storage.file_storage import FileStorage
from moorage.storage.streams import in_memory

_PIECE_BYTES = 1 << 20
_PROBE_BYTES = 64


@dataclass(slots=True)
class _Object:
    content: bytes | bytearray
    """A bytearray from its first writer until it is moved."""
    modified_at: datetime
    writer: "weakref.ref[_MemoryWriter] | None" = None
    names: int = 1
    """Counts the paths at which it is."""

    @property
    def is_busy(self) -> bool:
        writer = self.writer() if self.writer is not None else None
        return writer is not None and not writer.is_closed


@dataclass(slots=True)
class _Folder:
    modified_at: datetime
    children: "dict[str, _Object | _Folder]" = field(default_factory=dict)

    def objects(self) -> Iterator[_Object]:
        """All objects in it and in the folders below."""
        for child in self.children.values():
            if isinstance(child, _Folder):
                yield from child.objects()
            else:
                yield child


class MemoryDriver(FileStorage):
    """Objects in a tree of dictionaries. All that a file system promises holds, except for a power cut.

    Args:
        limit_bytes: how much there is room for; None: whatever the machine has. More is refused as StorageFull.
        now: the time that objects get.
    """

    name = "inmemory"

    def __init__(
        self, *, limit_bytes: int | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._limit_bytes = limit_bytes
        self._now = now
        self._used_bytes = 0
        self._root = _Folder(now())

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        """See the interface."""
        found = self._find(path)
        if isinstance(found, _Folder):
            if not folder:
                raise PathUnknown(path)
            return Stat(0, found.modified_at, is_folder=True)
        return Stat(len(found.content), found.modified_at, names=found.names)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the interface."""
        content = self._object(path).content
        if len(content) > limit_bytes:
            msg = f"{path}: more than {limit_bytes} bytes"
            raise StorageUnavailable(msg)
        return bytes(content)

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        """See the interface."""
        del durable  # Nothing is.
        folder, name = self._place(path)
        old = folder.children.get(name)
        self.take_room(size_of(content) - (self._freed_by(old) if isinstance(old, _Object) else 0))
        folder.children[name] = _Object(whole(content), self._now())

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        """See the interface."""
        folder, name = self._place(path)
        if name in folder.children:
            return False
        await self.put(path, content)
        return True

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        """See the interface."""
        del is_whole
        return _MemoryReader(bytes(self._object(path).content))

    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        """See the interface."""
        folder, name = self._place(path) if not append else self._parent(path)
        found = folder.children.get(name)
        if not isinstance(found, _Object):
            if append:
                raise PathUnknown(path)
            found = folder.children[name] = _Object(bytearray(), self._now())
        if found.is_busy:
            raise StorageBusy(path)
        if not append:
            self.take_room(-len(found.content))
            found.content = bytearray()
        writer = _MemoryWriter(self, found, self._now)
        found.writer = weakref.ref(writer)
        return writer

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        """See the interface."""
        folder = self._find(path)
        if not isinstance(folder, _Folder):
            raise PathUnknown(path)
        names = (name for name in folder.children if name > after)
        chosen = sorted(names) if limit is None else heapq.nsmallest(limit, names)
        return [FolderEntry(name, isinstance(folder.children[name], _Folder)) for name in chosen]

    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        """See the interface."""
        del writer
        check_path(target)
        moved = self._object(source)
        folder, name = self._place(target)
        replaced = folder.children.get(name)
        if replaced is moved:
            return
        if isinstance(replaced, _Object):
            self.take_room(-self._freed_by(replaced))
        moved.content = bytes(moved.content)
        folder.children[name] = moved
        origin, old_name = self._parent(source)
        del origin.children[old_name]

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        """See the interface."""
        del writer
        placed = self._object(source)
        folder, name = self._place(target)
        replaced = folder.children.get(name)
        if replaced is not placed:
            if isinstance(replaced, _Object):
                self.take_room(-self._freed_by(replaced))
            placed.content = bytes(placed.content)
            placed.names += 1
            folder.children[name] = placed
        return True

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        """See the interface."""
        del sizes
        await self.put(target, b"".join(self._object(source).content for source in sources))

    async def delete(self, path: str, *, durable: bool = True) -> None:
        """See the interface."""
        del durable  # Nothing is.
        folder, name = self._parent(path)
        try:
            gone = folder.children.pop(name)
        except KeyError:
            raise PathUnknown(path) from None
        objects = gone.objects() if isinstance(gone, _Folder) else [gone]
        self.take_room(-sum(self._freed_by(object_) for object_ in objects))

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        """See the interface."""
        failures = await super().remove(paths, until=until, rest=rest)
        for path in paths:
            self._remove_empty_folders(path)
        return failures

    async def probe(self) -> None:
        """See the interface."""
        self.take_room(_PROBE_BYTES)
        self.take_room(-_PROBE_BYTES)

    def take_room(self, wanted_bytes: int) -> None:
        """Count bytes that come or, below 0, go.

        Raises:
            StorageFull: there is no room for them.
        """
        if self._limit_bytes is not None and wanted_bytes > 0 and self._used_bytes + wanted_bytes > self._limit_bytes:
            msg = f"more than {self._limit_bytes} bytes"
            raise StorageFull(msg)
        self._used_bytes += wanted_bytes

    def _freed_by(self, object_: _Object) -> int:
        """Count the bytes of room that an object gives back by losing a name, which it has lost now."""
        object_.names -= 1
        return 0 if object_.names else len(object_.content)

    def _object(self, path: str) -> _Object:
        found = self._find(path)
        if isinstance(found, _Folder):
            raise PathUnknown(path)
        return found

    def _find(self, path: str) -> _Object | _Folder:
        folder, name = self._parent(path)
        try:
            return folder.children[name]
        except KeyError:
            raise PathUnknown(path) from None

    def _parent(self, path: str) -> tuple[_Folder, str]:
        """The folder that has or would have *path*, and the name there."""
        _, *above, name = check_path(path).split("/")
        folder = self._root
        for part in above:
            child = folder.children.get(part)
            if not isinstance(child, _Folder):
                raise PathUnknown(path)
            folder = child
        return folder, name

    def _remove_empty_folders(self, path: str) -> None:
        """Remove the folders above *path* that hold nothing."""
        while path := path.rpartition("/")[0]:
            with contextlib.suppress(PathUnknown):
                folder, name = self._parent(path)
                found = folder.children.get(name)
                if isinstance(found, _Object) or (found is not None and found.children):
                    return
                folder.children.pop(name, None)

    def _place(self, path: str) -> tuple[_Folder, str]:
        """As :meth:`_parent`, for an object to be put there: makes the folders."""
        _, *above, name = check_path(path).split("/")
        folder = self._root
        for part in above:
            child = folder.children.get(part)
            if child is None:
                child = folder.children[part] = _Folder(self._now())
            if not isinstance(child, _Folder):
                msg = f"{path}: {part} is an object, not a folder"
                raise StorageUnavailable(msg)
            folder = child
        if isinstance(folder.children.get(name), _Folder):
            msg = f"{path} is a folder"
            raise StorageUnavailable(msg)
        return folder, name


class _MemoryReader(Reader):
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size_bytes = len(content)

    def fileno(self) -> None:
        """There is none."""

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        end = self.size_bytes if end is None else min(end, self.size_bytes)
        for at in range(start, end, _PIECE_BYTES):
            yield self._content[at : min(at + _PIECE_BYTES, end)]

    def close(self) -> None:
        self._content = b""


class _MemoryWriter(Writer):
    def __init__(self, driver: MemoryDriver, target: _Object, now: Callable[[], datetime]) -> None:
        self._driver = driver
        self._target = target
        self._now = now
        self.size_bytes = len(target.content)
        self.has_place = target.names > 1
        self.is_closed = False

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        if self.is_closed:
            msg = "the writer is closed"
            raise StorageUnavailable(msg)
        data = in_memory(data)
        if observer is not None:
            observer(data)
        piece = memoryview(data).cast("B")
        self._driver.take_room(len(piece))
        if isinstance(self._target.content, bytes):
            self._target.content = bytearray(self._target.content)
        self._target.content += piece
        self._target.modified_at = self._now()
        self.size_bytes += len(piece)

    async def truncate(self, size_bytes: int) -> None:
        self._driver.take_room(size_bytes - self.size_bytes)
        self._target.content = self._target.content[:size_bytes]
        self._target.modified_at = self._now()
        self.size_bytes = size_bytes

    async def close(self) -> None:
        self.is_closed = True
