"""Memory is that of a page and a batch, whatever the size of the registry."""

import sqlite3
import tracemalloc
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contract.integrity.registries import Registry, database_registry, layout_registry
from contract.metadata.stores import quick_folder, sqlite_opener
from moorage.integrity import blobs, findings, sightings
from moorage.metadata.sql import integrity
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import microseconds
from moorage.storage import memory, paths, walk
from moorage.storage.base import check_path

SLACK_BYTES = 1 << 20
"""The digests of the larger registry, in a set, would be some 5 MB."""
LOST_EVERY = 10


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the registry would have to be larger for them to be many."""
    monkeypatch.setattr(walk, "PAGE", 100)
    monkeypatch.setattr(sightings, "_PAGE", 100)
    monkeypatch.setattr(sightings, "_WINDOW", 100)
    monkeypatch.setattr(blobs, "_BATCH", 100)
    monkeypatch.setattr(findings, "FIRST_FINDINGS", 100)
    # What is remembered of digests and paths has limits of its own, which only the larger registry reaches.
    monkeypatch.setattr(integrity, "digest_of", digest_of.__wrapped__)
    monkeypatch.setattr(memory, "check_path", check_path.__wrapped__)


async def peak_bytes(registry: Registry, count: int) -> int:
    """What Python allocates at most during a check in which every tenth blob is found to be lost."""
    tracemalloc.start()
    try:
        found = await registry.check(repairs=False)
        assert found.tally.hashed_bytes == 10 * (count - count // LOST_EVERY)
        assert sum(number.number for number in found.tally.differences.values()) == count // LOST_EVERY
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def contents(count: int) -> list[bytes]:
    return [f"{number:010}".encode() for number in range(count)]


async def put_bytes(registry: Registry, count: int) -> None:
    for number, content in enumerate(contents(count)):
        if number % LOST_EVERY:
            await registry.damage(Digest.of(content), content)


async def of_a_database(count: int) -> int:
    with quick_folder() as folder:
        opener = sqlite_opener(folder)
        with closing(sqlite3.connect(folder / "moorage.db")) as connection, connection:
            at = microseconds(datetime.now(UTC))
            keys = [digest_key(Digest.of(content)) for content in contents(count)]
            text = "INSERT INTO blobs (digest, size, created_at) VALUES (?, 10, ?)"
            connection.executemany(text, [(key, at) for key in keys])
            text = "INSERT INTO gc_blob_review_queue (digest, review_after, event) VALUES (?, ?, 'blob_upload')"
            connection.executemany(text, [(key, at) for key in keys])
        del keys
        async with database_registry("inmemory", opener, folder) as registry:
            await put_bytes(registry, count)
            return await peak_bytes(registry, count)


async def of_link_files(count: int) -> int:
    async with layout_registry("inmemory", Path()) as registry:
        await put_bytes(registry, count)
        for content in contents(count):
            digest = Digest.of(content)
            name = RepositoryName(f"group/app{digest.encoded[:2]}")
            await registry.storage.put(paths.layer_link(name, digest), str(digest).encode())
        return await peak_bytes(registry, count)


async def test_ten_times_the_blobs_in_a_database_need_no_more_memory() -> None:
    small, large = await of_a_database(2000), await of_a_database(20000)
    assert large < small + SLACK_BYTES, (small, large)


async def test_ten_times_the_links_need_no_more_memory() -> None:
    small, large = await of_link_files(2000), await of_link_files(20000)
    assert large < small + SLACK_BYTES, (small, large)
