"""Transactions that share a commit: one that fails, callers that go away, a disk that is full or fails."""

import asyncio
import contextlib
import random
import resource
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.errors import BackendError, DatabaseConflict, DatabaseUnavailable, StorageFull
from moorage.sql.base import NamedQuery
from moorage.sql.sqlite import sqlite_database as sqlite
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from unit.sql.sqlite_files import PUT, PUT_LARGE, ids, opened, put, q, trace, writer

LARGE = 1 << 20


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with opened(tmp_path / "t.sqlite") as database:
        yield database


class SlowDisk:
    """Every commit waits for :meth:`go_on`, in the thread that runs it."""

    def __init__(self) -> None:
        self.commits = 0
        self.begun = threading.Event()
        self._may_go_on = threading.Event()

    def __call__(self, statement: str) -> None:
        if statement == "COMMIT":
            self.commits += 1
            self.begun.set()
            self._may_go_on.wait(20)

    def go_on(self) -> None:
        self.begun.clear()
        self._may_go_on.set()

    def stop(self) -> None:
        self._may_go_on.clear()

    async def is_asked(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)


@pytest.fixture
def slow_disk(database: SqliteDatabase) -> Iterator[SlowDisk]:
    disk = SlowDisk()
    trace(database, disk)
    yield disk
    disk.go_on()


async def is_healthy(database: SqliteDatabase, number: int = 999_999) -> bool:
    async with asyncio.timeout(5):
        await database.write(PUT, number)
        await database.write(q("DELETE FROM t WHERE id = $1"), number)
    return not writer(database).in_transaction


async def outcomes(*attempts: object) -> list[str]:
    """How each ended: the name of its error, or ``ok``."""
    results = await asyncio.gather(*attempts, return_exceptions=True)  # type: ignore[call-overload]  # awaitables
    return ["ok" if not isinstance(result, BaseException) else type(result).__name__ for result in results]


async def test_transactions_that_come_together_share_commits(database: SqliteDatabase) -> None:
    statements: list[str] = []
    trace(database, statements.append)
    await asyncio.gather(*(database.write(PUT, number) for number in range(640)))
    assert await ids(database) == list(range(640))
    assert statements.count("COMMIT") <= 640 / 64 + 2
    statements.clear()
    for number in range(1000, 1010):
        await database.write(PUT, number)
    assert statements.count("COMMIT") == 10, "what was acknowledged does not wait for others to come"


async def test_those_that_come_while_one_is_committed_share_the_next(
    database: SqliteDatabase, slow_disk: SlowDisk
) -> None:
    first = asyncio.create_task(database.write(PUT, 0))
    await slow_disk.is_asked()
    others = [asyncio.create_task(database.write(PUT, number)) for number in range(1, 40)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in (first, *others))
    assert await ids(database) == [], "readers see nothing before it is durable"
    slow_disk.go_on()
    await asyncio.gather(first, *others)
    assert slow_disk.commits == 2
    assert await ids(database) == list(range(40))


async def test_one_that_fails_is_undone_alone(database: SqliteDatabase) -> None:
    async def fail(number: int) -> None:
        async with database.transaction() as session:
            await put(session, number)
            await session.all(q("UPDATE t SET owner = 'changed'"))
            raise KeyError(number)

    def attempt(number: int) -> object:
        return fail(number) if number % 3 == 0 else database.write(PUT, number)

    said = await outcomes(*(attempt(number) for number in range(60)))
    assert said == ["KeyError" if number % 3 == 0 else "ok" for number in range(60)]
    assert await ids(database) == [number for number in range(60) if number % 3]
    assert await database.first(q("SELECT 1 FROM t WHERE owner = 'changed'")) is None


async def test_a_mistake_in_a_statement_surfaces_and_stops_nobody(database: SqliteDatabase) -> None:
    said = await outcomes(
        database.write(PUT, 1),
        database.write(q("SELEKT 1")),
        database.write(q("INSERT INTO t (id) VALUES ($1, $2)"), 1),
        database.write(q("INSERT INTO t (id) VALUES ($1)")),
        database.write(PUT, 1),
        database.write(PUT, 2**80),
        database.write(PUT, 2),
    )
    mistakes = ["OperationalError", "OperationalError", "ProgrammingError", "DatabaseConflict", "OverflowError"]
    assert said == ["ok", *mistakes, "ok"]
    assert await ids(database) == [1, 2]
    assert await is_healthy(database)


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "RELEASE turn", "SAVEPOINT turn"])
async def test_a_transaction_that_ends_itself_does_not_end_the_writer(database: SqliteDatabase, statement: str) -> None:
    said = await outcomes(database.write(PUT, 1), database.write(q(statement)), database.write(PUT, 2))
    assert all(word == "ok" for word in said) or statement != "SAVEPOINT turn"
    assert await is_healthy(database)
    found = await ids(database)
    assert all(number in found for number, word in ((1, said[0]), (2, said[2])) if word == "ok")


