"""A storage that fails at one call, or from one call on, around a real one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from enum import Enum, auto
from typing import TypeVar

from moorage.errors import BackendError, PathUnknown, StorageUnavailable
from moorage.storage.base import FolderEntry, Incoming, ObjectContent, Observer, Reader, Stat, StorageDriver, Writer
from moorage.storage.file_storage import FileStorage, keeps_files

_T = TypeVar("_T")


class Break(Enum):
    """How a call fails."""

    ONCE = auto()
    """One call does nothing and fails; the next ones work."""
    ONCE_LATE = auto()
    """One call does its work, and the answer is lost."""
    FOR_GOOD = auto()
    """From that call on all fail: to whoever looks at the storage afterwards, the process has died."""


class BreakingDriver(FileStorage):
    """Passes everything on, notes it in ``calls``, and breaks at the call with the number ``at`` (from 1)."""

    name = "breaking"

    def __init__(
        self, inner: StorageDriver, *, at: int = 0, how: Break = Break.ONCE, error: type[BackendError] | None = None
    ) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities
        self.calls: list[str] = []
        self._at = at
        self._how = how
        self._error = error or StorageUnavailable

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        return await self.call("stat", path, lambda: self.inner.stat(path, folder=folder))

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        return await self.call("get", path, lambda: self.inner.get(path, limit_bytes=limit_bytes))

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        await self.call("put", path, lambda: self.inner.put(path, content, durable=durable))

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        return await self.call("put_if_absent", path, lambda: self.inner.put_if_absent(path, content))

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        async def pages() -> Sequence[Sequence[tuple[str, Stat]]]:
            return [page async for page in self.inner.all_below(path)]

        for page in await self.call("all_below", path, pages):
            yield page

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        await self.call("copy", target, lambda: self.inner.copy(sources, target, sizes=sizes))

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        return await self.call("open", path, lambda: self.inner.open(path, is_whole=is_whole))

    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        inner = self.inner
        assert keeps_files(inner)
        writer = await self.call("open_writer", path, lambda: inner.open_writer(path, append=append))
        return _BreakingWriter(self, writer, path)

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        return await self.call("list", path, lambda: self.inner.list(path, after=after, limit=limit))

    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        inner = self.inner
        assert keeps_files(inner)
        await self.call("move", source, lambda: inner.move(source, target, writer=writer))

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        inner = self.inner
        assert keeps_files(inner)
        return await self.call("place", source, lambda: inner.place(source, target, writer=writer))

    async def delete(self, path: str, *, durable: bool = True) -> None:
        await self.call("delete", path, lambda: self.inner.delete(path, durable=durable))

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        return await self.call("delete_saying", path, lambda: self.inner.delete_saying(path, content, where=where))

    async def probe(self) -> None:
        await self.call("probe", "", self.inner.probe)

    async def call(self, what: str, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Note a call and pass it on, or break."""
        self.calls.append(f"{what} {path}")
        number = len(self.calls)
        is_due = number == self._at or (self._how is Break.FOR_GOOD and 0 < self._at <= number)
        if is_due and self._how is not Break.ONCE_LATE:
            msg = f"broken at {self.calls[-1]}"
            raise self._error(msg)
        done = await work()
        if is_due:
            msg = f"broken after {self.calls[-1]}"
            raise self._error(msg)
        return done


class DenyingDriver(BreakingDriver):
    """Refuses one call for as long as ``denied`` says it, such as ``get /path``: as for what is another user's."""

    def __init__(self, inner: StorageDriver, denied: str = "") -> None:
        super().__init__(inner)
        self.denied = denied

    async def call(self, what: str, path: str, work: Callable[[], Awaitable[_T]]) -> _T:
        if f"{what} {path}" == self.denied:
            msg = f"{path}: permission denied"
            raise StorageUnavailable(msg)
        return await super().call(what, path, work)


class _BreakingWriter(Writer):
    def __init__(self, driver: BreakingDriver, inner: Writer, path: str) -> None:
        self._driver = driver
        self._inner = inner
        self._path = path
        self.has_place = inner.has_place

    @property
    def size_bytes(self) -> int:  # type: ignore[override]  # it is the other writer's
        return self._inner.size_bytes

    async def write(self, data: Incoming, *, observer: Observer | None = None) -> None:
        await self._driver.call("write", self._path, lambda: self._inner.write(data, observer=observer))

    async def truncate(self, size_bytes: int) -> None:
        await self._driver.call("truncate", self._path, lambda: self._inner.truncate(size_bytes))

    async def close(self) -> None:
        await self._inner.close()


async def every_path(storage: StorageDriver, folder: str = "/docker") -> AsyncIterator[str]:
    """The path of every object below *folder*."""
    try:
        entries = await storage.list(folder)
    except PathUnknown:
        return
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if entry.is_folder:
            async for below in every_path(storage, path):
                yield below
        else:
            yield path
