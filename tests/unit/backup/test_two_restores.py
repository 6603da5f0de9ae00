"""Two restores of the same backup onto the same places: only one of them writes there."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused
from moorage.backup.blob_copies import BlobsBack
from moorage.backup.places import read_targets
from moorage.backup.restoring import Restored, alone, restore
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.presence import Activity, others_at_work
from support.bucket import Bucket
from unit.backup.test_backups import NOBODY, Site, backups, make, site, store, write_config

__all__ = ["backups", "site", "store"]


def test_a_second_restore_does_not_write_beside_the_first(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, config = make(site, backups), write_config(tmp_path / "after", store)
    said = list[str]()

    async def brought_back() -> Restored:
        places = read_targets(config, None)
        return await restore(backups, made.backup, places, record=made.record, reports=NOBODY)

    copy = BlobsBack.copy

    async def copied(self: BlobsBack, blob: BackupBlob) -> None:
        monkeypatch.setattr(BlobsBack, "copy", copy)
        with pytest.raises(BackupRefused) as refused:
            await brought_back()
        said.append(str(refused.value))
        await copy(self, blob)

    monkeypatch.setattr(BlobsBack, "copy", copied)
    done = asyncio.run(brought_back())
    assert "a registry or another restore is at work on that storage" in said[0]
    assert (done.blobs, done.problems.first) == (made.record.blobs.count, [])


def test_a_restore_that_is_done_or_refused_leaves_nobody_at_work(
    site: Site, backups: BackupFolder, tmp_path: Path, store: str
) -> None:
    made, config = make(site, backups), write_config(tmp_path / "after", store)
    places = read_targets(config, None)
    asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    with pytest.raises(BackupRefused, match="not empty"):
        asyncio.run(restore(backups, made.backup, places, record=made.record, reports=NOBODY))
    assert list((config.parent / "storage" / paths.LOCK_FILES.lstrip("/")).iterdir()) == []


async def announced(storage: StorageDriver, work: Activity, process: int) -> None:
    path = paths.lock_file(f"{work.value}-0123456789abcdef")
    await storage.put(path, f"{socket.gethostname()} process {process}".encode())


@pytest.fixture
def ended() -> int:
    """The id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    return process.pid


async def test_a_restore_onto_a_bucket_does_not_wait_for_the_lease_of_one_that_was_killed(ended: int) -> None:
    bucket = Bucket()
    await announced(bucket, Activity.WRITING, ended)
    async with alone(bucket) as presence:
        assert [other.path for other in await others_at_work(bucket, Activity.WRITING)] == [presence.path]


@pytest.mark.parametrize("work", list(Activity))
async def test_nobody_else_is_at_work_beside_a_restore(work: Activity) -> None:
    bucket = Bucket()
    await announced(bucket, work, os.getppid())
    with pytest.raises(BackupRefused, match="at work on that storage"):
        async with alone(bucket):
            pytest.fail("it has begun")
