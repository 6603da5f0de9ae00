"""What is neither a file nor a folder has no bytes, holds nobody up and hides nothing beside it."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from moorage.errors import PathUnknown, StorageUnavailable
from moorage.storage.base import FolderEntry
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.filesystem.opening import open_to_read
from moorage.storage.walk import lies_at
from support.odd_files import ODD_FILES

OF_EACH_KIND = pytest.mark.parametrize("kind", ODD_FILES)
READING: list[Callable[[FilesystemDriver], Awaitable[object]]] = [
    lambda driver: driver.get("/odd"),
    lambda driver: driver.stat("/odd"),
    lambda driver: driver.open("/odd"),
    lambda driver: driver.list("/odd"),
    lambda driver: driver.open_writer("/odd", append=True),
]


@OF_EACH_KIND
async def test_there_is_nothing_to_read_and_nobody_waits_for_it(
    kind: str, driver: FilesystemDriver, tmp_path: Path
) -> None:
    ODD_FILES[kind](tmp_path / "odd")
    for read in READING:
        with pytest.raises((PathUnknown, StorageUnavailable) if read is READING[-1] else PathUnknown):
            await read(driver)


@OF_EACH_KIND
async def test_of_many_it_is_the_only_one_that_is_missing(kind: str, driver: FilesystemDriver, tmp_path: Path) -> None:
    ODD_FILES[kind](tmp_path / "odd")
    (tmp_path / "fine").write_bytes(b"x")
    assert [stat is not None for stat in await driver.stat_each(["/odd", "/fine"])] == [False, True]
    assert await driver.get_each(["/odd", "/fine"], lambda _, content: content) == [None, b"x"]


@OF_EACH_KIND
async def test_a_list_names_it_and_a_push_replaces_it(kind: str, driver: FilesystemDriver, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    ODD_FILES[kind](tmp_path / "a/odd")
    assert await driver.list("/a") == [FolderEntry("odd", is_folder=False)]
    assert [await lies_at(driver, path) for path in ("/a/odd", "/a/odd/b/c", "/a/b", "/b/c")] == [
        True,
        True,
        False,
        False,
    ]
    await driver.put("/a/odd", b"new")
    assert await driver.get("/a/odd") == b"new"


async def test_a_pipe_with_a_writer_that_says_nothing_holds_nobody_up(driver: FilesystemDriver, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "odd")
    writer = os.open(tmp_path / "odd", os.O_RDWR)
    try:
        with pytest.raises(PathUnknown):
            await driver.get("/odd")
    finally:
        os.close(writer)


def test_a_file_that_somebody_has_a_lease_on_is_opened_once_it_is_given_back(tmp_path: Path) -> None:
    target = tmp_path / "leased"
    target.write_bytes(b"x")
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(target)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        fd = open_to_read(str(target))
        assert os.read(fd, 9) == b"x"
        os.close(fd)
        assert holder.stdout.readline() == b"was asked for it\n"


_HOLDER = """
import fcntl, os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
held = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
signal.sigwait([signal.SIGIO])
print("was asked for it", flush=True)
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
"""
"""As a file server does that lets a client keep a file to itself."""


async def test_a_link_to_a_folder_above_it_is_no_folder_and_one_to_a_folder_elsewhere_is(
    driver: FilesystemDriver, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name, target in (("itself", folder), ("above", tmp_path / "a"), ("root", "/"), ("far", tmp_path / "elsewhere")):
        (folder / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    assert await driver.list("/a/b") == [
        FolderEntry("above", is_folder=False),
        FolderEntry("far", is_folder=True),
        FolderEntry("itself", is_folder=False),
        FolderEntry("root", is_folder=False),
    ]
    assert await driver.list("/a/b/far") == [FolderEntry("back", is_folder=False)]
    assert await driver.list("/elsewhere") == [FolderEntry("back", is_folder=True)]
