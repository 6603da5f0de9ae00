"""``database.adopt``: which starts adopt link files, and which are refused meanwhile."""

import sqlite3
from pathlib import Path

import pytest

from moorage.config import load
from moorage.errors import ConfigurationError
from moorage.moving.adoption_note import AdoptionNote
from moorage.starting.database_choice import database_beside
from moorage.starting.database_preparing import prepare
from moorage.storage.locks import Locks
from moorage.storage.presence import Activity, announce
from moorage.wiring.stores import DatabaseStore, LayoutStore
from unit.starting.starts import DATABASE, LINK, NEITHER, Starter


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

    @pytest.mark.parametrize("enabled", [True, "prefer"])
    async def test_meanwhile_nobody_forces_a_start_with_the_database_alone(
        self, starter: Starter, enabled: object
    ) -> None:
        """Its collection would delete blobs that only link files need."""
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        with pytest.raises(ConfigurationError, match="each of the two has a part of the images"):
            await starter.start(enabled, enforces=False)

    async def test_meanwhile_a_start_with_link_files_alone_can_be_forced(self, starter: Starter) -> None:
        await starter.storage.put(LINK, b"")
        await starter.adopt()
        assert await starter.start(False, enforces=False) == LayoutStore()
        assert "each of the two has a part of the images" in starter.warnings[0]

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
        await prepare(other.file)
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

    @pytest.mark.parametrize("has_begun", [False, True])
    async def test_where_lock_files_do_not_count_it_is_refused_and_no_empty_database_is_served_instead(
        self, starter: Starter, *, has_begun: bool
    ) -> None:
        await starter.storage.put(LINK, b"")
        if has_begun:
            await starter.adopt()
        with pytest.raises(ConfigurationError, match="needs lock files"):
            await starter.adopt(enforces=False)

    async def test_where_lock_files_do_not_count_it_may_stay_in_the_configuration_of_a_new_registry(
        self, starter: Starter
    ) -> None:
        assert not (await starter.adopt(enforces=False)).adopting

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
        assert await starter.start(True) == DatabaseStore(starter.file)
