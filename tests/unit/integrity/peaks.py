"""What a check needs of memory at most, measured in a process that does nothing else.

Python counts what all threads of a process allocate: among thousands of tests some other one's may be alive.
"""

import asyncio
import multiprocessing
import sqlite3
import tracemalloc
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
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

LOST_EVERY = 10
DEADLINE_S = 240.0

Measure = Callable[[int], Awaitable[int]]


def peaks_of(measure: Measure, *counts: int) -> list[int]:
    """Measure each number of blobs, one after another, in one process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(_peaks, measure, counts).result(DEADLINE_S)


async def of_a_database(count: int) -> int:
    """The bytes for a check of a registry with a database."""
    with quick_folder() as folder:
        opener = sqlite_opener(folder)
        with closing(sqlite3.connect(folder / "moorage.db")) as connection, connection:
            at = microseconds(datetime.now(UTC))
            keys = [digest_key(Digest.of(content)) for content in _contents(count)]
            text = "INSERT INTO blobs (digest, size, created_at) VALUES (?, 10, ?)"
            connection.executemany(text, [(key, at) for key in keys])
            text = "INSERT INTO gc_blob_review_queue (digest, review_after, event) VALUES (?, ?, 'blob_upload')"
            connection.executemany(text, [(key, at) for key in keys])
        del keys
        async with database_registry("inmemory", opener, folder) as registry:
            await _put_bytes(registry, count)
            return await _peak_bytes(registry, count)


async def of_link_files(count: int) -> int:
    """The bytes for a check of a registry with link files."""
    async with layout_registry("inmemory", Path()) as registry:
        await _put_bytes(registry, count)
        for content in _contents(count):
            digest = Digest.of(content)
            name = RepositoryName(f"group/app{digest.encoded[:2]}")
            await registry.storage.put(paths.layer_link(name, digest), str(digest).encode())
        return await _peak_bytes(registry, count)


def _peaks(measure: Measure, counts: tuple[int, ...]) -> list[int]:
    _small_pages()
    return [asyncio.run(_awaited(measure, count)) for count in counts]


async def _awaited(measure: Measure, count: int) -> int:
    return await measure(count)


def _small_pages() -> None:
    """Or else the registry would have to be larger for them to be many."""
    patch = pytest.MonkeyPatch()  # Never undone: the process ends with the measurement.
    patch.setattr(walk, "PAGE", 100)
    patch.setattr(sightings, "_PAGE", 100)
    patch.setattr(sightings, "_WINDOW", 100)
    patch.setattr(blobs, "_BATCH", 100)
    patch.setattr(findings, "FIRST_FINDINGS", 100)
    # What is remembered of digests and paths has limits of its own, which only the larger registry reaches.
    patch.setattr(integrity, "digest_of", digest_of.__wrapped__)
    patch.setattr(memory, "check_path", check_path.__wrapped__)


async def _peak_bytes(registry: Registry, count: int) -> int:
    """What Python allocates at most during a check in which every tenth blob is found to be lost."""
    tracemalloc.start()
    try:
        found = await registry.check(repairs=False)
        assert found.tally.hashed_bytes == 10 * (count - count // LOST_EVERY)
        assert sum(number.number for number in found.tally.differences.values()) == count // LOST_EVERY
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _contents(count: int) -> list[bytes]:
    return [f"{number:010}".encode() for number in range(count)]


async def _put_bytes(registry: Registry, count: int) -> None:
    for number, content in enumerate(_contents(count)):
        if number % LOST_EVERY:
            await registry.damage(Digest.of(content), content)
