"""Databases around a real one: one that counts what it is asked, one that is away for a while."""

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from moorage.errors import DatabaseUnavailable
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value


class WatchedDatabase(Database):
    """Passes everything on, notes the names of statements in ``asked``, and fails while ``is_away``."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner
        self.dialect = inner.dialect
        self.asked: list[str] = []
        self.is_away = False

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        self.note(query)
        return await self.inner.all(query, *args, repository=repository, heavy=heavy)

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        self.note(query)
        return await self.inner.first(query, *args, repository=repository)

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        self.note(query)
        return await self.inner.write(query, *args, repository=repository)

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Transaction]:
        async with self.inner.transaction(repository=repository) as session:
            yield _WatchedSession(self, session)

    async def ping(self) -> None:
        await self.inner.ping()

    async def close(self) -> None:
        await self.inner.close()

    def note(self, query: NamedQuery) -> None:
        """Remember a statement; or fail, as a database does that cannot be reached."""
        if self.is_away:
            msg = "away"
            raise DatabaseUnavailable(msg)
        self.asked.append(query.name)


class _WatchedSession(Transaction):
    def __init__(self, database: WatchedDatabase, inner: Transaction) -> None:
        self._database = database
        self._inner = inner

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        self._database.note(query)
        return await self._inner.all(query, *args)

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        self._database.note(query)
        return await self._inner.first(query, *args)

    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        self._database.note(query)
        await self._inner.run_many(query, rows)
