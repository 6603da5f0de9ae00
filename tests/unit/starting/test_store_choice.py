"""Which metadata store a start uses, rule by rule; with a real SQLite file beside real storage."""

import json
from pathlib import Path

import pytest

from moorage.config import defaults, load
from moorage.config.sections.database import DatabaseSection
from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.sql.database_place import DatabasePlace
from moorage.starting.database_preparing import prepare
from moorage.starting.store_choice import Choosing, choose
from moorage.storage import locks
from moorage.storage.base import ObjectContent, StorageDriver
from moorage.storage.locks import Lock
from moorage.storage.memory import MemoryDriver
from moorage.wiring.stores import DatabaseStore, LayoutStore
from unit.starting.starts import BLOB, DATABASE, EXTERNAL, FILESYSTEM, LINK, NEITHER, Starter


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_a_fresh_start_with_a_database_makes_it_and_marks_the_storage(starter: Starter, enabled: object) -> None:
    assert await starter.start(enabled) == DatabaseStore(starter.file)
    assert await starter.locks() == DATABASE
    assert not await prepare(starter.file)
    assert starter.warnings == []


@pytest.mark.parametrize("enabled", [True, "prefer"])
async def test_a_database_that_is_in_use_is_used_again(starter: Starter, enabled: object) -> None:
    await starter.start(True)
    await starter.make_images()
    await starter.storage.put(BLOB, b"")
    assert await starter.start(enabled) == DatabaseStore(starter.file)
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
    assert await starter.start(True) == DatabaseStore(starter.file)


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
        await prepare(starter.file)
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
    assert await starter.start(enabled) == DatabaseStore(starter.file)
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
    assert await starter.start(True) == DatabaseStore(starter.file)


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
    assert await starter.start(True, enforces=False) == DatabaseStore(starter.file)
    assert "group/app" in starter.warnings[0]
    await starter.make_images()
    for lock in Lock:
        await locks.write(starter.storage, lock)
    for enabled, expected in ((True, DatabaseStore(starter.file)), (False, LayoutStore())):
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
    asked: list[DatabasePlace] = []

    async def ready(place: DatabasePlace) -> bool:
        asked.append(place)
        return False

    database = DatabaseSection.model_validate({"enabled": True, "host": "db", "dbname": "registry"})
    assert await Choosing(storage=storage, database=database, prepare=ready).store() == DatabaseStore(EXTERNAL)
    assert asked == [EXTERNAL]
    assert (await locks.read(storage)) == DATABASE


def test_without_a_file_the_database_is_beside_the_data_and_closed_again(tmp_path: Path) -> None:
    config = defaults(str(tmp_path), "127.0.0.1:0")
    assert choose(config, prepare) == DatabaseStore(tmp_path / "moorage.db")
    assert (tmp_path / "docker/registry/lockfiles/database-in-use").is_file()
    assert choose(config, prepare) == DatabaseStore(tmp_path / "moorage.db")


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


def test_a_root_that_is_a_folder_of_a_registrys_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "docker/registry/v2/repositories").mkdir(parents=True)
    for inside, last in (("docker", "docker"), ("docker/registry", "docker/registry")):
        with pytest.raises(
            ConfigurationError, match=rf"rootdirectory: it ends inside .*; leave out its last part, {last}$"
        ):
            choose(defaults(str(tmp_path / inside), "127.0.0.1:0"), prepare)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []
    choose(defaults(str(tmp_path), "127.0.0.1:0"), prepare)
