"""A database and a storage with a gate before and after everything that they do."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

from moorage.errors import BackendError, StorageUnavailable
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value
from moorage.storage.base import FolderEntry, ObjectContent, Reader, Stat, StorageDriver, Writer
from moorage.storage.file_storage import FileStorage, keeps_files
from property.collection.gates import CURRENT, Scheduler

INJECTED = "storage failed, as was planned"


class GatedDatabase(Database):
    """A database as several processes use it, each of which may be stopped at every statement.

    SQLite has one writer at a time: stopping inside a transaction would be stopping before it.
    """

    def __init__(self, inner: Database, scheduler: Scheduler) -> None:
        self.dialect = inner.dialect
        self._inner = inner
        self._scheduler = scheduler

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        await self._scheduler.gate(query.name)
        return await self._inner.all(query, *args, repository=repository, heavy=heavy)

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        await self._scheduler.gate(query.name)
        return await self._inner.first(query, *args, repository=repository)

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        await self._scheduler.gate(query.name)
        with _counted():
            rows = await self._inner.write(query, *args, repository=repository)
        await self._scheduler.gate(f"after {query.name}")
        return rows

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Transaction]:
        await self._scheduler.gate("begin")
        with _counted():
            async with self._inner.transaction(repository=repository) as session:
                if self.dialect == "sqlite":
                    yield session
                else:
                    yield _GatedSession(session, self._scheduler)
                    await self._scheduler.gate("commit")
        await self._scheduler.gate("after commit")

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()


class _GatedSession(Transaction):
    def __init__(self, inner: Transaction, scheduler: Scheduler) -> None:
        self._inner = inner
        self._scheduler = scheduler

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        await self._scheduler.gate(query.name)
        return await self._inner.all(query, *args)

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        await self._scheduler.gate(query.name)
        return await self._inner.first(query, *args)

    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        await self._scheduler.gate(query.name)
        await self._inner.run_many(query, rows)


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    actor = CURRENT.get()
    if actor is None:
        yield
        return
    actor.open_transactions += 1
    try:
        yield
    finally:
        actor.open_transactions -= 1


class GatedStorage(FileStorage):
    """A storage that several processes share, and that fails now and then: before it has done it, or after."""

    name = "gated"

    def __init__(
        self, inner: StorageDriver, scheduler: Scheduler, *, failing: float, on_move: Callable[[str], Awaitable[None]]
    ) -> None:
        """*failing*: the chance that something that changes it fails. *on_move*: is told what got to where."""
        self._on_move = on_move
        self._inner = inner
        self.capabilities = inner.capabilities
        self._scheduler = scheduler
        self._failing = failing
        self._expecting = 0.5
        """The chance that a blob cannot be placed under two names."""

    @contextlib.asynccontextmanager
    async def _change(self, what: str) -> AsyncIterator[None]:
        await self._scheduler.gate(what)
        actor = CURRENT.get()
        luck = 1.0 if actor is None else actor.rng.random()
        if luck < self._failing / 2:
            raise StorageUnavailable(INJECTED)
        yield
        if luck < self._failing:
            raise StorageUnavailable(INJECTED)
        await self._scheduler.gate(f"after {what}")

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self._scheduler.gate("stat")
        return await self._inner.stat(path, folder=folder)

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        await self._scheduler.gate("get")
        return await self._inner.get(path, limit_bytes=limit_bytes)

    async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
        await self._scheduler.gate("all_below")
        async for page in self._inner.all_below(path):
            yield page

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        async with self._change("put"):
            await self._inner.put(path, content, durable=durable)

    async def put_if_absent(self, path: str, content: ObjectContent) -> bool:
        async with self._change("put_if_absent"):
            return await self._inner.put_if_absent(path, content)

    async def copy(self, sources: Sequence[str], target: str, *, sizes: Sequence[int] = ()) -> None:
        async with self._change("copy"):
            await self._inner.copy(sources, target, sizes=sizes)
            await self._on_move(target)

    async def open(self, path: str, *, is_whole: bool = True) -> Reader:
        await self._scheduler.gate("open")
        return await self._inner.open(path, is_whole=is_whole)

    async def open_writer(self, path: str, *, append: bool = False) -> Writer:
        assert keeps_files(self._inner)
        await self._scheduler.gate("open_writer")
        return await self._inner.open_writer(path, append=append)

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        await self._scheduler.gate("list")
        return await self._inner.list(path, after=after, limit=limit)

    async def move(self, source: str, target: str, *, writer: Writer | None = None) -> None:
        assert keeps_files(self._inner)
        async with self._change("move"):
            await self._inner.move(source, target, writer=writer)
            await self._on_move(target)

    async def place(self, source: str, target: str, *, writer: Writer) -> bool:
        assert keeps_files(self._inner)
        async with self._change("place"):
            actor = CURRENT.get()
            # Not every storage can, and both ways meet on one that several nodes share.
            if actor is not None and actor.rng.random() < self._expecting:
                return False
            return await self._inner.place(source, target, writer=writer)

    async def delete(self, path: str, *, durable: bool = True) -> None:
        await self._scheduler.gate("delete")
        await self._inner.delete(path, durable=durable)

    async def delete_saying(self, path: str, content: bytes, *, where: str) -> bool:
        async with self._change("delete_saying"):
            return await self._inner.delete_saying(path, content, where=where)

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        failures: dict[str, BackendError] = {}
        for path in paths:
            try:
                async with self._change("remove"):
                    failures |= await self._inner.remove([path], until=until, rest=rest)
            except StorageUnavailable as exc:
                failures[path] = exc
        return failures

    async def probe(self) -> None:
        await self._inner.probe()
