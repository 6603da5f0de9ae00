"""Files that say who is at work, between users: whoever may only read one can tell whether somebody holds it."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.storage import paths
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.presence import Activity, Announcement, announce, others_at_work
from support.other_user import as_other_user, storage_for_all

READ_ONLY, UNREADABLE = 0o444, 0o000


@pytest.fixture
def root() -> Iterator[Path]:
    with storage_for_all() as path:
        yield path


@pytest.fixture
def folder(root: Path) -> Path:
    """Where the files are; everybody may write there."""
    found = root / paths.LOCK_FILES.lstrip("/")
    found.chmod(0o777)
    return found


@pytest.fixture
async def storage(root: Path) -> AsyncIterator[FilesystemDriver]:
    made = FilesystemDriver(root)
    yield made
    await made.close()


def seen(root: Path, work: Activity) -> list[str]:
    """Who is at work, as somebody who looks is told."""

    async def look() -> list[str]:
        storage = FilesystemDriver(root)
        try:
            return [str(found) for found in await others_at_work(storage, work)]
        finally:
            await storage.close()

    return asyncio.run(look())


async def announce_as(storage: FilesystemDriver, root: Path, mode: int) -> Announcement:
    made = await announce(storage, Activity.COLLECTING)
    (root / made.path.lstrip("/")).chmod(mode)
    return made


@pytest.mark.usefixtures("folder")
async def test_who_is_at_work_as_another_user_is_seen(storage: FilesystemDriver, root: Path) -> None:
    held = await announce_as(storage, root, READ_ONLY)
    (said,) = as_other_user(seen, root, Activity.COLLECTING)
    assert f"process {os.getpid()}" in said
    assert held.path.lstrip("/") in said
    assert as_other_user(seen, root, Activity.WRITING) == []
    assert (root / held.path.lstrip("/")).exists()
    await held.close()
    assert as_other_user(seen, root, Activity.COLLECTING) == []
    assert await storage.list(paths.LOCK_FILES) == []


@pytest.mark.parametrize("rights", [0o777, 0o1777, 0o555], ids=oct)
def test_what_a_killed_process_of_another_user_left_is_nobody_whether_it_can_be_removed_or_not(
    root: Path, folder: Path, rights: int
) -> None:
    left = folder / "collecting-0123456789abcdef"
    left.write_bytes(b"somebody process 1")
    left.chmod(READ_ONLY)
    folder.chmod(rights)
    assert as_other_user(seen, root, Activity.COLLECTING) == []
    assert left.exists() is (rights == 0o555 or (rights == 0o1777 and os.geteuid() == 0))
    folder.chmod(0o777)


@pytest.mark.usefixtures("folder")
async def test_a_file_that_cannot_be_read_counts_as_held_and_the_message_says_what_to_do(
    storage: FilesystemDriver, root: Path
) -> None:
    held = await announce_as(storage, root, UNREADABLE)
    (said,) = as_other_user(seen, root, Activity.COLLECTING)
    path = held.path.lstrip("/")
    assert said == f"somebody unknown ({path}: Permission denied (EACCES); remove it if nobody is at work)"
    assert as_other_user(seen, root, Activity.WRITING) == []
    await held.close()


async def test_whoever_looks_is_not_taken_for_somebody_at_work(storage: FilesystemDriver, folder: Path) -> None:
    left = folder / "writing-0123456789abcdef"
    left.touch()
    with left.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert await others_at_work(storage, Activity.WRITING) == []
        assert not left.exists()
        made = await announce(storage, Activity.WRITING)
        assert len(await others_at_work(storage, Activity.WRITING)) == 1
    await made.close()
