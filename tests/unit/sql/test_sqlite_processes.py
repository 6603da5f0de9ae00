"""Several processes on one SQLite file, and processes that are killed."""

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.sql.sqlite.write_ahead import bring_in
from unit.sql.sqlite_files import (
    PUT,
    count_up,
    hold,
    ids,
    open_as_nobody,
    open_new,
    opened,
    q,
    write_and_tell,
)

_SPAWN = multiprocessing.get_context("spawn")
_NOBODY = 65534
_PATIENCE_S = 60.0


class Others:
    """Processes that a test has started; none outlives it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._started: list[tuple[SpawnProcess, Connection]] = []

    def start(self, work: Callable[..., None], *args: object) -> tuple[SpawnProcess, Connection]:
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=work, args=(self.path, theirs, *args), daemon=True)
        process.start()
        theirs.close()
        self._started.append((process, ours))
        return process, ours

    def end(self) -> None:
        for process, pipe in self._started:
            process.kill()
            process.join()
            process.close()
            pipe.close()


def kill(process: SpawnProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


async def told(pipe: Connection) -> object:
    """What another process says next; the loop goes on meanwhile."""
    assert await asyncio.to_thread(pipe.poll, _PATIENCE_S)
    return pipe.recv()


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Others]:
    others = Others(tmp_path / "t.sqlite")
    yield others
    others.end()


@pytest.fixture
async def database(others: Others) -> AsyncIterator[SqliteDatabase]:
    async with opened(others.path) as database:
        yield database


async def test_processes_that_write_at_once_lose_no_update(database: SqliteDatabase, others: Others) -> None:
    await database.write(q("INSERT INTO t (id, owner) VALUES (1, '0')"))
    pipes = [others.start(count_up, 10, 20)[1] for _ in range(3)]
    for pipe in pipes:
        assert await told(pipe) == "ready"
    for pipe in pipes:
        pipe.send("go")
    for pipe in pipes:
        # Nobody is left waiting while others write one transaction after the other: that would be an error.
        assert await told(pipe) == []
    assert await database.first(q("SELECT owner FROM t")) == (str(3 * 10 * 20),)


async def test_processes_that_open_a_new_file_at_once_all_can(others: Others) -> None:
    for attempt in range(2):
        others.path = others.path.with_name(f"new{attempt}.sqlite")
        pipes = [others.start(open_new)[1] for _ in range(4)]
        for pipe in pipes:
            assert await told(pipe) == "ready"
        for number, pipe in enumerate(pipes):
            pipe.send(number)
        assert [await told(pipe) for pipe in pipes] == ["done"] * 4
        async with opened(others.path) as database:
            assert await ids(database) == [0, 1, 2, 3]


async def test_readers_do_not_wait_for_another_process_that_writes(database: SqliteDatabase, others: Others) -> None:
    _, pipe = others.start(hold)
    assert await told(pipe) == "inside"
    for _ in range(100):
        assert await ids(database) == []
    assert not pipe.poll(), "it is still inside"


async def test_a_process_killed_inside_a_transaction_leaves_nothing_of_it(
    database: SqliteDatabase, others: Others
) -> None:
    process, pipe = others.start(hold)
    assert await told(pipe) == "inside"
    waiting = asyncio.create_task(database.write(PUT, 2))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    kill(process)
    async with asyncio.timeout(60):
        await waiting
    assert await ids(database) == [2]


async def test_what_a_killed_process_had_acknowledged_is_there_and_nothing_by_halves(
    database: SqliteDatabase, others: Others
) -> None:
    chance = random.Random(3)
    for attempt in range(4):
        first = (attempt + 1) * 1_000_000
        process, pipe = others.start(write_and_tell, first)
        acknowledged = {await told(pipe)}
        end = time.monotonic() + chance.uniform(0.05, 0.3)
        while time.monotonic() < end:
            await database.write(PUT, len(await ids(database)) + 1)
            (row,) = await database.all(q("SELECT count(*) FROM t WHERE id >= $1"), first)
            assert row[0] % 2 == 0, "a transaction is seen whole or not at all"
            await asyncio.sleep(0)
        kill(process)
        with contextlib.suppress(EOFError):
            while pipe.poll():
                acknowledged.add(pipe.recv())
        found = set(await ids(database))
        assert acknowledged <= found
        assert {number ^ 1 for number in found if number >= first} <= found
        await database.write(q("DELETE FROM t"))


async def test_what_was_acknowledged_survives_the_death_of_every_process(others: Others) -> None:
    async with opened(others.path):
        pass
    process, pipe = others.start(write_and_tell, 0)
    acknowledged = {await told(pipe) for _ in range(50)}
    kill(process)
    with contextlib.suppress(EOFError):
        while pipe.poll():
            acknowledged.add(pipe.recv())
    assert others.path.with_name("t.sqlite-wal").stat().st_size > 0
    async with opened(others.path) as database:
        assert acknowledged <= set(await ids(database))
        assert await database.first(q("PRAGMA integrity_check")) == ("ok",)


async def test_what_the_last_process_left_in_the_log_is_brought_into_the_file(others: Others) -> None:
    async with opened(others.path):
        pass
    process, pipe = others.start(write_and_tell, 0)
    acknowledged = {await told(pipe) for _ in range(50)}
    async with opened(others.path) as database:
        kill(process)
        bring_in(others.path)  # Somebody still uses it, and can go on.
        await database.write(PUT, -1)
        acknowledged.add(-1)
    process, pipe = others.start(write_and_tell, 1_000_000)
    acknowledged |= {await told(pipe) for _ in range(50)}
    kill(process)
    assert others.path.with_name("t.sqlite-wal").stat().st_size > 0
    bring_in(others.path)
    assert [path.name for path in others.path.parent.iterdir()] == ["t.sqlite"]
    async with opened(others.path) as database:
        assert acknowledged <= set(await ids(database))


def test_a_file_that_cannot_be_brought_in_order_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.write_bytes(b"no database" * 1000)
    bring_in(path)
    assert path.read_bytes() == b"no database" * 1000
    bring_in(tmp_path / "gone.sqlite")
    assert not (tmp_path / "gone.sqlite").exists()


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that nobody is kept out of by those above it."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        Path(name).chmod(0o755)


def lock(folder: Path) -> None:
    """Leave everybody the right to read only."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


async def test_a_new_file_in_a_folder_that_may_only_be_read_is_an_error(folder: Path, others: Others) -> None:
    lock(folder)
    others.path = folder / "t.sqlite"
    assert await told(others.start(open_as_nobody, _NOBODY)[1]) == ["open: unable to open database file"]


async def test_a_file_that_may_only_be_read_says_so_and_at_once(folder: Path, others: Others) -> None:
    others.path = folder / "t.sqlite"
    async with opened(others.path) as database:
        await database.write(PUT, 1)
        lock(folder)
        # To wait is no use: the other process would wait for much longer than this one.
        said = await told(others.start(open_as_nobody, _NOBODY)[1])
        assert said == ["open: done", "read: done", "write: attempt to write a readonly database"]
