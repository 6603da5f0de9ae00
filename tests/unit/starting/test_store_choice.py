"""Which metadata store a start uses, rule by rule; with a real SQLite file beside real storage."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from moorage.config import defaults, load
from moorage.config.sections.database import DatabaseSection
from moorage.config.stores import DatabaseStore, LayoutStore, PostgresStore, SqliteStore, Store
from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.metadata.sql.links import SqlLinks
from moorage.moving.adoption_note import AdoptionNote
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.starting.database_choice import database_beside
from moorage.starting.database_preparing import begin_adoption, inspect, prepare
from moorage.starting.store_choice import Choosing, choose
from moorage.storage import locks, paths
from moorage.storage.base import (
    ObjectContent,
    Stat,
    StorageDriver,
)
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.locks import FilesystemClaim, Lock, Locks
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce

LINK = "/docker/registry/v2/repositories/group/app/_manifests/tags/1/current/link"
BLOB = f"/docker/registry/v2/blobs/sha256/00/{'0' * 64}/data"
NEITHER = Locks(filesystem=False, database=False)
FILESYSTEM = Locks(filesystem=True, database=False)
DATABASE = Locks(filesystem=False, database=True)


@pytest.fixture(params=["memory", "filesystem"])
async def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    made = MemoryDriver() if request.param == "memory" else FilesystemDriver(tmp_path / "data")
    yield made
    await made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "moorage.db"


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

    async def adopt(self) -> SqliteStore:
        """What is chosen with ``database.adopt``."""
        section = {"enabled": True, "adopt": True, "sqlite": str(self.file)}
        store = await Choosing(
            storage=self.storage,
            database=DatabaseSection.model_validate(section),
            prepare=prepare,
            inspect=inspect,
            begin_adoption=begin_adoption,
        ).store()
        assert isinstance(store, SqliteStore)
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
        await prepare(DatabaseSection(), SqliteStore(self.file))
        with sqlite3.connect(self.file) as connection:
            connection.execute("INSERT INTO top_level_namespaces (id, name, created_at) VALUES (1, 'a', 0)")
            connection.execute(
                "INSERT INTO repositories (id, top_level_namespace_id, path, created_at, populated_at)"
                " VALUES (1, 1, 'a', 0, 0)"
            )
        connection.close()


@pytest.fixture
def starter(storage: StorageDriver, file: Path) -> Starter:
    return Starter(storage, file)


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_a_fresh_start_with_a_database_makes_it_and_marks_the_storage(starter: Starter, enabled: object) -> None:
    assert await starter.start(enabled) == SqliteStore(starter.file)
    assert await starter.locks() == DATABASE
    assert not await prepare(DatabaseSection(), SqliteStore(starter.file))
    assert starter.warnings == []


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_a_database_that_is_in_use_is_used_again(starter: Starter, enabled: object) -> None:
    await starter.start(True)
    await starter.make_images()
    await starter.storage.put(BLOB, b"")
    assert await starter.start(enabled) == SqliteStore(starter.file)
    assert starter.warnings == []


async def test_a_fresh_start_without_a_database_marks_nothing_until_there_is_an_image(starter: Starter) -> None:
    assert await starter.start(False) == LayoutStore(must_claim=True)
    assert await starter.locks() == NEITHER
    assert not starter.file.exists()
    await starter.storage.put(LINK, b"")
    assert await starter.start(False) == LayoutStore()
    assert await starter.locks() == FILESYSTEM


async def test_a_folder_that_only_holds_sessions_or_blobs_holds_no_image(starter: Starter) -> None:
    await starter.storage.put("/docker/registry/v2/repositories/app/_uploads/1/data", b"")
    await starter.storage.put(f"/docker/registry/v2/repositories/app/_layers/sha256/{'0' * 64}/link", b"")
    assert await starter.start(True) == SqliteStore(starter.file)


async def test_images_in_a_database_are_not_served_from_link_files(starter: Starter) -> None:
    await starter.start(True)
    refusal = await starter.refusal(False)
    assert refusal.startswith("database.enabled: storage has docker/registry/lockfiles/database-in-use: ")
    assert refusal.endswith(f"; set database.enabled: true and database.sqlite: {starter.file}")
    starter.file.unlink()
    assert (await starter.refusal(False)).endswith("by database.sqlite or by database.host and database.dbname")
    assert await starter.locks() == DATABASE


@pytest.mark.parametrize("has_lock", [True, False])
async def test_images_in_link_files_are_not_hidden_by_a_database(starter: Starter, *, has_lock: bool) -> None:
    await starter.storage.put(LINK, b"")
    if has_lock:
        await locks.write(starter.storage, Lock.FILESYSTEM)
    refusal = await starter.refusal(True)
    assert refusal.startswith("database.enabled: storage h")
    assert ("filesystem-in-use" if has_lock else "group/app") in refusal
    assert "set database.enabled: false, or prefer," in refusal
    assert await starter.locks() == (FILESYSTEM if has_lock else NEITHER)
    assert not starter.file.exists()


@pytest.mark.parametrize("has_file", [True, False])
async def test_a_preferred_database_gives_way_to_images_in_link_files(starter: Starter, *, has_file: bool) -> None:
    if has_file:
        await prepare(DatabaseSection(), SqliteStore(starter.file))
    await starter.storage.put(LINK, b"")
    for reason in ("group/app", "filesystem-in-use"):
        assert await starter.start("prefer") == LayoutStore()
        (warning,) = starter.warnings
        assert reason in warning
    assert await starter.locks() == FILESYSTEM
    assert starter.file.exists() == has_file


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_link_files_beside_a_database_with_images_are_left_from_before(starter: Starter, enabled: object) -> None:
    await starter.make_images()
    await starter.storage.put(LINK, b"")
    assert await starter.start(enabled) == SqliteStore(starter.file)
    assert await starter.locks() == DATABASE


@pytest.mark.parametrize("enabled", [True, False, "prefer"])
async def test_with_both_locks_nothing_starts_until_somebody_has_looked(starter: Starter, enabled: object) -> None:
    await starter.start(True)
    await locks.write(starter.storage, Lock.FILESYSTEM)
    refusal = await starter.refusal(enabled)
    assert "filesystem-in-use" in refusal
    assert "database-in-use" in refusal
    assert "remove the other's file" in refusal


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_a_database_that_is_gone_is_not_replaced_by_an_empty_one(starter: Starter, enabled: object) -> None:
    await starter.start(True)
    await starter.storage.put(BLOB, b"")
    starter.file.unlink()
    refusal = await starter.refusal(enabled)
    assert refusal.startswith("database.sqlite: ")
    assert f"there is no {starter.file}" in refusal
    assert not starter.file.exists()


async def test_a_storage_that_lost_everything_but_its_lock_may_begin_anew(starter: Starter) -> None:
    await locks.write(starter.storage, Lock.DATABASE)
    assert await starter.start(True) == SqliteStore(starter.file)


async def test_blobs_beside_an_empty_database_are_worth_a_warning(starter: Starter) -> None:
    await starter.storage.put(BLOB, b"")
    await starter.start(True)
    assert ["is it the right database?" in warning for warning in starter.warnings] == [True]
    await starter.start(True)
    assert len(starter.warnings) == 1


async def test_blobs_without_images_are_worth_a_warning(starter: Starter) -> None:
    await starter.storage.put(BLOB, b"")
    assert await starter.start(False) == LayoutStore(must_claim=True)
    assert ["in a database?" in warning for warning in starter.warnings] == [True]


async def test_where_locks_do_not_decide_they_are_warnings_and_none_is_written(starter: Starter) -> None:
    await starter.storage.put(LINK, b"")
    assert await starter.start(False, enforces=False) == LayoutStore()
    assert await starter.start("prefer", enforces=False) == LayoutStore()
    assert await starter.locks() == NEITHER
    assert await starter.start(True, enforces=False) == SqliteStore(starter.file)
    assert "group/app" in starter.warnings[0]
    await starter.make_images()
    for lock in Lock:
        await locks.write(starter.storage, lock)
    for enabled, expected in ((True, SqliteStore(starter.file)), (False, LayoutStore())):
        assert await starter.start(enabled, enforces=False) == expected
        assert "filesystem-in-use" in starter.warnings[0]


async def test_who_can_only_read_serves_link_files_all_the_same(file: Path) -> None:
    storage = Full()
    await storage.put(LINK, b"")
    storage.is_full = True
    starter = Starter(storage, file)
    assert await starter.start(False) == LayoutStore()
    assert ["cannot be marked" in warning for warning in starter.warnings] == [True]
    assert await starter.start("prefer") == LayoutStore()


async def test_a_database_is_not_used_where_the_storage_cannot_be_marked(file: Path) -> None:
    storage = Full()
    storage.is_full = True
    refusal = await Starter(storage, file).refusal(True)
    assert refusal.startswith("storage: docker/registry/lockfiles/database-in-use, ")
    assert refusal.endswith("read-only")


async def test_a_database_in_a_folder_that_is_not_there_is_a_mistake(storage: StorageDriver, tmp_path: Path) -> None:
    refusal = await Starter(storage, tmp_path / "absent" / "moorage.db").refusal(True)
    assert refusal == f"database.sqlite: there is no folder {tmp_path / 'absent'}; make it, or name a file elsewhere"


async def test_a_file_that_is_no_database_is_a_mistake(starter: Starter) -> None:
    starter.file.write_bytes(b"no database at all, and long enough to see it" * 100)
    assert (await starter.refusal(True)).startswith("database.sqlite: ")
    assert await starter.locks() == NEITHER


async def test_postgresql_is_named_by_its_section(storage: StorageDriver) -> None:
    asked: list[DatabaseStore] = []

    async def ready(database: DatabaseSection, store: DatabaseStore) -> bool:
        assert database.host == "db"
        asked.append(store)
        return False

    database = DatabaseSection.model_validate({"enabled": True, "host": "db", "dbname": "registry"})
    assert await Choosing(storage=storage, database=database, prepare=ready).store() == PostgresStore()
    assert asked == [PostgresStore()]
    assert (await locks.read(storage)) == DATABASE


async def start_at_once(storage: "Slow", *, enabled: bool, holds_images: bool) -> Store | None:
    """A start among others; None if it is refused."""

    async def ready(database: DatabaseSection, store: DatabaseStore) -> bool:
        del database, store
        await storage.wait()
        return holds_images

    database = DatabaseSection.model_validate({"enabled": enabled, "host": "db", "dbname": "registry"})
    await storage.wait()
    try:
        return await Choosing(storage=storage, database=database, prepare=ready).store()
    except ConfigurationError:
        return None


async def push_at_once(storage: "Slow") -> LayoutStore | None:
    """The first image of a registry that runs without a database; None if it is refused."""
    await storage.wait()
    try:
        await FilesystemClaim(storage).hold()
    except StorageUnavailable:
        return None
    await storage.put(LINK, b"")
    return LayoutStore()


@pytest.mark.parametrize("configured", [(True, False), (True, False, True, False)])
async def test_those_that_start_at_once_never_serve_from_different_places(configured: tuple[bool, ...]) -> None:
    for seed in range(300):
        storage = Slow(seed)
        await storage.put(LINK, b"")
        starts = [start_at_once(storage, enabled=enabled, holds_images=True) for enabled in configured]
        served = {type(store) for store in await asyncio.gather(*starts) if store is not None}
        assert len(served) <= 1, seed


async def test_a_first_image_and_a_start_with_a_database_never_both_succeed() -> None:
    for seed in range(300):
        storage = Slow(seed)
        start = start_at_once(storage, enabled=True, holds_images=False)
        served = await asyncio.gather(push_at_once(storage), start)
        assert None in served, seed


def test_without_a_file_the_database_is_beside_the_data_and_closed_again(tmp_path: Path) -> None:
    config = defaults(str(tmp_path), "127.0.0.1:0")
    assert choose(config, prepare) == SqliteStore(tmp_path / "moorage.db")
    assert (tmp_path / "docker/registry/lockfiles/database-in-use").is_file()
    assert choose(config, prepare) == SqliteStore(tmp_path / "moorage.db")


@pytest.mark.parametrize(
    ("value", "is_refused"), [("false", False), ("False", True), ("0", True), ("", True), ("true", True), (None, True)]
)
def test_only_false_keeps_locks_from_deciding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, *, is_refused: bool
) -> None:
    monkeypatch.delenv("REGISTRY_FF_ENFORCE_LOCKFILES", raising=False)
    choose(defaults(str(tmp_path), "127.0.0.1:0"), prepare)
    if value is not None:
        monkeypatch.setenv("REGISTRY_FF_ENFORCE_LOCKFILES", value)
    storage = json.dumps({"filesystem": {"rootdirectory": str(tmp_path)}})
    config = load(f"version: 0.1\nstorage: {storage}", {}).config
    if not is_refused:
        assert choose(config, prepare) == LayoutStore()
        return
    with pytest.raises(ConfigurationError, match="database-in-use"):
        choose(config, prepare)


class Full(MemoryDriver):
    """Storage that takes nothing any more, once it is told."""

    is_full = False

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        if self.is_full:
            msg = "read-only"
            raise StorageUnavailable(msg)
        await super().put(path, content, durable=durable)


class Slow(MemoryDriver):
    """Storage whose answers take their time, each another."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    async def wait(self) -> None:
        for _ in range(self._random.choice((0, 1, 2, 40))):
            await asyncio.sleep(0)

    async def stat(self, path: str, *, folder: bool = True) -> Stat:
        await self.wait()
        found = await super().stat(path, folder=folder)
        await self.wait()
        return found

    async def put(self, path: str, content: ObjectContent, *, durable: bool = True) -> None:
        await self.wait()
        await super().put(path, content, durable=durable)
        await self.wait()


