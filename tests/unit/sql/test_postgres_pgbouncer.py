"""Behind a real PgBouncer in transaction pooling: every transaction may run on another connection of the server."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.errors import DatabaseConflict, DatabaseUnavailable
from moorage.sql.database_place import PoolLimits, PostgresSettings
from moorage.sql.postgres.postgres_check import check_server
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.components import need
from support.ports import free_port
from support.postgres import SYSTEM_USER, Postgres, migrated, settings_for
from unit.sql.statements import BACKEND, COUNT, END_OTHERS, GET, NOON, PUT, SLEEP, count, put, running

COMMAND = "/usr/sbin/pgbouncer"
SERVER_CONNECTIONS = 2

_CONFIG = """\
[databases]
* = host={postgres.host} port={postgres.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
logfile = {log}
server_round_robin = 1
"""


@pytest.fixture(scope="module")
def pooler(postgres: Postgres) -> Iterator[int]:
    """The port of a PgBouncer before the server."""
    need(COMMAND, "setpriv")
    folder = Path(tempfile.mkdtemp(prefix="moorage-pgbouncer-"))
    port = free_port()
    users, config = folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"{postgres.user}" "{postgres.password}"\n')
    config.write_text(
        _CONFIG.format(postgres=postgres, port=port, users=users, log=folder / "log", size=SERVER_CONNECTIONS)
    )
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, SYSTEM_USER)
        as_user = ["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups"]
    command = ["setpriv", "--pdeathsig", "INT", *as_user, "--", COMMAND, "-q", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, "PgBouncer takes no connections"
        time.sleep(0.02)


@pytest.fixture
def settings(postgres: Postgres, pooler: int) -> PostgresSettings:
    return settings_for(postgres, migrated(postgres), port=pooler, pool=PoolLimits(max_open=6))


async def test_statements_find_their_way_over_any_connection(settings: PostgresSettings) -> None:
    database = await PostgresDatabase.open(settings)
    await check_server(settings)
    await database.ping()
    await asyncio.gather(*(put(database, f"n{n}") for n in range(100)))
    rows = await asyncio.gather(*(database.first(GET, f"n{n}") for n in range(100)))
    assert rows == [("me", NOON)] * 100
    backends: set[int] = set()
    for _ in range(20):  # One connection may be enough for many, where the others are busy.
        rows = await asyncio.gather(*(database.first(BACKEND) for _ in range(50)))
        backends |= {row[0] for row in rows if row is not None}
    assert len(backends) == SERVER_CONNECTIONS
    assert await count(database) == 100
    await database.close()


async def test_transactions_keep_to_one_connection(settings: PostgresSettings) -> None:
    database = await PostgresDatabase.open(settings)

    async def transaction(n: int) -> None:
        async with database.transaction() as session:
            first = await session.first(BACKEND)
            await session.run_many(PUT, [(f"{n}/{k}", "me", NOON) for k in range(10)])
            await asyncio.sleep(0.001)
            assert await session.first(BACKEND) == first
            if n % 3 == 0:
                raise KeyError(n)

    outcomes = await asyncio.gather(*(transaction(n) for n in range(30)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [KeyError] * 10
    assert await count(database) == 200
    with pytest.raises(DatabaseConflict):
        await put(database, "1/1")
    await database.close()


async def test_a_caller_that_went_away_leaves_the_connections_of_others_alone(settings: PostgresSettings) -> None:
    database = await PostgresDatabase.open(settings)
    tasks = [asyncio.create_task(database.all(SLEEP, 30_000)) for _ in range(SERVER_CONNECTIONS)]
    await asyncio.sleep(0.2)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * SERVER_CONNECTIONS
    for n in range(20):
        await put(database, f"n{n}")
    assert await running(database) == []
    assert await database.first(COUNT) == (20,)
    await database.close()


async def test_a_server_connection_lost_behind_the_pooler_is_survived(
    postgres: Postgres, settings: PostgresSettings
) -> None:
    database = await PostgresDatabase.open(settings)
    await put(database, "a")
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await session.all(PUT, "b", "me", NOON)
            postgres.psql(END_OTHERS.postgres, settings.dbname)
            await session.all(PUT, "c", "me", NOON)
    assert await count(database) == 1
    await put(database, "d")
    await database.close()
