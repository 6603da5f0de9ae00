"""Storage and database know each other: neither is started with another one's half."""

import re
import sqlite3
from contextlib import closing

import pytest

from moorage.errors import ConfigurationError
from moorage.metadata.sql.links import SqlLinks
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver
from moorage.wiring.stores import DatabaseStore
from unit.starting.starts import BLOB, LINK, Starter


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


def named_for_a_new_beginning(refusal: str) -> list[str]:
    """The files that a refusal wants to be removed by whoever begins anew."""
    return [f"/{word}" for word in re.findall(r"docker/[\w./-]+\w", refusal.partition("to begin anew, remove")[2])]


async def test_whoever_begins_anew_as_a_refusal_says_is_not_refused_again(starter: Starter) -> None:
    await starter.start(enabled=True)
    await starter.storage.put(BLOB, b"x")
    starter.file.unlink()
    for path in named_for_a_new_beginning(await starter.refusal(enabled=True)):
        await starter.storage.delete(path)
    assert isinstance(await starter.start(enabled=True), DatabaseStore)


async def test_whoever_adopts_anew_as_a_refusal_says_is_not_refused_again(starter: Starter) -> None:
    await starter.storage.put(LINK, b"")
    await starter.adopt()
    starter.file.unlink()
    with pytest.raises(ConfigurationError) as raised:
        await starter.adopt()
    for path in named_for_a_new_beginning(str(raised.value)):
        await starter.storage.delete(path)
    assert (await starter.adopt()).adopting
