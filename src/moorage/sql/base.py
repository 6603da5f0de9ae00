"""The interface to a database: named queries in, rows out. SQLite and PostgreSQL keep the same promises.

A database promises: what a transaction wrote is durable when its block has ended without an error, and nothing of it
is there if it has not; a reader sees whole transactions only; every wait has a deadline.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from moorage.errors import BackendError
from moorage.sql.members import DatabaseServer

Dialect = Literal["sqlite", "postgres"]

Value = None | int | str | bytes | datetime | Sequence[int] | Sequence[str] | Sequence[bytes]
"""A value for a query; a sequence only where the query says ``= ANY($n)``. Moments are UTC."""

Row = Sequence[Any]
"""A row of a result, by position. A moment is a ``datetime`` or a number: read it with :func:`moment`."""

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NamedQuery(NamedTuple):
    """A statement under its name, with parameters ``$1``, ``$2`` …, in the words of each dialect."""

    name: str
    sqlite: str
    postgres: str


_ANSWERS = NamedQuery("answers", "SELECT 1", "SELECT 1")


class Reads(Protocol):
    """The reading method that a database and a transaction have in common."""

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        """The first row of the result; None if there is none."""


class Transaction(ABC):
    """A place where statements run: inside one transaction, or each on its own.

    Every method raises:
        DatabaseUnavailable: the database did not answer, or not in time. Trying again may help.
        StorageFull: it has no room left. Nothing of the transaction is kept.
        DatabaseConflict: a constraint forbids it.
    """

    @abstractmethod
    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        """Every row of the result."""

    @abstractmethod
    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        """The first row of the result; None if there is none."""

    @abstractmethod
    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        """Run a statement once for each of *rows*, in one go."""


class Database(ABC):
    """One database, as one process uses it."""

    dialect: Dialect
    has_replicas = False
    """True if there may be replicas, though none is there now."""

    @abstractmethod
    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        """Every row of a reading query.

        *repository*: a replica may answer, if it has seen the last write to that repository; None: the primary does.
        *heavy*: it may take longer than a moment, so others get the event loop meanwhile.
        """

    @abstractmethod
    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        """The first row of a reading query; None if there is none. *repository* as for :meth:`all`."""

    async def recall(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        """Return what :meth:`first` would, for what many ask again and again.

        It may be remembered, or have been read for others too, but never from before this was called: whatever anybody
        was told to be written by then is in it. What the query says must follow from the tables and *args* alone.
        """
        return await self.first(query, *args, repository=repository)

    @abstractmethod
    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        """Run one statement as a transaction of its own, and return what it gives back (``RETURNING``).

        *repository*: reads that name it see this write from now on, on every node.
        """

    @abstractmethod
    def transaction(self, *, repository: str | None = None) -> AbstractAsyncContextManager[Transaction]:
        """A transaction: kept when the block ends, undone when it raises. *repository* as for :meth:`write`.

        Inside, await nothing but the transaction: a transaction keeps others waiting. A block is never run twice.
        """

    async def transact(self, work: Callable[[Transaction], Awaitable[_T]], *, repository: str | None = None) -> _T:
        """Do *work* as a transaction, and return what it gives: for what is short and waits for nothing else.

        Kept when it returns, undone when it raises. *repository* as for :meth:`write`. A caller that is cancelled does
        not know whether it is done.
        """
        async with self.transaction(repository=repository) as transaction:
            return await work(transaction)

    async def announce(self, repositories: Iterable[str]) -> None:  # noqa: B027 - most databases have no replicas
        """As *repository* of :meth:`transaction`, after one that wrote to several.

        Where there are no replicas there is nothing to do.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Ask whether the database answers and can be written to.

        Raises:
            DatabaseUnavailable: it does not, or cannot.
        """

    async def answers(self) -> None:
        """Ask whether the database answers at all, though it may be read-only.

        Raises:
            DatabaseUnavailable: it does not.
        """
        await self.first(_ANSWERS)

    address = ""
    """The place of the server, for people; never with a password."""

    async def servers(self, *, limit_s: float) -> Sequence[DatabaseServer]:
        """Ask every server at the same time whether it is there, and wait *limit_s* seconds at most for each."""
        return [await asked(self, self.address, limit_s=limit_s, is_primary=True)]

    @abstractmethod
    async def close(self) -> None:
        """Let go of every connection."""


async def asked(database: Database, address: str, *, limit_s: float, is_primary: bool) -> DatabaseServer:
    """Ask one server whether it is there."""
    asked_at, fault = datetime.now(UTC), ""
    question = database.ping if is_primary else database.answers
    try:
        async with asyncio.timeout(limit_s):
            await question()
    except (BackendError, TimeoutError) as exc:
        fault = str(exc) or "no answer in time"
    return DatabaseServer(
        address=address,
        is_primary=is_primary,
        state="unreachable" if fault else "online",
        fault=fault,
        asked_at=asked_at,
    )


def moment(value: datetime | int) -> datetime:
    """A moment from a row, in UTC: SQLite keeps microseconds since 1970, PostgreSQL its own type."""
    return value if isinstance(value, datetime) else _EPOCH + timedelta(microseconds=value)


def maybe_moment(value: datetime | int | None) -> datetime | None:
    """As :func:`moment`, where there may be none."""
    return None if value is None else moment(value)


def microseconds(value: datetime) -> int:
    """A moment as SQLite keeps it."""
    return (value - _EPOCH) // _MICROSECOND
