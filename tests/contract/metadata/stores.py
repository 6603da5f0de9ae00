"""Every metadata store, opened on a place that others may open too, and queries that look below the SQL ones."""

import contextlib
import re
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import pytest

from moorage.metadata.base import CatalogueStore, LinkStore, ManifestStore, PullStore, SessionStore
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.sql.catalogue import SqlCatalogue
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.pulls import SqlPulls
from moorage.metadata.sql.sessions import SqlSessions
from moorage.sql.base import Database, NamedQuery, Row, Value
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_database import PostgresDatabase
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from support.bucket import Bucket
from support.postgres import Postgres, migrated
from support.s3_stores import new_driver, new_root, seaweed

SQL_KINDS = ("sqlite", "postgres")
KINDS = ("layout-inmemory", "layout-bucket", "layout-filesystem", "layout-s3", *SQL_KINDS)

_SQLITE_SCRIPT = re.compile(r"\d+_\w+\.sqlite\.sql")
"""Not those that go back (``.down.sql``)."""


_EMPTY = """
SET client_min_messages = error;
SET lock_timeout = '10s';
TRUNCATE top_level_namespaces, blobs, uploads, leases, journal, gc_blob_review_queue, gc_progress, notification_queue,
    adoptions, adoption_progress, import_statistics RESTART IDENTITY CASCADE;
UPDATE gc_review_after_defaults SET value = 86400000000 WHERE value <> 86400000000;
"""
"""All else that there is of a registry depends on these. Waits for nobody: no test leaves a transaction behind."""


@contextlib.contextmanager
def quick_folder() -> Iterator[Path]:
    """A new folder, in memory where the run has a place for that: what is durable is tested elsewhere."""
    with tempfile.TemporaryDirectory(prefix="moorage-") as name:
        yield Path(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One process's view of the metadata."""

    storage: StorageDriver
    """Where the bytes of blobs are; the SQL stores never look there."""
    links: LinkStore
    manifests: ManifestStore
    catalogue: CatalogueStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlStore(Store):
    """The same, in a database."""

    pulls: PullStore
    sessions: SessionStore
    database: Database

    async def rows(self, text: str, *args: Value) -> Sequence[Row]:
        """What a query in portable SQL gives."""
        return await self.database.all(query(text), *args)


class Open(Protocol):
    """Opens a store on the place it was made for, any number of times at once."""

    def __call__(self) -> AbstractAsyncContextManager[Store]: ...


class OpenSql(Protocol):
    """As :class:`Open`, for a database."""

    def __call__(self) -> AbstractAsyncContextManager[SqlStore]: ...


def query(text: str) -> NamedQuery:
    """A query in the words that both dialects share."""
    return NamedQuery("test", text.replace("$", "?"), text)


def layout_opener(kind: str, folder: Path) -> Open:
    """Link files in memory, in *folder*, or in a bucket."""
    memory: StorageDriver = Bucket() if kind == "layout-bucket" else MemoryDriver()
    root = new_root()

    def opened() -> StorageDriver:
        if kind == "layout-filesystem":
            return FilesystemDriver(folder, fsync=False)
        return new_driver(seaweed(), rootdirectory=root) if kind == "layout-s3" else memory

    @contextlib.asynccontextmanager
    async def open_() -> AsyncIterator[Store]:
        storage = opened()
        yield Store(
            storage=storage,
            links=LayoutLinks(storage),
            manifests=LayoutManifests(storage, PayloadCache()),
            catalogue=LayoutCatalogue(storage),
        )
        if storage is not memory:
            await storage.close()

    return open_


def sqlite_opener(folder: Path) -> OpenSql:
    """A SQLite file in *folder*."""
    path = folder / "moorage.db"
    path.write_bytes(_sqlite_template())

    @contextlib.asynccontextmanager
    async def open_() -> AsyncIterator[SqlStore]:
        database = await SqliteDatabase.open(path)
        try:
            yield sql_store(database)
        finally:
            await database.close()

    return open_


def postgres_opener(postgres: Postgres) -> OpenSql:
    """A database in *postgres* with nothing in it. There is one for all tests, as a new one for each takes longer."""
    dbname = _database_of(postgres)
    postgres.psql(_EMPTY, dbname)
    settings = postgres_settings(postgres, dbname)

    @contextlib.asynccontextmanager
    async def open_() -> AsyncIterator[SqlStore]:
        database = await PostgresDatabase.open(settings)
        try:
            yield sql_store(database)
        finally:
            await database.close()

    return open_


def postgres_settings(postgres: Postgres, dbname: str) -> PostgresSettings:
    """How to reach a database of *postgres*."""
    return PostgresSettings(
        host=postgres.host,
        port=postgres.port,
        user=postgres.user,
        password=postgres.password,
        dbname=dbname,
        sslmode="disable",
    )


def sql_store(database: Database) -> SqlStore:
    """A store over an open database."""
    return SqlStore(
        storage=MemoryDriver(),
        links=SqlLinks(database),
        manifests=SqlManifests(database),
        catalogue=SqlCatalogue(database),
        pulls=SqlPulls(database),
        sessions=SqlSessions(database),
        database=database,
    )


@lru_cache
def _database_of(postgres: Postgres) -> str:
    return migrated(postgres)


@lru_cache
def _sqlite_template() -> bytes:
    """An SQLite file with the whole schema and nothing in it."""
    folder = files("moorage") / "metadata" / "schema" / "pre"
    scripts = [entry for entry in folder.iterdir() if _SQLITE_SCRIPT.fullmatch(entry.name)]
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in sorted(scripts, key=lambda entry: entry.name):
            connection.executescript(script.read_text(encoding="utf-8"))
        return connection.serialize()


def sql_opener(request: pytest.FixtureRequest, folder: Path) -> OpenSql:
    """The database that the test was parametrised with: one of ``SQL_KINDS``."""
    if request.param == "postgres":
        # Asked for only here: where PostgreSQL cannot be had, SQLite is tested all the same.
        return postgres_opener(request.getfixturevalue("postgres"))
    return sqlite_opener(folder)
