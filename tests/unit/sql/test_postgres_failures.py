"""A PostgreSQL that is killed, restarted, replaced and full: what is lost, what is told, and how it goes on."""

import asyncio
import contextlib
import resource
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
import pytest

from moorage.errors import DatabaseUnavailable, StorageFull
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.postgres.postgres_errors import diagnose
from support.components import need
from support.postgres import SYSTEM_USER, Postgres, migrated, opened
from support.processes import frozen
from unit.sql.statements import (
    COUNT,
    END_OTHERS,
    NOON,
    PUT,
    SLEEP,
    backend,
    count,
    put,
    q,
    running,
    until,
    until_running,
)

NAMES = q("SELECT name FROM leases")
LARGER_THAN_ITS_LOG_BYTES = 20 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of this module's own: it is killed."""
    with Postgres() as server:
        yield server


@pytest.fixture
async def database(server: Postgres) -> AsyncIterator[PostgresDatabase]:
    async with opened(server, prepared_statements=True) as database:
        yield database
    if server.process is None:
        server.start()


@dataclass
class Load:
    """Writers that never stop, and what they were told."""

    database: PostgresDatabase
    done: set[str] = field(default_factory=set)
    """Names whose writing was confirmed."""
    doubtful: set[str] = field(default_factory=set)
    """Names whose writing failed: they may be there."""
    failures: list[str] = field(default_factory=list)
    _stop: bool = False

    async def _write(self, writer: int) -> None:
        number = 0
        while not self._stop:
            number += 1
            names = [f"{writer}/{number}/{part}" for part in range(2)]
            try:
                await self._one(names, is_transaction=number % 2 == 0)
            except DatabaseUnavailable as exc:
                self.failures.append(str(exc))
                self.doubtful.update(names)
                await asyncio.sleep(0.005)
            else:
                self.done.update(names)

    async def _one(self, names: list[str], *, is_transaction: bool) -> None:
        if is_transaction:
            async with self.database.transaction() as session:
                for name in names:
                    await session.all(PUT, name, "me", NOON)
        else:
            await self.database.write(
                q("INSERT INTO leases SELECT name, 'me', now() FROM unnest($1::text[]) AS name"), names
            )
            await self.database.first(COUNT)

    @contextlib.asynccontextmanager
    async def running(self, writers: int = 12) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            for writer in range(writers):
                group.create_task(self._write(writer))
            try:
                yield
            finally:
                self._stop = True

    async def wait_for_more(self, within_s: float = 60) -> None:
        """Return when writing goes on."""
        before, deadline = len(self.done), time.monotonic() + within_s
        while len(self.done) < before + 50:
            assert time.monotonic() < deadline, f"it does not recover: {self.failures[-1:]}"
            await asyncio.sleep(0.01)

    async def has_failed(self) -> bool:
        return bool(self.failures)

    async def check(self) -> None:
        """All that was confirmed is there; of the rest, only what is in doubt may be; transactions are whole."""
        found = {row[0] for row in await self.database.all(NAMES)}
        assert self.done <= found
        assert found <= self.done | self.doubtful
        assert {name.rpartition("/")[0] for name in found if name.endswith("0")} == {
            name.rpartition("/")[0] for name in found if name.endswith("1")
        }


def fast(server: Postgres) -> None:
    server.restart()


def immediate(server: Postgres) -> None:
    server.stop("immediate")
    server.start()


def killed(server: Postgres) -> None:
    server.kill()
    server.start()


@pytest.mark.parametrize("restart", [fast, immediate, killed])
async def test_a_restart_under_load_loses_nothing_that_was_confirmed(
    server: Postgres, database: PostgresDatabase, restart: Callable[[Postgres], None]
) -> None:
    load = Load(database)
    async with load.running():
        for _ in range(2):
            await load.wait_for_more()
            await asyncio.to_thread(restart, server)
            await load.wait_for_more()
    await load.check()