async def known_blob(starter: Starter) -> None:
    """The database knows a blob that is in storage."""
    database = await SqliteDatabase.open(starter.file)
    digest = Digest.of(b"x")
    links = SqlLinks(database)
    await starter.storage.put(paths.blob(digest), b"x")
    assert await links.link(RepositoryName("a"), digest, await links.expect(digest), size_bytes=1)
    await database.close()


async def test_an_empty_storage_beside_a_database_with_blobs_is_not_started(starter: Starter) -> None:
    await starter.start(True)
    await known_blob(starter)
    starter.storage = MemoryDriver()
    refusal = await starter.refusal(True)
    assert "is the volume mounted" in refusal
    path, _, content = refusal.rpartition("make the file ")[2].partition(" there with ")
    await starter.storage.put(f"/{path}", content.encode())  # What the refusal says helps.
    await starter.start(True)


async def test_a_storage_is_not_started_with_another_database(starter: Starter) -> None:
    await starter.start(True)
    ours, starter.file = starter.file, starter.file.with_name("theirs.db")
    refusal = await starter.refusal(True)
    assert "belongs to another database" in refusal
    await starter.storage.delete(paths.IDENTITY)  # As the refusal says.
    await starter.start(True)
    starter.file = ours
    assert "belongs to another database" in await starter.refusal(True)


