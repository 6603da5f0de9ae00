"""A database whose process is killed after so many steps: before a statement, before its end, or after it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Fuse:
    """Counts steps down."""

    left: int | None = None
    """None: nobody kills the process."""
    is_blown: bool = False
    stalls_after: int | None = None
    """None: the process goes on."""
    is_stalled: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def step(self) -> None:
        """One step; others may go on in between."""
        await asyncio.sleep(0)
        if self.stalls_after is not None:
            self.stalls_after -= 1
            if self.stalls_after <= 0:
                self.is_stalled.set()
                await self.goes_on.wait()
        if self.left is not None:
            self.left -= 1
            self.is_blown = self.is_blown or self.left <= 0
        if self.is_blown:
            raise Killed


class FusedTransaction(Transaction):
    """A transaction in such a process."""

    def __init__(self, inner: Transaction, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        if self._fuse.is_blown:
            raise Killed
        return await self._inner.all(query, *args)

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        if self._fuse.is_blown:
            raise Killed
        return await self._inner.first(query, *args)

    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        if self._fuse.is_blown:
            raise Killed
        await self._inner.run_many(query, rows)


class FusedDatabase(Database):
    """The same as another database, until the fuse blows."""

    def __init__(self, inner: Database, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse
        self.dialect = inner.dialect

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        await self._fuse.step()
        return await self._inner.all(query, *args, repository=repository, heavy=heavy)

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        await self._fuse.step()
        return await self._inner.first(query, *args, repository=repository)

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        await self._fuse.step()
        found = await self._inner.write(query, *args, repository=repository)
        await self._fuse.step()
        return found

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Transaction]:
        await self._fuse.step()
        async with self._inner.transaction(repository=repository) as transaction:
            yield FusedTransaction(transaction, self._fuse)
            if self._fuse.left == 1:
                self._fuse.is_blown = True
                raise Killed  # Before it is kept.
        await self._fuse.step()

    async def ping(self) -> None:
        await self._inner.ping()

    async def close(self) -> None:
        await self._inner.close()
