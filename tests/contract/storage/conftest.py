"""Every driver, made anew for each test, and what has to be true of it afterwards.

A new backend joins by one more entry in ``MAKERS``; what it cannot do it leaves out of its capabilities.
"""

import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from support.azurite import new_driver_on_azurite
from support.bucket import Bucket
from support.gcs_emulators import new_bucket
from support.s3_stores import new_driver, seaweed, versitygw

ROOM_BYTES = 200_000
"""How much fits into one object of a ``cramped`` driver, and as little more as makes no difference."""

FILES: dict[str, Callable[[Path], FileStorage]] = {
    "filesystem": FilesystemDriver,
    "inmemory": lambda _: MemoryDriver(),
}
MAKERS: dict[str, Callable[[Path], StorageDriver]] = {**FILES, "bucket": lambda _: Bucket()}
MAKERS |= {
    "gcs-strict": lambda _: new_bucket("strict"),
    "gcs-fake-gcs-server": lambda _: new_bucket("fake-gcs-server"),
    "gcs-gcp-storage-emulator": lambda _: new_bucket("gcp-storage-emulator"),
    "s3-seaweed": lambda _: new_driver(seaweed()),
    "s3-versitygw": lambda _: new_driver(versitygw()),
    "azure": lambda _: new_driver_on_azurite(),
}

CANNOT = {
    ("gcs-gcp-storage-emulator", "test_of_many_that_put_where_nothing_is_one_wins_whole"): "ignores preconditions",
    (
        "gcs-gcp-storage-emulator",
        "test_what_is_there_is_not_replaced_by_what_is_put_if_absent",
    ): "ignores preconditions",
    (
        "gcs-gcp-storage-emulator",
        "test_an_object_goes_on_condition_only_while_it_is_the_one_that_was_seen",
    ): "ignores preconditions",
    (
        "gcs-fake-gcs-server",
        "test_an_object_goes_on_condition_only_while_it_is_the_one_that_was_seen",
    ): "ignores preconditions of a removal",
    ("s3-versitygw", "test_an_object_that_is_gone_does_not_go_on_condition"): "says 204 of what is not there",
    ("gcs-gcp-storage-emulator", "test_of_two_requests_at_one_offset_one_is_refused"): "ignores preconditions",
    (
        "s3-versitygw",
        "test_who_comes_second_to_a_removal_is_told_that_nothing_was_there",
    ): "says 204 of what is not there",
    (
        "s3-versitygw",
        "test_puts_succeed_while_their_folder_is_being_deleted",
    ): "keeps folders on a file system: they go with the last object while another is put there, which is then refused",
    ("gcs-fake-gcs-server", "test_a_copy_of_what_is_not_there_leaves_the_old_content"): "says 500 without a source",
}
"""Facts about a vendor that an emulator gets wrong, by the test that shows them."""


@pytest.fixture(params=MAKERS)
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorageDriver]:
    """A driver with nothing in it. It fails the test that leaves a temporary or an open file behind."""
    reason = CANNOT.get((request.param, request.function.__name__))
    if reason is not None:
        pytest.skip(f"this emulator {reason}")
    made = MAKERS[request.param](tmp_path)
    yield made
    await made.close()
    assert temporaries_below(tmp_path) == []
    assert open_files_below(tmp_path) == []


@pytest.fixture(params=FILES)
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStorage]:
    """As ``driver``, one of those that have exclusive writers and rename."""
    made = FILES[request.param](tmp_path)
    yield made
    await made.close()
    assert temporaries_below(tmp_path) == []
    assert open_files_below(tmp_path) == []


@pytest.fixture(params=FILES)
def cramped(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStorage]:
    """A driver with room for little. The kernel itself cuts the file system's short."""
    if request.param == "inmemory":
        yield MemoryDriver(limit_bytes=ROOM_BYTES)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    try:
        yield FILES[request.param](tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert temporaries_below(tmp_path) == []
    assert open_files_below(tmp_path) == []


def temporaries_below(folder: Path) -> list[Path]:
    """What a driver made there for itself."""
    return [path for path in folder.rglob("*") if path.name.startswith(".")]


def open_files_below(folder: Path) -> list[str]:
    """What this process has open there, deleted files too."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(fd)  # noqa: PTH115 - not a path: it may be "pipe:[1]"
        except FileNotFoundError:  # The one that iterdir itself had.
            continue
        if target.startswith(f"{folder}/"):
            found.append(target)
    return found