# A statement of several rows is undone alone when there is no room; one of a single row takes the transaction along.
MANY_ROWS = q("INSERT INTO t (id, payload) SELECT value, zeroblob(1000) FROM json_each($1)")


async def test_no_room_is_said_and_nothing_of_the_transaction_is_kept(database: SqliteDatabase) -> None:
    await put_rows(database, 1, 2)
    limit_pages(database)
    for query, *args in ((PUT_LARGE, 100, LARGE), (MANY_ROWS, str(list(range(100, 1100))))):
        with pytest.raises(StorageFull):  # noqa: PT012 - the block as a whole fails
            async with database.transaction() as session:
                await put(session, 50)
                await session.all(query, *args)
        assert await ids(database) == [1, 2]
    lift_limit(database)
    await database.write(PUT_LARGE, 100, LARGE)
    assert await ids(database) == [1, 2, 100]
    assert await is_healthy(database)


@pytest.mark.parametrize("query", [PUT_LARGE, MANY_ROWS], ids=["a row", "many rows"])
async def test_those_that_share_a_commit_with_one_without_room_are_told_the_truth(
    database: SqliteDatabase, query: NamedQuery
) -> None:
    await put_rows(database, 1)
    limit_pages(database)

    async def too_large() -> None:
        async with database.transaction() as session:
            await put(session, 50)
            await session.all(query, *((100, LARGE) if query is PUT_LARGE else (str(list(range(100, 1100))),)))

    numbers = (2, 3, 4, 5)
    said = await outcomes(
        *(database.write(PUT, n) for n in (2, 3)), too_large(), *(database.write(PUT, n) for n in (4, 5))
    )
    assert said.pop(2) == "StorageFull"
    assert set(said) <= {"ok", "DatabaseUnavailable"}
    assert await ids(database) == [1, *(n for n, word in zip(numbers, said, strict=True) if word == "ok")]
    assert "ok" in said, "those after it have a transaction of their own"
    lift_limit(database)
    assert await is_healthy(database)


async def test_one_that_goes_on_without_room_writes_nothing_outside_of_a_transaction(database: SqliteDatabase) -> None:
    limit_pages(database)
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await put(session, 50)
            with contextlib.suppress(StorageFull):
                await session.all(PUT_LARGE, 100, LARGE)
            await put(session, 51)
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            with contextlib.suppress(StorageFull):
                await session.all(PUT_LARGE, 100, LARGE)
    assert await ids(database) == []
    lift_limit(database)
    assert await is_healthy(database)


