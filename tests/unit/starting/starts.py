"""Starts on one storage and one SQLite file: which metadata store they choose, and why they refuse."""

import sqlite3
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from moorage.config.sections.database import DatabaseSection
from moorage.errors import ConfigurationError
from moorage.sql.database_place import PostgresSettings
from moorage.starting.database_preparing import begin_adoption, inspect, prepare
from moorage.starting.store_choice import Choosing
from moorage.storage import locks
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Locks
from moorage.wiring.stores import DatabaseStore, Store

LINK = "/docker/registry/v2/repositories/group/app/_manifests/tags/1/current/link"
BLOB = f"/docker/registry/v2/blobs/sha256/00/{'0' * 64}/data"
NEITHER = Locks(filesystem=False, database=False)
FILESYSTEM = Locks(filesystem=True, database=False)
DATABASE = Locks(filesystem=False, database=True)
EXTERNAL = PostgresSettings(host="db", dbname="registry")


class Starter:
    """A start with its configuration, on one storage and one file."""

    def __init__(self, storage: StorageDriver, file: Path) -> None:
        self.storage = storage
        self.file = file
        self.warnings: list[str] = []

    async def start(self, enabled: object, *, enforces: bool = True) -> Store:
        """What is chosen."""
        database = DatabaseSection.model_validate({"enabled": enabled, "sqlite": str(self.file)})
        choosing = Choosing(
            storage=self.storage,
            database=database,
            prepare=prepare,
            inspect=inspect,
            enforces=enforces,
            usual_sqlite=self.file,
        )
        with capture_logs() as lines:
            store = await choosing.store()
        self.warnings = [f"{line['event']} {line}" for line in lines if line["log_level"] == "warning"]
        return store

    async def adopt(self, *, enforces: bool = True) -> DatabaseStore:
        """What is chosen with ``database.adopt``."""
        section = {"enabled": True, "adopt": True, "sqlite": str(self.file)}
        store = await Choosing(
            storage=self.storage,
            database=DatabaseSection.model_validate(section),
            prepare=prepare,
            inspect=inspect,
            begin_adoption=begin_adoption,
            enforces=enforces,
        ).store()
        assert isinstance(store, DatabaseStore)
        return store

    async def refusal(self, enabled: object) -> str:
        """Why it does not start: one sentence."""
        with pytest.raises(ConfigurationError) as raised:
            await self.start(enabled)
        (mistake,) = raised.value.mistakes
        return str(mistake)

    async def locks(self) -> Locks:
        return await locks.read(self.storage)

    async def make_images(self) -> None:
        """The database gets one."""
        await prepare(self.file)
        with sqlite3.connect(self.file) as connection:
            connection.execute("INSERT INTO top_level_namespaces (id, name, created_at) VALUES (1, 'a', 0)")
            connection.execute(
                "INSERT INTO repositories (id, top_level_namespace_id, path, created_at, populated_at)"
                " VALUES (1, 1, 'a', 0, 0)"
            )
        connection.close()
