"""PostgreSQL: several processes and nodes on one database. Replicas are not known here."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Final, Self, TypeVar

from asyncpg.prepared_stmt import PreparedStatement

from moorage.errors import DatabaseUnavailable
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value
from moorage.sql.collisions import REPEATS, pause
from moorage.sql.database_place import PostgresSettings
from moorage.sql.joined_reads import JoinedReads
from moorage.sql.postgres.postgres_connect import Connector, addresses_of
from moorage.sql.postgres.postgres_errors import VENDOR_ERRORS, Fault
from moorage.sql.postgres.postgres_pool import Pool, PooledConnection, PoolStats

_PING: Final = NamedQuery("ping", "", "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")

_T = TypeVar("_T")

_fetch: Callable[..., Awaitable[Sequence[Row]]] = PreparedStatement.fetch
_fetchrow: Callable[..., Awaitable[Row | None]] = PreparedStatement.fetchrow
_executemany: Callable[..., Awaitable[None]] = PreparedStatement.executemany


class PostgresDatabase(Database):
    """One PostgreSQL database, over a pool of connections.

    It never needs the server to be there: what is asked for while it is away fails with DatabaseUnavailable, and the
    next connection is made when the next caller comes.
    """

    dialect = "postgres"

    def __init__(self, settings: PostgresSettings) -> None:
        """Make the pool; no connection yet. Needs a running event loop."""
        self.settings = settings
        self.address = ",".join(map(str, addresses_of(settings)))
        self._pool = Pool(Connector(settings).connect, settings.pool, queue_deadline=settings.queue_deadline)
        self._joined = JoinedReads()
        # A node that vanishes in mid-transaction must not keep its locks until the network notices.
        idle_ms = int(settings.statement_deadline.total_seconds() * 1000)
        self._begin = f"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {idle_ms}"

    @classmethod
    async def open(cls, settings: PostgresSettings) -> Self:
        """Make the database's pool. The server need not be up: connections are made when needed."""
        return cls(settings)

    @property
    def pool_stats(self) -> PoolStats:
        """The state of the pool."""
        return self._pool.stats

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        del repository, heavy
        return await self._run(_fetch, query, args, is_read=True)

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        del repository
        return await self._run(_fetchrow, query, args, is_read=True)

    async def recall(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        return await self._joined.first((query.name, *args), lambda: self.first(query, *args, repository=repository))

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        del repository
        return await self._run(_fetch, query, args, is_read=False)

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Transaction]:
        del repository
        link = await self._begun()
        transaction = _PostgresTransaction(link)
        try:
            yield transaction
            await transaction.commit()
        except BaseException as exc:
            fault = transaction.fault
            if fault is None and isinstance(exc, Exception):
                fault = Fault(exc)  # Not the connection's: no statement is on its way.
            await self._pool.give_back_after(link, fault, cleanup="ROLLBACK")
            raise
        self._pool.give_back(link)

    async def ping(self) -> None:
        row = await self.first(_PING)
        if row is None or row[0]:
            msg = "PostgreSQL is read-only"
            raise DatabaseUnavailable(msg)

    async def close(self) -> None:
        await self._pool.close(self.settings.drain_deadline_s)

    async def _run(
        self, fetch: Callable[..., Awaitable[_T]], query: NamedQuery, args: tuple[Value, ...], *, is_read: bool
    ) -> _T:
        """Run a statement as a transaction of its own; again where that can do no harm."""
        text, attempt = query.postgres, 0
        while True:
            link = self._pool.take() or await self._pool.acquire()
            try:
                result = await fetch(link.statements.get(text) or await link.prepare(text), *args)
            except VENDOR_ERRORS as exc:
                fault = link.diagnose(exc)
                await self._pool.give_back_after(link, fault)
                if not _may_repeat(fault, attempt, is_read=is_read):
                    raise fault.error from exc
            except BaseException:
                # The caller has gone.
                await self._pool.give_back_after(link, None)
                raise
            else:
                self._pool.give_back(link)
                return result
            attempt += 1
            await pause(attempt)

    async def _begun(self) -> PooledConnection:
        """A connection with an open transaction. Nothing can be lost yet: a dead connection is not the end."""
        attempt = 0
        while True:
            link = self._pool.take() or await self._pool.acquire()
            try:
                await link.connection.execute(self._begin)
            except VENDOR_ERRORS as exc:
                fault = link.diagnose(exc)
                await self._pool.give_back_after(link, fault, cleanup="ROLLBACK")
                if attempt or not fault.is_lost:
                    raise fault.error from exc
            except BaseException:
                await self._pool.give_back_after(link, None, cleanup="ROLLBACK")
                raise
            else:
                return link
            attempt += 1


class _PostgresTransaction(Transaction):
    """Statements of one transaction."""

    def __init__(self, link: PooledConnection) -> None:
        self._link = link
        self.fault: Fault | None = None
        """The error on the connection, once there is one."""

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        return await self._run(_fetch, query, *args)

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        return await self._run(_fetchrow, query, *args)

    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        await self._run(_executemany, query, rows)

    async def commit(self) -> None:
        """Make it durable.

        Raises:
            DatabaseUnavailable: the connection failed, so that nobody can say whether it is; or a statement before
                had failed, so that it is not.
        """
        try:
            status = await self._link.connection.execute("COMMIT")
        except VENDOR_ERRORS as exc:
            self.fault = self._link.diagnose(exc)
            raise self.fault.error from exc
        if status != "COMMIT":
            msg = "PostgreSQL undid a transaction in which a statement had failed"
            raise DatabaseUnavailable(msg)

    async def _run(self, fetch: Callable[..., Awaitable[_T]], query: NamedQuery, *args: object) -> _T:
        text, link = query.postgres, self._link
        try:
            return await fetch(link.statements.get(text) or await link.prepare(text), *args)
        except VENDOR_ERRORS as exc:
            self.fault = link.diagnose(exc)
            raise self.fault.error from exc


def _may_repeat(fault: Fault, attempt: int, *, is_read: bool) -> bool:
    if fault.is_undone or (fault.is_outdated and is_read):
        return attempt < REPEATS
    return fault.is_lost and is_read and attempt == 0
