"""SQLite: one file, one writer at a time, readers that never wait.

Statements run on the event loop, as each takes microseconds; what waits for the disk, the commit, runs in a thread.
Transactions that come while one is being committed are gathered and made durable together: under load many pushes
share one fsync. Between processes the file's own lock decides.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Self

from moorage.errors import BackendError, DatabaseConflict, DatabaseUnavailable, StorageFull
from moorage.sql.base import Database, Query, Row, Session, Value, microseconds

sqlite3.register_adapter(datetime, microseconds)

_TURN_DEADLINE_S = 10.0
"""How long a transaction waits for those before it, and for other processes."""
_BUSY_PAUSE_S = 0.001
_GROUP_LIMIT = 64
"""Transactions that one commit makes durable at most."""
_MANY = 500
"""After so many statements in a row, let others have the event loop."""
_CACHE_KIB = 16 * 1024

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class SqliteDatabase(Database):
    """One SQLite file, in write-ahead mode."""

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        """Connect; see :meth:`open`, which also starts the writer."""
        self.path = path
        self._reader = _connect(path, "PRAGMA query_only = on")
        self._heavy = _connect(path, "PRAGMA query_only = on")
        self._heavy_thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-heavy")
        self._writer = _Writer(_connect(path, "PRAGMA synchronous = full"))

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file, which is made if it is not there.

        Raises:
            DatabaseUnavailable: it cannot be opened, or is no database.
            StorageFull: there is no room for it.
        """
        with _translated():
            return cls(path)

    async def all(
        self, query: Query, *args: Value, repository: str | None = None, heavy: bool = False
    ) -> Sequence[Row]:
        del repository
        if not heavy:
            return _run(self._reader, query, args).fetchall()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._heavy_thread, _all, self._heavy, query, args)

    async def first(self, query: Query, *args: Value, repository: str | None = None) -> Row | None:
        del repository
        return _first(_run(self._reader, query, args))

    async def write(self, query: Query, *args: Value, repository: str | None = None) -> Sequence[Row]:
        async with self.transaction(repository=repository) as session:
            return await session.all(query, *args)

    @contextlib.asynccontextmanager
    async def transaction(self, *, repository: str | None = None) -> AsyncIterator[Session]:
        del repository
        async with self._writer.turn() as session:
            yield session

    async def ping(self) -> None:
        async with self.transaction():
            pass

    async def close(self) -> None:
        await self._writer.close()
        self._heavy_thread.shutdown()
        for connection in (self._reader, self._heavy):
            connection.close()


class _Turn:
    """One transaction that waits for its turn, has it, or has had it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.granted: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[bool] = loop.create_future()
        """Whether what it wrote shall be kept."""
        self.durable: asyncio.Future[None] = loop.create_future()


class _Writer:
    """Gives transactions their turns, and commits those that came together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._session = _SqliteSession(connection)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-commit")
        self._turns: asyncio.Queue[_Turn | None] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._work())

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Session]:
        """A transaction's turn; the end of the block waits until it is durable."""
        if self._task.done():
            msg = "the database is closed"
            raise DatabaseUnavailable(msg)
        turn = _Turn()
        self._turns.put_nowait(turn)
        try:
            async with asyncio.timeout(_TURN_DEADLINE_S):
                await turn.granted
        except TimeoutError:
            turn.finished.set_result(False)
            msg = "the database was busy for too long"
            raise DatabaseUnavailable(msg) from None
        except BaseException:
            turn.finished.set_result(False)
            raise
        try:
            yield self._session
        except BaseException:
            turn.finished.set_result(False)
            raise
        turn.finished.set_result(True)
        # Shielded: whoever waits may be cancelled, the commit goes on for the others.
        await asyncio.shield(turn.durable)

    async def close(self) -> None:
        """Finish what has its turn, and let go of the connection."""
        self._turns.put_nowait(None)
        await self._task
        self._thread.shutdown()
        self._connection.close()

    async def _work(self) -> None:
        while True:
            turn = await self._turns.get()
            if turn is None:
                return
            if turn.granted.cancelled():
                continue
            group: list[_Turn] = [turn]
            is_last = False
            try:
                await self._begin()
                is_last = await self._gather(group)
                await self._commit()
            except (BackendError, sqlite3.Error) as exc:
                self._undo()
                _settle(group, exc)
            else:
                _settle(group, None)
            if is_last:
                return

    async def _gather(self, group: list[_Turn]) -> bool:
        """Let those that wait write, one after the other; whether the end of all turns came among them."""
        while True:
            await self._give(group[-1])
            if len(group) >= _GROUP_LIMIT or self._turns.empty():
                return False
            turn = self._turns.get_nowait()
            if turn is None:
                return True
            group.append(turn)

    async def _give(self, turn: _Turn) -> None:
        if turn.granted.cancelled():
            return
        self._execute("SAVEPOINT turn")
        turn.granted.set_result(None)
        if not await turn.finished:
            if not self._connection.in_transaction:  # Without room SQLite undoes everything by itself.
                msg = "a transaction that this one shared a commit with had no room"
                raise DatabaseUnavailable(msg)
            self._execute("ROLLBACK TO turn")
        self._execute("RELEASE turn")

    async def _begin(self) -> None:
        deadline = asyncio.get_running_loop().time() + _TURN_DEADLINE_S
        while True:
            try:
                self._execute("BEGIN IMMEDIATE")
            except DatabaseUnavailable:
                # Another process is writing.
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_BUSY_PAUSE_S)
            else:
                return

    async def _commit(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._execute, "COMMIT")

    def _undo(self) -> None:
        with contextlib.suppress(BackendError):
            if self._connection.in_transaction:
                self._execute("ROLLBACK")

    def _execute(self, statement: str) -> None:
        with _translated():
            self._connection.execute(statement)


