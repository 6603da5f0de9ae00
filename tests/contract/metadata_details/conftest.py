"""Each test gets a database with nothing in it, which it fills with rows; ``other`` is a second process's view."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from contract.metadata.stores import SQL_KINDS, postgres_settings, sqlite_opener
from contract.metadata_details.rows import Rows
from moorage.sql.base import Database
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from support.postgres import Postgres, migrated

Open = Callable[[], AbstractAsyncContextManager[Database]]


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the whole schema, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    sqlite_opener(folder)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> str:
    """A database that is emptied for each test: so many of their own would take long to make and to remove."""
    return migrated(postgres)


@pytest.fixture(params=SQL_KINDS)
def open_database(request: pytest.FixtureRequest, empty_sqlite: Path, tmp_path: Path) -> Open:
    if request.param == "postgres":
        # Asked for only here: where PostgreSQL cannot be had, SQLite is tested all the same.
        server, name = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database")
        server.psql("TRUNCATE top_level_namespaces, blobs, journal, leases CASCADE", name)
        return lambda: _opened(PostgresDatabase.open(postgres_settings(server, name)))
    path = tmp_path / "moorage.sqlite"
    shutil.copyfile(empty_sqlite, path)
    return lambda: _opened(_careless(path))


@pytest.fixture
async def database(open_database: Open) -> AsyncIterator[Database]:
    async with open_database() as opened:
        yield opened


@pytest.fixture
async def other(open_database: Open) -> AsyncIterator[Database]:
    async with open_database() as opened:
        yield opened


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def _careless(path: Path) -> SqliteDatabase:
    """A file whose rows need not survive the machine: a test writes many, each in a transaction of its own."""
    database = await SqliteDatabase.open(path)
    database._writer._connection.execute("PRAGMA synchronous = off")
    return database


@contextlib.asynccontextmanager
async def _opened(opening: Awaitable[Database]) -> AsyncIterator[Database]:
    database = await opening
    try:
        yield database
    finally:
        await database.close()
