"""A storage that fails, or in which somebody else is quicker, in the middle of a check."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from moorage.errors import StorageUnavailable
from moorage.storage.base import (
    FolderEntry,
    ObjectContent,
    Reader,
    Stat,
    StorageDriver,
    Writer,
)
from moorage.storage.file_storage import FileStorage, keeps_files

Hook = Callable[[str, str], Awaitable[None]]
"""Told of the call and its path."""


async def _nothing(_call: str, _path: str) -> None:
    return


class WatchedStorage(FileStorage):
    """Passes everything on to *inner*, after *before* and before *after*; what is in *broken* cannot be read."""

    def __init__(self, inner: StorageDriver) -> None:
        self.inner = inner
        self.name = inner.name
        self.capabilities = inner.capabilities
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.broken: set[tuple[str, str]] = set()
        """Calls and paths that fail."""

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self._begin("stat", path)
        found = await self.inner.stat(path, folder=folder)
        await self.after("stat", path)
        return found

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        await self._begin("get", path)
        return await self.inner.get(path, limit_bytes=limit_bytes)

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        await self._begin("all_below", path)
        async for page in self.inner.all_below(path):
            yield page

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        await self._begin("put", path)
        await self.inner.put(path, content, durable=durable)

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        await self._begin("put_if_absent", path)
        return await self.inner.put_if_absent(path, content)

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        await self._begin("copy", target)
        await self.inner.copy(sources, target, sizes=sizes)

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        await self._begin("open", path)
        return await self.inner.open(path, is_whole=is_whole)

    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        assert keeps_files(self.inner)
        return await self.inner.open_writer(path, append=append)

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        await self._begin("list", path)
        return await self.inner.list(path, after=after, limit=limit)

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        assert keeps_files(self.inner)
        return await self.inner.place(source, target, writer=writer)

    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        assert keeps_files(self.inner)
        await self._begin("move", source)
        await self.inner.move(source, target, writer=writer)
        await self.after("move", source)

    async def delete_if_same(self, path: str, seen: Stat) -> bool:
        """To whoever watches it is a move: bytes are taken from their place."""
        await self._begin("move", path)
        is_removed = await self.inner.delete_if_same(path, seen)
        await self.after("move", path)
        return is_removed

    async def delete(self, path: str, *, durable: bool = True) -> None:
        await self._begin("delete", path)
        await self.inner.delete(path, durable=durable)

    async def probe(self) -> None:
        await self.inner.probe()

    async def _begin(self, call: str, path: str) -> None:
        await self.before(call, path)
        if (call, path) in self.broken:
            msg = f"{path}: Input/output error (EIO)"
            raise StorageUnavailable(msg)