async def test_a_storage_and_a_database_of_before_are_adopted(starter: Starter) -> None:
    await starter.start(True)
    await known_blob(starter)
    await starter.storage.delete(paths.IDENTITY)
    await starter.start(True)
    assert await starter.storage.exists(paths.IDENTITY)


async def test_a_copy_of_the_database_belongs_to_the_same_storage(starter: Starter) -> None:
    await starter.start(True)
    await known_blob(starter)
    copy = starter.file.with_name("restored.db")
    with closing(sqlite3.connect(starter.file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    starter.file = copy
    await starter.start(True)


async def test_a_database_file_of_no_bytes_is_no_empty_registry(starter: Starter) -> None:
    await starter.start(True)
    await known_blob(starter)
    starter.file.write_bytes(b"")
    assert "would look empty" in await starter.refusal(True)


class TestAdoption:
    """``database.adopt``: link files and an empty database, both at once, and nobody else beside them."""

    async def test_link_files_are_adopted_and_the_storage_says_by_which_database(self, starter: Starter) -> None:
        await starter.storage.put(LINK, b"")
        store = await starter.adopt()
        assert store.adopting
        assert await starter.locks() == Locks(filesystem=True, database=True)
        assert await AdoptionNote.read(starter.storage) == AdoptionNote(store.identity)
        assert (await starter.adopt()).adopting

    @pytest.mark.parametrize("enabled", [True, False, "prefer"])
    async def test_meanwhile_no_start_without_it_is_possible(self, starter: Starter, enabled: object) -> None:
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        assert (await starter.refusal(enabled)).startswith("database.adopt: docker/registry/moorage/adopting.json says")

    async def test_meanwhile_nobody_checks_copies_or_backs_up_one_of_the_two_alone(self, starter: Starter) -> None:
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        text = f"version: 0.1\nstorage: {{inmemory: {{}}}}\ndatabase: {{enabled: true, sqlite: {starter.file}}}"
        with pytest.raises(ConfigurationError, match="neither of the two has all images"):
            await database_beside(load(text, {}).config, starter.storage)

    async def test_another_database_does_not_go_on_with_it(self, starter: Starter, tmp_path: Path) -> None:
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        other = Starter(starter.storage, tmp_path / "other.db")
        with pytest.raises(ConfigurationError, match="there is no"):
            await other.adopt()
        await prepare(DatabaseSection(), SqliteStore(other.file))
        with pytest.raises(ConfigurationError, match="belongs to another database"):
            await other.adopt()

    async def test_a_database_with_images_adopts_nothing(self, starter: Starter) -> None:
        await starter.make_images()
        await starter.storage.put(LINK, b"")
        with pytest.raises(ConfigurationError, match="holds images already"):
            await starter.adopt()
        assert await starter.locks() == NEITHER

    async def test_beside_a_registry_that_takes_pushes_it_does_not_begin(self, starter: Starter) -> None:
        await starter.storage.put(LINK, b"")
        other = await announce(starter.storage, Activity.WRITING)
        with pytest.raises(ConfigurationError, match="takes pushes is at work"):
            await starter.adopt()
        await other.close()
        assert await AdoptionNote.read(starter.storage) is None
        await starter.adopt()

    async def test_where_there_are_no_link_files_it_is_a_start_with_a_database(self, starter: Starter) -> None:
        assert not (await starter.adopt()).adopting
        assert await starter.locks() == DATABASE

    async def test_once_it_has_ended_it_is_a_start_with_a_database_whatever_was_killed_at_the_end(
        self, starter: Starter
    ) -> None:
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        with sqlite3.connect(starter.file) as connection:
            connection.execute("UPDATE adoption_progress SET ended_at = 1")
        connection.close()
        await starter.make_images()
        assert not (await starter.adopt()).adopting
        assert await starter.locks() == DATABASE
        assert await AdoptionNote.read(starter.storage) is None
        assert await starter.start(True) == SqliteStore(starter.file)
