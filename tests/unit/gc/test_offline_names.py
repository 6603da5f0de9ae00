"""Repositories and tags whose names no registry of today would take: what they refer to stays all the same."""

import os
from pathlib import Path

import pytest

from moorage.oci.names import RepositoryName
from moorage.storage.base import StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from unit.gc.registry import Writer, collect, digests_in

ODD = [
    "Team/app",
    "host:5000/app",
    "[::1]:5000/app",
    "-dash/.hidden",
    "a copy (2)/app",
    "app~",
    "\u00fcbung/app",
    "new\nline",
    "\udcff\udcfe/app",
]
"""What Distribution takes, what people copy by hand, and bytes that are no UTF-8."""


@pytest.mark.parametrize("name", ODD)
async def test_what_a_repository_of_an_odd_name_refers_to_stays(storage: StorageDriver, name: str) -> None:
    app = Writer(storage, RepositoryName(name))
    kept = await app.image("kept", tags=["1"])
    gone = await app.image("gone")
    assert (await collect(storage)).repositories >= 1
    assert await digests_in(storage) == kept.all
    assert await app.has(kept.digest)
    assert not await app.has(gone.digest)


@pytest.mark.parametrize("tag", ["a:b", "+", "a copy", "\u00fc", "new\nline", "\udcff", "x" * 255])
async def test_what_a_tag_of_an_odd_name_points_to_stays(storage: StorageDriver, app: Writer, tag: str) -> None:
    kept = await app.image("kept", tags=[tag])
    await app.image("gone")
    await collect(storage)
    assert await digests_in(storage) == kept.all


async def test_a_folder_whose_name_is_no_text_stops_nothing_in_files(tmp_path: Path) -> None:
    storage = FilesystemDriver(tmp_path)
    kept = await Writer(storage).image("kept", tags=["1"])
    odd = await Writer(storage, RepositoryName(os.fsdecode(b"\xff\xfe"))).image("odd", tags=["1"])
    await collect(storage)
    assert await digests_in(storage) == kept.all | odd.all
    await storage.close()
