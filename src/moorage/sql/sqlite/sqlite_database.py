"""SQLite: one file, one writer at a time, readers that never wait.

Statements run on the event loop, as each takes microseconds; what waits for the disk, the commit, runs in a thread.
Transactions that come while one is being committed are gathered and made durable together: under load many pushes
share one fsync. Between processes the file's own lock decides.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from moorage.errors import BackendError, DatabaseUnavailable, StorageFull
from moorage.permissions import reason_at
from moorage.sql.base import Database, NamedQuery, Row, Transaction, Value
from moorage.sql.sqlite.heavy_reader import HeavyReader
from moorage.sql.sqlite.opened_file import OpenedFile
from moorage.sql.sqlite.recalled_rows import RecalledRows
from moorage.sql.sqlite.reserve import Reserve
from moorage.sql.sqlite.sqlite_connections import connect, connect_same
from moorage.sql.sqlite.sqlite_errors import code_of, fail, is_writing
from moorage.sql.sqlite.sqlite_parameters import bound, by_place, stored
from moorage.sql.sqlite.sqlite_turns import BlockTurn, CallTurn, SqliteTurn
from moorage.work.call_threads import CallThreads

_TURN_DEADLINE_S = 10.0
"""Seconds that a transaction waits for those before it, and for other processes."""
_COMMIT_DEADLINE_S = 30.0
"""Seconds that a transaction waits for the disk."""
_BUSY_PAUSE_S = 0.001
_GROUP_LIMIT = 64
"""Transactions that one commit makes durable at most."""
_MANY = 500
"""After so many statements in a row, let others have the event loop."""
_CACHE_KIB = 16 * 1024
_SERVING_CACHE_KIB = 256
"""Of a server's processes, each of which has two connections at least: what another one writes empties them all, and
what is not there comes from the kernel's cache."""
_HEAVY_CACHE_KIB = 4 * 1024
"""Of a server's connection for heavy reads, which few of its processes ever open."""
_T = TypeVar("_T")
_CLOSED = "the database is closed"