async def test_an_outage_is_told_at_once_and_ends_by_itself(server: Postgres, database: PostgresDatabase) -> None:
    await put(database, "a")
    server.kill()
    for _ in range(20):
        for attempt in (database.first(COUNT), put(database, "b"), database.ping()):
            with pytest.raises(DatabaseUnavailable) as caught:
                await attempt
            assert "in time" not in str(caught.value)
    server.start()
    await database.ping()
    assert await count(database) == 1
    assert database.pool_stats.opened == 1


async def test_a_kill_in_mid_transaction_undoes_it(server: Postgres, database: PostgresDatabase) -> None:
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await session.all(PUT, "a", "me", NOON)
            server.kill()
            await session.all(PUT, "b", "me", NOON)
    server.start()
    assert await count(database) == 0


async def test_a_kill_before_the_commit_is_not_success(server: Postgres, database: PostgresDatabase) -> None:
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - the block as a whole fails
        async with database.transaction() as session:
            await session.all(PUT, "a", "me", NOON)
            server.kill()
    server.start()
    assert await count(database) == 0


async def test_a_read_over_a_connection_that_was_ended_is_repeated(
    server: Postgres, database: PostgresDatabase
) -> None:
    async with opened(server, database.settings.dbname) as other:
        for _ in range(10):
            before = await backend(database)
            assert len(await other.all(END_OTHERS)) == 1
            assert await backend(database) != before
        # While it runs, too.
        slow = asyncio.create_task(database.all(SLEEP, 1000))
        await until_running(other)
        assert len(await other.all(END_OTHERS)) == 1
        assert len(await slow) == 1


async def test_a_write_over_a_connection_that_was_ended_is_not_repeated(
    server: Postgres, database: PostgresDatabase
) -> None:
    slow_put = q("INSERT INTO leases SELECT $1, 'me', now() FROM pg_sleep(100) RETURNING name")
    async with opened(server, database.settings.dbname) as other:
        write = asyncio.create_task(database.write(slow_put, "a"))
        await until_running(other)
        assert len(await other.all(END_OTHERS)) == 1
        with pytest.raises(DatabaseUnavailable):
            await write
        assert await count(other) == 0
    await put(database, "a")


async def test_a_transaction_begins_anew_if_its_connection_was_ended_before(
    server: Postgres, database: PostgresDatabase
) -> None:
    async with opened(server, database.settings.dbname) as other:
        for n in range(10):
            await database.ping()
            await other.all(END_OTHERS)
            async with database.transaction() as session:
                await session.all(PUT, f"n{n}", "me", NOON)
    assert await count(database) == 10


async def test_connections_ended_all_the_time_lose_nothing_that_was_confirmed(
    server: Postgres, database: PostgresDatabase
) -> None:
    load = Load(database)
    async with opened(server, database.settings.dbname) as other, load.running():
        await load.wait_for_more()
        ended = 0
        while ended <= 30:
            ended += len(await other.all(END_OTHERS))
            await asyncio.sleep(0.02)
        await load.wait_for_more()
    await load.check()
    assert await running(database) == []


async def test_a_server_that_falls_silent_is_given_up_in_time(server: Postgres) -> None:
    async with opened(server, statement_deadline=timedelta(seconds=0.3)) as database:
        await database.ping()
        assert server.process is not None
        with frozen(server.process.pid), pytest.raises(DatabaseUnavailable, match="in time"):
            await count(database)

        async def answers() -> bool:
            with contextlib.suppress(DatabaseUnavailable):
                return await count(database) == 0
            return False

        await until("the server answers again", answers)


async def test_a_promoted_standby_is_found_under_load() -> None:
    with Postgres() as primary, Postgres(standby_of=primary) as standby:
        # What is confirmed is on both: else a promotion may lose it, whatever we do.
        primary.psql("ALTER SYSTEM SET synchronous_standby_names = '*'; SELECT pg_reload_conf()")
        hosts = f"{primary.host}:{primary.port},{standby.host}:{standby.port}"
        async with opened(primary, host=hosts) as database:
            load = Load(database)
            async with load.running():
                await load.wait_for_more()
                await asyncio.to_thread(primary.kill)
                await until("writing fails", load.has_failed)
                await asyncio.to_thread(standby.promote)
                await load.wait_for_more()
            await load.check()
            assert await database.first(q("SELECT current_setting('port')::bigint")) == (standby.port,)


