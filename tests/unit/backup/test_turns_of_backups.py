"""A backup of very many blobs lets others have their turns: else its lease is not renewed, and it is refused."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from moorage.backup import backing_up, blob_copies
from moorage.backup.backing_up import make_backup
from moorage.backup.backup_folder import BackupBlob, BackupFolder
from moorage.backup.places import read_places
from moorage.backup.sqlite_copies import sqlite_blobs
from unit.backup.test_backups import NOBODY, Site, backups, make, site

__all__ = ["backups", "site"]


async def test_blobs_that_are_there_already_are_looked_at_in_turns(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(make, site, backups)
    turns, seen = 0, list[int]()
    size_of = vars(blob_copies)["_size_of"]

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def looked_at(path: Path) -> int | None:
        seen.append(turns)
        found: int | None = size_of(path)
        return found

    monkeypatch.setattr(blob_copies, "_size_of", looked_at)
    beside = asyncio.create_task(others())
    made = await make_backup(read_places(site.config, None), backups, with_blobs=None, reports=NOBODY)
    beside.cancel()
    with suppress(asyncio.CancelledError):
        await beside
    assert made.record.blobs.copied == 0
    assert len(seen) == made.record.blobs.count
    assert len(set(seen)) >= len(seen) // blob_copies.PARALLEL_BLOBS


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_the_list_of_blobs_is_written_beside_the_event_loop(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[threading.Thread]()

    def listed(path: Path) -> Iterator[BackupBlob]:
        threads.append(threading.current_thread())
        return sqlite_blobs(path)

    monkeypatch.setattr(backing_up, "sqlite_blobs", listed)
    assert make(site, backups).record.blobs.count > 0
    assert threads
    assert threading.main_thread() not in threads
