"""SQLite files for tests: a table, statements for it, and what other processes do to it."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from moorage.errors import DatabaseUnavailable
from moorage.sql.base import NamedQuery, Transaction
from moorage.sql.sqlite import sqlite_database
from moorage.sql.sqlite.sqlite_database import SqliteDatabase

Result = TypeVar("Result")


def q(text: str) -> NamedQuery:
    return NamedQuery("test", text.replace("$", "?"), text)


SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, owner TEXT NOT NULL DEFAULT '', payload BLOB)"
PUT = q("INSERT INTO t (id) VALUES ($1)")
PUT_LARGE = q("INSERT INTO t (id, payload) VALUES ($1, zeroblob($2))")
IDS = q("SELECT id FROM t ORDER BY id")
SLOW = q("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT count(*) FROM n")
"""Takes long where $1 is great."""


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteDatabase]:
    """A database, which has the table."""
    database = await SqliteDatabase.open(path)
    try:
        await database.write(q(SCHEMA.replace("TABLE t", "TABLE IF NOT EXISTS t")))
        yield database
    finally:
        await database.close()


async def ids(database: SqliteDatabase) -> list[int]:
    return [row[0] for row in await database.all(IDS)]


def writer(database: SqliteDatabase) -> sqlite3.Connection:
    """The connection that writes: here faults are put."""
    return database._writer._connection


async def put(session: Transaction, number: int) -> None:
    await session.all(PUT, number)


def trace(database: SqliteDatabase, callback: Callable[[str], object]) -> None:
    """Tell *callback* every statement of the writer from now on, in the thread that runs it.

    Not while a commit runs: sqlite3 would wait for it, and keep its callback from running.
    """
    writer(database).set_trace_callback(callback)


def count_up(path: Path, pipe: Connection, clients: int, rounds: int) -> None:
    """A process whose *clients* read a number and write the next, at once; reports errors."""
    errors: list[str] = []

    async def client(database: SqliteDatabase) -> None:
        for _ in range(rounds):
            try:
                async with database.transaction() as session:
                    row = await session.first(q("SELECT owner FROM t WHERE id = 1"))
                    assert row is not None
                    await session.all(q("UPDATE t SET owner = $1 WHERE id = 1"), str(int(row[0]) + 1))
                await database.first(IDS)
            except DatabaseUnavailable as exc:
                errors.append(str(exc))

    async def main() -> None:
        database = await SqliteDatabase.open(path)
        pipe.send("ready")
        pipe.recv()
        await asyncio.gather(*(client(database) for _ in range(clients)))
        await database.close()

    asyncio.run(main())
    pipe.send(errors)


def open_new(path: Path, pipe: Connection) -> None:
    """A process that opens the file when told to, writes a row and says how it went."""
    pipe.send("ready")
    number = pipe.recv()

    async def main() -> None:
        async with opened(path) as database:
            await database.write(PUT, number)

    try:
        asyncio.run(main())
    except Exception as exc:  # noqa: BLE001 - whatever it is, the test is to know
        pipe.send(repr(exc))
    else:
        pipe.send("done")


def hold(path: Path, pipe: Connection) -> None:
    """A process that stays inside a transaction in which it has written."""

    async def main() -> None:
        database = await SqliteDatabase.open(path)
        async with database.transaction() as session:
            await put(session, 1)
            pipe.send("inside")
            await asyncio.Event().wait()
        pipe.send("outside")

    asyncio.run(main())


def write_and_tell(path: Path, pipe: Connection, first: int) -> None:
    """A process that writes pairs of rows from several clients, and tells of each pair when it is acknowledged."""

    async def client(database: SqliteDatabase, number: int) -> None:
        while True:
            async with database.transaction() as session:
                await put(session, number)
                await put(session, number + 1)
            pipe.send(number)
            number += 8 * 2

    async def main() -> None:
        database = await SqliteDatabase.open(path)
        await asyncio.gather(*(client(database, first + 2 * n) for n in range(8)))

    asyncio.run(main())


def open_as_nobody(path: Path, pipe: Connection, user: int) -> None:
    """A process without rights: says what became of opening the file, a read and a write."""
    if os.geteuid() == 0:
        os.setgid(user)
        os.setuid(user)

    sqlite_database._TURN_DEADLINE_S = 600.0
    said = []

    async def tried(what: str, attempt: Awaitable[Result]) -> Result | None:
        try:
            result = await attempt
        except DatabaseUnavailable as exc:
            said.append(f"{what}: {exc.__cause__}")
            return None
        said.append(f"{what}: done")
        return result

    async def main() -> None:
        database = await tried("open", SqliteDatabase.open(path))
        if database is not None:
            await tried("read", database.all(IDS))
            await tried("write", database.write(PUT, 9))
            await database.close()

    asyncio.run(main())
    pipe.send(said)
