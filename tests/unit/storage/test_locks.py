"""Lock files: GitLab's names and content, and the one that a registry writes when it gets its first image."""

from pathlib import Path

import pytest

from moorage.errors import StorageUnavailable
from moorage.storage import locks
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.locks import FilesystemClaim, Lock, Locks
from moorage.storage.memory import MemoryDriver

FOLDER = Path("docker/registry/lockfiles")


async def test_the_files_are_those_of_gitlab(driver: FilesystemDriver, tmp_path: Path) -> None:
    await locks.write(driver, Lock.FILESYSTEM)
    await locks.write(driver, Lock.DATABASE)
    found = {path.name: path.read_bytes() for path in (tmp_path / FOLDER).iterdir()}
    assert found == {"filesystem-in-use": b'{"version":1}', "database-in-use": b'{"version":1}'}


@pytest.mark.parametrize("lock", Lock)
async def test_a_lock_is_there_until_it_is_removed(lock: Lock) -> None:
    storage = MemoryDriver()
    await locks.write(storage, lock)
    assert await locks.read(storage) == Locks(filesystem=lock is Lock.FILESYSTEM, database=lock is Lock.DATABASE)
    await locks.remove(storage, lock)
    assert await locks.read(storage) == Locks(filesystem=False, database=False)


async def test_a_lock_that_is_not_there_is_removed_without_a_complaint() -> None:
    await locks.remove(MemoryDriver(), Lock.DATABASE)


async def test_a_lock_is_what_somebody_else_wrote_into_it() -> None:
    storage = MemoryDriver()
    await storage.put(Lock.DATABASE.path, b'{"version":2}')
    await locks.write(storage, Lock.DATABASE)
    assert await storage.get(Lock.DATABASE.path) == b'{"version":2}'


async def test_a_folder_of_that_name_is_no_lock() -> None:
    storage = MemoryDriver()
    await storage.put(f"{Lock.DATABASE.path}/something", b"")
    assert not (await locks.read(storage)).database


async def test_the_first_image_of_a_registry_without_a_database_locks_the_storage() -> None:
    storage = MemoryDriver()
    await FilesystemClaim(storage).hold()
    assert (await locks.read(storage)).filesystem


async def test_there_is_no_first_image_once_a_database_has_the_storage() -> None:
    storage = MemoryDriver()
    await locks.write(storage, Lock.DATABASE)
    claim = FilesystemClaim(storage)
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="with a database"):
            await claim.hold()


async def test_a_claim_is_made_once() -> None:
    storage = MemoryDriver()
    claim = FilesystemClaim(storage)
    await claim.hold()
    await locks.remove(storage, Lock.FILESYSTEM)
    await claim.hold()
    assert not (await locks.read(storage)).filesystem
