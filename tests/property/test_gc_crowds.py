"""Clients and collectors at the same time, as the machine has it: in tasks, and in processes that are killed."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from contract.metadata.stores import postgres_settings, quick_folder, sqlite_opener
from moorage.metadata.sql.reviews import SqlReviewDelay
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from property.collection.crowd import DELAY, afterwards, behave, collect
from property.collection.ledger import Ledger
from support.postgres import Postgres, migrated

TESTS = Path(__file__).parents[1]
CROWD_S = 8.0
"""Several delays."""
LIFE_S = 0.7
"""How long a process lives on average before it is killed."""


async def test_a_crowd_on_postgresql_leaves_nothing_wrong(postgres: Postgres) -> None:
    settings, storage, ledger = postgres_settings(postgres, migrated(postgres)), MemoryDriver(), Ledger(delay_s=0)
    async with AsyncExitStack() as stack:
        databases = [await PostgresDatabase.open(settings) for _ in range(8)]
        for database in databases:
            stack.push_async_callback(database.close)
        await SqlReviewDelay(databases[0]).set(DELAY)
        seed = random.SystemRandom().getrandbits(32)
        print(f"seed {seed}")  # noqa: T201 - shown if it fails
        tasks = [
            asyncio.create_task(behave(f"client{number}", f"{seed} {number}", database, storage, ledger=ledger))
            for number, database in enumerate(databases[:5])
        ]
        tasks += [asyncio.create_task(collect(database, storage, random.Random(seed))) for database in databases[5:]]
        ended, _ = await asyncio.wait(tasks, timeout=CROWD_S, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in ended:
            task.result()
        assert await afterwards(databases[0], storage) == []


async def test_processes_that_are_killed_on_sqlite_leave_nothing_wrong() -> None:
    rng = random.Random()
    with quick_folder() as folder:
        async with sqlite_opener(folder)() as store:
            await SqlReviewDelay(store.database).set(DELAY)
            kinds = ["client0", "client1", "client2", "collector", "collector"]
            deadline = asyncio.get_running_loop().time() + CROWD_S
            async with asyncio.TaskGroup() as group:
                for kind in kinds:
                    group.create_task(_killed_again_and_again(folder, kind, rng, deadline))
            storage = FilesystemDriver(folder / "blobs", fsync=False)
            assert await afterwards(store.database, storage) == []
            await storage.close()


async def _killed_again_and_again(folder: Path, kind: str, rng: random.Random, deadline: float) -> None:
    """Start a process and kill it, until the time is over. One that ends by itself has found a fault."""
    clock = asyncio.get_running_loop().time
    while clock() < deadline:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "property.collection.crowd", str(folder), kind, str(rng.random())),
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert process.stderr is not None
        life_s = 1.0 + rng.expovariate(1 / LIFE_S)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(life_s):
                    errors = await process.stderr.read()
                    await process.wait()
                    raise AssertionError(errors.decode()[-4000:])
        finally:  # Also where another of the crowd has found a fault.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()