async def test_connections_to_a_server_that_became_read_only_are_dropped(server: Postgres) -> None:
    # As after a failover behind an address that moves: the old connections lead to what is a standby now.
    dbname = migrated(server)
    async with opened(server, dbname) as database, opened(server, "postgres") as administrator:
        before = await backend(database)
        await database.write(q("SET default_transaction_read_only = on"))
        await put(database, "a")
        assert await backend(database) != before, "the write surely had not happened, so it was sent again"
        await database.write(q("SET default_transaction_read_only = on"))
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction() as session:
                await session.all(PUT, "b", "me", NOON)
        await put(database, "b")
        await administrator.ping()


@pytest.fixture
def small_tablespace(server: Postgres) -> Iterator[str]:
    """The name of a tablespace of 4 MiB."""
    need("mount", "umount", root=True)
    folder = server.folder / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=4m,uid={SYSTEM_USER}", "tmpfs", str(folder)], check=True)
    try:
        server.psql(f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield "small"
        server.psql("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_as_such_and_undoes_the_transaction(server: Postgres, small_tablespace: str) -> None:
    dbname = server.create_database()
    server.psql(f"CREATE TABLE filled (content bytea) TABLESPACE {small_tablespace}", dbname)
    fill = q(
        "INSERT INTO filled SELECT decode(repeat(md5(n::text), 60), 'hex') FROM generate_series(1, $1::bigint) AS n"
    )
    async with opened(server, dbname) as database:
        with pytest.raises(StorageFull, match="No space left"):
            await database.write(fill, 20_000)
        with pytest.raises(StorageFull):  # noqa: PT012 - the block as a whole fails
            async with database.transaction() as session:
                await session.all(fill, 1)
                await session.all(fill, 20_000)
        assert await database.first(q("SELECT count(*) FROM filled")) == (0,)
    server.psql("DROP TABLE filled", dbname)


@pytest.fixture
def limited(server: Postgres) -> Iterator[None]:
    """The server may not make a file larger than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGER_THAN_ITS_LOG_BYTES, hard))
    try:
        server.restart()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    yield
    server.restart()


@pytest.mark.usefixtures("limited")
async def test_a_limit_or_a_quota_is_a_full_disk_though_postgresql_has_no_code_for_it(server: Postgres) -> None:
    dbname = server.create_database()
    server.psql("CREATE UNLOGGED TABLE filled (content bytea)", dbname)
    fill = q(
        "INSERT INTO filled SELECT decode(repeat(md5(n::text), 60), 'hex') FROM generate_series(1, $1::bigint) AS n"
    )
    async with opened(server, dbname) as database:
        with pytest.raises(StorageFull, match="File too large"):
            await database.write(fill, 40_000)
        assert await database.first(q("SELECT count(*) FROM filled")) == (0,)


@pytest.mark.parametrize(
    ("kind", "text", "meaning"),
    [
        (asyncpg.InternalServerError, 'could not extend file "base/1/2": Disk quota exceeded', StorageFull),
        (asyncpg.PostgresIOError, 'could not write to file "base/pgsql_tmp/1": Disk quota exceeded', StorageFull),
        (asyncpg.PostgresIOError, 'could not read block 7 in file "base/1/2": Input/output error', DatabaseUnavailable),
        (asyncpg.InternalServerError, "cache lookup failed for relation 7", DatabaseUnavailable),
        (asyncpg.RaiseError, "Disk quota exceeded, says a trigger", DatabaseUnavailable),
    ],
)
def test_what_the_system_refused_is_told_from_what_is_broken(
    kind: type[asyncpg.PostgresError], text: str, meaning: type[Exception]
) -> None:
    assert type(diagnose(kind(text), is_closed=False).error) is meaning