class _SqliteSession(Session):
    """Statements of the transaction that has its turn."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def all(self, query: Query, *args: Value) -> Sequence[Row]:
        return _all(self._connection, query, args)

    async def first(self, query: Query, *args: Value) -> Row | None:
        return _first(_run(self._connection, query, args))

    async def run_many(self, query: Query, rows: Iterable[Sequence[Value]]) -> None:
        left = iter(rows)
        while batch := list(islice(left, _MANY)):
            with _translated():
                self._connection.executemany(query.sqlite, batch)
            await asyncio.sleep(0)


def _settle(group: Sequence[_Turn], exc: Exception | None) -> None:
    for turn in group:
        for future in (turn.granted, turn.durable):
            if future.done():
                continue
            if exc is None:
                future.set_result(None)
            else:
                future.set_exception(exc)
                future.exception()  # Seen: whoever waited may be gone.


def _connect(path: Path, *settings: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256)
    deadline_ms = int(_TURN_DEADLINE_S * 1000)
    connection.execute(f"PRAGMA busy_timeout = {deadline_ms}")  # Two processes may make the file at the same time.
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("PRAGMA busy_timeout = 0")
    for setting in ("PRAGMA foreign_keys = on", f"PRAGMA cache_size = -{_CACHE_KIB}", *settings):
        connection.execute(setting)
    return connection


def _run(connection: sqlite3.Connection, query: Query, args: tuple[Value, ...]) -> sqlite3.Cursor:
    text = query.sqlite
    if "= ANY(" in text:
        text, args = _expanded(text, args)
    try:
        return connection.execute(text, args)
    except sqlite3.Error as exc:
        raise _translate(exc) from exc


def _all(connection: sqlite3.Connection, query: Query, args: tuple[Value, ...]) -> Sequence[Row]:
    with _translated():
        return _run(connection, query, args).fetchall()


def _first(cursor: sqlite3.Cursor) -> Row | None:
    """The first row; the rest is not read, so that no reader holds a snapshot."""
    with _translated():
        row: Row | None = cursor.fetchone()
        cursor.close()
    return row


def _expanded(text: str, args: tuple[Value, ...]) -> tuple[str, tuple[Value, ...]]:
    """``= ANY(?n)``, which SQLite does not have, as ``IN (…)``: a list's items come after the other arguments."""
    flat: list[Value] = list(args)
    for number, value in enumerate(args, 1):
        if isinstance(value, (list, tuple)):
            flat[number - 1] = None
            places = ", ".join(f"?{len(flat) + index}" for index in range(1, len(value) + 1))
            text = text.replace(f"= ANY(?{number})", f"IN ({places})")
            flat += value
    return text, tuple(flat)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise _translate(exc) from exc


def _translate(exc: sqlite3.Error) -> Exception:
    """SQLite's error as one of ours; one that is a mistake in our statements stays what it is."""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFull(f"no room for the database: {exc}")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return DatabaseConflict(str(exc))
    if code in _UNAVAILABLE:
        return DatabaseUnavailable(f"the database cannot be used: {exc}")
    return exc