class SqliteDatabase(Database):
    """One SQLite file, in write-ahead mode."""

    dialect = "sqlite"

    def __init__(self, path: Path, *, keeps_reserve: bool = False) -> None:
        """Connect; see :meth:`open`, which also starts the writer."""
        self.path = path
        self.address = str(path)
        reserve = Reserve(path, is_kept=keeps_reserve)
        reserve.look()  # To open it takes room, too.
        cache = f"PRAGMA cache_size = -{_SERVING_CACHE_KIB if keeps_reserve else _CACHE_KIB}"
        heavy = f"PRAGMA cache_size = -{_HEAVY_CACHE_KIB if keeps_reserve else _CACHE_KIB}"
        reading, is_there = "PRAGMA query_only = on", keeps_reserve
        self._reader = connect(path, reading, cache, is_there=is_there)
        self._recalled = RecalledRows(self._reader)
        file = OpenedFile(path)
        self._heavy = HeavyReader(lambda: connect_same(file, path, reading, heavy))
        self._writer = _Writer(connect_same(file, path, "PRAGMA synchronous = full", cache), reserve, file)

    @classmethod
    async def open(cls, path: Path, *, keeps_reserve: bool = False) -> Self:
        """Open the file, which is made if it is not there.

        *keeps_reserve*: for a server, see ``reserve.py``. Its start has made the file: one that is not there any more
        is not made again, as it comes back.

        Raises:
            DatabaseUnavailable: it cannot be opened, or is no database.
            StorageFull: there is no room for it.
        """
        try:
            return cls(path, keeps_reserve=keeps_reserve)
        except sqlite3.Error as exc:
            fail(exc, reason_at(exc, path, "write"))

    async def all(
        self, query: NamedQuery, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        del repository
        if not heavy:
            return _all(self._reader, query, args)
        return await self._heavy.run(lambda connection: _all(connection, query, args))

    async def first(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        del repository
        return _first(self._reader, query, args)

    async def recall(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Row | None:
        key = (query.name, *args)
        try:
            row = self._recalled.get(key)
        except sqlite3.Error as exc:
            fail(exc)
        if row is None:
            row = await self.first(query, *args, repository=repository)
            if row is not None:
                self._recalled.put(key, row)
        return row

    async def write(self, query: NamedQuery, *args: Value, repository: str | None = None) -> Sequence[Row]:
        del repository
        return await self._writer.call(lambda transaction: transaction.all(query, *args))

    async def transact(self, work: Callable[[Transaction], Awaitable[_T]], *, repository: str | None = None) -> _T:
        del repository
        return await self._writer.call(work)

    def transaction(self, *, repository: str | None = None) -> AbstractAsyncContextManager[Transaction]:
        del repository
        return self._writer.turn()

    async def ping(self) -> None:
        async with self.transaction():
            pass

    async def close(self) -> None:
        await self._writer.close()
        await self._heavy.close()
        self._recalled.forget()
        self._reader.close()


class _Writer:
    """Gives transactions their turns, and commits those that came together."""

    def __init__(self, connection: sqlite3.Connection, reserve: Reserve, file: OpenedFile) -> None:
        self._connection = connection
        self._file = file
        self._reserve = reserve
        self._transaction = _SqliteTransaction(connection)
        self._thread = CallThreads(1, "sqlite-commit")
        self._turns: asyncio.Queue[SqliteTurn | None] = asyncio.Queue()
        self._group: list[SqliteTurn] = []  # Those that the next commit makes durable.
        self._is_closed = False
        self._task = asyncio.get_running_loop().create_task(self._work())  # It takes turns from a queue until it ends.

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Transaction]:
        """A transaction's turn; the end of the block waits until it is durable."""
        if self._is_closed:
            raise DatabaseUnavailable(_CLOSED)
        turn = BlockTurn()
        self._turns.put_nowait(turn)
        expiry, is_kept = turn.expire_later(), False
        try:
            await turn.granted
            expiry.cancel()
            yield self._transaction
            is_kept = True
        except BackendError as exc:  # A long transaction writes before its end.
            meaning = self._meaning_of(exc)
            if meaning is exc:
                raise
            raise meaning from exc
        finally:
            expiry.cancel()
            if not turn.finished.done():
                turn.finished.set_result(is_kept)
        # A caller may be cancelled here; the commit goes on for the others.
        await turn.durable

    async def call(self, work: Callable[[Transaction], Awaitable[_T]]) -> _T:
        """Do *work* in a turn, by the task that gives turns: nobody has to be woken in between. Durable on return."""
        if self._is_closed:
            raise DatabaseUnavailable(_CLOSED)

        async def done() -> _T:
            try:
                return await work(self._transaction)
            except BackendError as exc:
                meaning = self._meaning_of(exc)
                if meaning is exc:
                    raise
                raise meaning from exc

        turn = CallTurn(done)
        self._turns.put_nowait(turn)
        expiry = turn.expire_later()
        try:
            result: _T = await turn.durable
        finally:
            expiry.cancel()
        return result

    async def close(self) -> None:
        """Finish what has its turn or waits for it, and let go of the connection."""
        if not self._is_closed:
            self._is_closed = True
            self._turns.put_nowait(None)
        await asyncio.shield(self._task)
        await self._thread.close()
        self._connection.close()

    async def _work(self) -> None:
        is_last = False
        try:
            while not is_last:
                is_last = await self._serve()
        finally:
            # Also if this task was stopped: nobody waits for what does not come.
            self._is_closed = True
            left = [self._turns.get_nowait() for _ in range(self._turns.qsize())]
            for turn in (*self._group, *left):
                if turn is not None:
                    turn.settle(DatabaseUnavailable(_CLOSED))

    async def _serve(self) -> bool:
        """Commit the next transactions; whether they were the last."""
        turn = await self._turns.get()
        if turn is None:
            return True
        if turn.is_given_up:
            return False
        self._group = [turn]
        is_last = False
        failure: Exception | None = None
        try:
            await self._prepare()
            await self._begin()
            is_last = await self._gather()
            await self._commit()
        except (BackendError, sqlite3.Error) as exc:
            self._undo()
            failure = self._meaning_of(exc)
        for turn in self._group:
            turn.settle(failure)
        self._group = []
        # Who was told may come with more at once, and share the next commit; and other processes have a moment.
        await asyncio.sleep(0)
        return is_last

    def _meaning_of(self, exc: Exception) -> Exception:
        """Tell a quota, as SQLite does not, from other failures; where room was wanted, give the reserve."""
        if is_writing(exc) and self._reserve.is_refused_room():
            exc = StorageFull(f"no room for the database, by a quota or a limit: {exc}")
        if isinstance(exc, StorageFull):
            self._reserve.release()
        return exc

    async def _gather(self) -> bool:
        """Let those that wait write, one after the other; whether the end of all turns came among them."""
        while True:
            await self._give(self._group[-1])
            if len(self._group) >= _GROUP_LIMIT or self._turns.empty():
                return False
            turn = self._turns.get_nowait()
            if turn is None:
                return True
            self._group.append(turn)

    async def _give(self, turn: SqliteTurn) -> None:
        if turn.is_given_up:
            return
        is_first = turn is self._group[0]
        if not is_first:
            self._execute("SAVEPOINT turn")
        is_kept = await turn.give()
        if not self._connection.in_transaction:  # Without room SQLite may undo everything by itself.
            msg = "a transaction that this one shared a commit with had no room"
            raise DatabaseUnavailable(msg)
        if is_first:  # Nothing else is in the transaction yet: it is its own savepoint.
            if not is_kept:
                self._execute("ROLLBACK")
                await self._begin()
            return
        if not is_kept:
            self._execute("ROLLBACK TO turn")
        self._execute("RELEASE turn")

    async def _prepare(self) -> None:
        """See to it that there is room for a transaction, and that the log does not grow while it is short."""
        pages = self._reserve.log_pages
        if self._reserve.look():
            await self._thread.run(self._reserve.make)
        if pages != self._reserve.log_pages:
            self._execute(f"PRAGMA wal_autocheckpoint = {self._reserve.log_pages}")

    async def _begin(self) -> None:
        deadline = asyncio.get_running_loop().time() + _TURN_DEADLINE_S
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as exc:  # Busy: another process is writing.
                if code_of(exc) != sqlite3.SQLITE_BUSY or asyncio.get_running_loop().time() > deadline:
                    fail(exc)
            else:
                return
            await asyncio.sleep(_BUSY_PAUSE_S)

    async def _commit(self) -> None:
        self._file.check()
        slow = asyncio.get_running_loop().call_later(_COMMIT_DEADLINE_S, self._tell_slow, tuple(self._group))
        try:
            await self._thread.run(self._execute, "COMMIT")
        finally:
            slow.cancel()

    def _tell_slow(self, group: Iterable[SqliteTurn]) -> None:
        for turn in group:
            turn.settle(DatabaseUnavailable("the disk did not take a commit in time"))

    def _undo(self) -> None:
        with contextlib.suppress(BackendError, sqlite3.Error):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")

    def _execute(self, statement: str) -> None:
        try:
            self._connection.execute(statement)
        except sqlite3.Error as exc:
            fail(exc)


class _SqliteTransaction(Transaction):
    """Statements of the transaction that has its turn."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def all(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        return _all(self._inside(), query, args)

    async def first(self, query: NamedQuery, *args: Value) -> Row | None:
        return _first(self._inside(), query, args)

    async def run_many(self, query: NamedQuery, rows: Iterable[Sequence[Value]]) -> None:
        text, order = by_place(query.sqlite)
        left = map(order, map(stored, rows)) if order else map(stored, rows)
        while batch := list(islice(left, _MANY)):
            try:
                self._inside().executemany(text, batch)
            except sqlite3.Error as exc:
                fail(exc)
            if len(batch) == _MANY:
                await asyncio.sleep(0)

    def _inside(self) -> sqlite3.Connection:
        """The connection, if its transaction was not undone: outside of one a statement would be kept for itself."""
        if not self._connection.in_transaction:
            msg = "the transaction is over"
            raise DatabaseUnavailable(msg)
        return self._connection


def _all(connection: sqlite3.Connection, query: NamedQuery, args: tuple[Value, ...]) -> Sequence[Row]:
    try:
        return _run(connection, query, args).fetchall()
    except sqlite3.Error as exc:
        fail(exc)


def _first(connection: sqlite3.Connection, query: NamedQuery, args: tuple[Value, ...]) -> Row | None:
    """The first row; the rest is not read, so that no reader holds a snapshot."""
    try:
        cursor = _run(connection, query, args)
        row: Row | None = cursor.fetchone()
        cursor.close()
    except sqlite3.Error as exc:
        fail(exc)
    return row


def _run(connection: sqlite3.Connection, query: NamedQuery, args: tuple[Value, ...]) -> sqlite3.Cursor:
    return connection.execute(*bound(query.sqlite, args))