async def test_a_commit_that_the_disk_refuses_is_kept_for_nobody(database: SqliteDatabase, tmp_path: Path) -> None:
    await put_rows(database, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size_bytes = (tmp_path / "t.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        said = await outcomes(*(database.write(PUT, number) for number in range(2, 9)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(said) == {"StorageFull"}, "a limit or a quota is a full disk, though SQLite does not tell them apart"
    assert await ids(database) == [1]
    await put_rows(database, 2, 3)
    assert await ids(database) == [1, 2, 3]
    assert await is_healthy(database)


async def test_a_long_transaction_that_the_disk_refuses_before_its_end_has_no_room(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    await put_rows(database, 1)
    writer(database).execute("PRAGMA cache_size = 10")  # More pages than these go to the disk before the commit.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size_bytes = (tmp_path / "t.sqlite-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        with pytest.raises(StorageFull, match="quota"):
            await database.write(MANY_ROWS, str(list(range(100, 5000))))
        rows = [(number, "x" * 1000) for number in range(100, 1000)]
        with pytest.raises(StorageFull, match="quota"):
            async with database.transaction() as session:
                await session.run_many(q("INSERT INTO t (id, owner) VALUES ($1, $2)"), rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await ids(database) == [1]
    await put_rows(database, 2)
    assert await ids(database) == [1, 2]
    assert await is_healthy(database)


async def test_each_that_shared_a_failed_commit_has_an_error_of_its_own(
    database: SqliteDatabase, slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_COMMIT_DEADLINE_S", 0.05)
    results = await asyncio.gather(*(database.write(PUT, n) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, DatabaseUnavailable) for result in results)
    assert len({id(result) for result in results}) == 5


async def test_a_disk_that_takes_no_commit_for_long_is_told_and_the_next_go_on(
    database: SqliteDatabase, slow_disk: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_COMMIT_DEADLINE_S", 0.05)
    with pytest.raises(DatabaseUnavailable, match="in time"):
        await database.write(PUT, 1)
    later = asyncio.create_task(database.write(PUT, 2))
    await asyncio.sleep(0.05)
    slow_disk.go_on()
    await later
    assert 2 in await ids(database)
    assert await is_healthy(database)


@pytest.mark.parametrize("moment", ["before its turn", "during its turn", "during the commit"])
async def test_a_caller_that_goes_away(database: SqliteDatabase, slow_disk: SlowDisk, moment: str) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as session:
            await put(session, number)
            if number == 2 and moment == "during its turn":
                await asyncio.sleep(3600)

    first = asyncio.create_task(write(1))
    await slow_disk.is_asked()
    second, third = asyncio.create_task(write(2)), asyncio.create_task(write(3))
    await asyncio.sleep(0)
    if moment == "before its turn":
        second.cancel()
        await asyncio.sleep(0)
    else:
        slow_disk.go_on()
        await first
        slow_disk.stop()
        if moment == "during the commit":
            await slow_disk.is_asked()
        await asyncio.sleep(0.01)
        second.cancel()
    slow_disk.go_on()
    assert await outcomes(first, second, third) == ["ok", "CancelledError", "ok"]
    assert await ids(database) == ([1, 2, 3] if moment == "during the commit" else [1, 3])
    assert await is_healthy(database)


class Clients:
    """Transactions of every fate, and what is known of each afterwards."""

    def __init__(self, database: SqliteDatabase, chance: random.Random) -> None:
        self.kept: set[int] = set()
        self.undone: set[int] = set()
        self._database = database
        self._chance = chance

    async def transact(self, number: int) -> None:
        fate = self._chance.choice(("write", "write", "write", "fail", "conflict"))
        pauses = self._chance.choice((0, 0, 1, 3))
        is_over = False
        try:
            async with self._database.transaction() as session:
                await put(session, number)
                for _ in range(pauses):
                    await asyncio.sleep(0)
                if fate != "write":
                    await session.all(PUT if fate == "conflict" else q("SELEKT $1"), number)
                is_over = True
        except (sqlite3.OperationalError, DatabaseConflict):
            self.undone.add(number)
        except asyncio.CancelledError:
            if not is_over:
                self.undone.add(number)
            raise
        else:
            self.kept.add(number)

    async def hang_up(self, task: "asyncio.Task[None]") -> None:
        for _ in range(self._chance.randrange(120)):
            await asyncio.sleep(0)
        task.cancel()


@pytest.mark.parametrize("seed", range(40))
async def test_callers_that_go_away_in_any_order(database: SqliteDatabase, seed: int) -> None:
    """Acknowledged: there. Rolled back: not there. The writer goes on."""
    chance = random.Random(seed)
    clients = Clients(database, chance)

    def drag(statement: str) -> None:
        if statement == "COMMIT":
            time.sleep(chance.choice((0, 0.001, 0.003)))

    trace(database, drag)
    tasks = [asyncio.create_task(clients.transact(number)) for number in range(60)]
    async with asyncio.timeout(20):
        await asyncio.gather(*(clients.hang_up(task) for task in chance.sample(tasks, 30)))
        await asyncio.gather(*tasks, return_exceptions=True)
    found = set(await ids(database))
    assert clients.kept <= found
    assert not clients.undone & found
    assert await is_healthy(database)


async def test_one_that_waits_too_long_for_its_turn_is_told_and_never_written(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_TURN_DEADLINE_S", 0.05)
    async with database.transaction() as session:
        await put(session, 1)
        with pytest.raises(DatabaseUnavailable, match="busy"):
            await asyncio.create_task(_write(database, 2))
        with pytest.raises(BackendError):
            await asyncio.create_task(_write(database, 3))
    assert await ids(database) == [1]
    assert await is_healthy(database)


async def test_an_error_of_our_own_that_the_writer_meets_is_told_to_those_it_concerns(
    database: SqliteDatabase,
) -> None:
    """A transaction left open on the connection is what a mistake of ours would leave."""
    writer(database).execute("BEGIN")
    said = await outcomes(database.write(PUT, 1), database.write(PUT, 2))
    assert said[0] == "OperationalError"
    assert said[1] == "ok"
    assert await ids(database) == [2]
    assert await is_healthy(database)


async def _write(database: SqliteDatabase, number: int) -> None:
    await database.write(PUT, number)


async def put_rows(database: SqliteDatabase, *numbers: int) -> None:
    for number in numbers:
        await database.write(PUT, number)


def limit_pages(database: SqliteDatabase) -> None:
    """From now on the file may grow by a few pages only."""
    connection = writer(database)
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {count + 4}")


def lift_limit(database: SqliteDatabase) -> None:
    writer(database).execute("PRAGMA max_page_count = 1000000")
