"""A registry that starts in the moment in which a restore begins on the same storage: one of the two sees the other."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from moorage.backup import restoring
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.places import read_targets
from moorage.backup.restoring import Restored, restore
from moorage.config import defaults
from moorage.errors import ConfigurationError, StorageUnavailable
from moorage.room import Room
from moorage.starting.announcing import announced
from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.locks import ENFORCEMENT_VARIABLE
from moorage.storage.presence import Activity, announce, others_at_work
from moorage.storage.restore_note import RestoreNote
from moorage.wiring.at_work import shown_at_work
from support.bucket import Bucket
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, write_config

__all__ = ["backups", "site", "store"]

NOTE = RestoreNote(backup="20261129T170000Z", record="1", places="2")


def test_a_restore_sees_a_registry_that_has_started_since_it_looked_for_one(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, config = make(site, backups), write_config(tmp_path / "after", store)
    root = config.parent / "storage"
    look: Callable[..., Awaitable[None]] = vars(restoring)["_see_that_all_is_empty"]

    async def brought_back() -> Restored:
        places = read_targets(config, None)
        return await restore(backups, made.backup, places, record=made.record, reports=NOBODY)

    async def while_one_starts() -> None:
        storage, stack = FilesystemDriver(root), AsyncExitStack()

        async def looked(*args: object, **options: object) -> None:
            await look(*args, **options)
            stack.push_async_callback((await announce(storage, Activity.WRITING)).close)

        async with stack:
            with monkeypatch.context() as patch:
                patch.setattr(restoring, "_see_that_all_is_empty", looked)
                with pytest.raises(BackupRefused, match="at work on that storage"):
                    await brought_back()
            assert await RestoreNote.read(storage) is None, "nothing was brought back, and the registry may go on"
            assert not (root / paths.BLOBS.lstrip("/")).exists()
        await storage.close()

    asyncio.run(while_one_starts())
    assert asyncio.run(brought_back()).blobs == made.record.blobs.count


async def noted(root: Path) -> None:
    storage = FilesystemDriver(root)
    await NOTE.write(storage)
    await storage.close()


def test_a_registry_that_has_announced_itself_looks_for_a_restore_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(noted(tmp_path))
    config = defaults(str(tmp_path), "127.0.0.1:0")
    with pytest.raises(ConfigurationError, match="was not finished"), announced(config):
        pytest.fail("it serves")
    assert list((tmp_path / paths.LOCK_FILES.lstrip("/")).iterdir()) == []
    monkeypatch.setenv(ENFORCEMENT_VARIABLE, "false")
    with announced(config) as held:
        assert held is not None, "who has forced a start over a part of the images has it"


async def test_a_worker_over_a_bucket_looks_for_a_restore_once_it_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket()
    await NOTE.write(bucket)
    with pytest.raises(StorageUnavailable, match="was not finished"):
        async with shown_at_work(bucket, on_loss=lambda: None, room=Room({})):
            pytest.fail("it serves")
    assert await others_at_work(bucket, Activity.WRITING) == []
    monkeypatch.setenv(ENFORCEMENT_VARIABLE, "false")
    async with shown_at_work(bucket, on_loss=lambda: None, room=Room({})):
        assert len(await others_at_work(bucket, Activity.WRITING)) == 1
