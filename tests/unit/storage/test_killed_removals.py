"""Removals of a tag that are killed between two system calls, and what the next process makes of them."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from contract.storage.conftest import temporaries_below
from moorage.errors import PathUnknown
from moorage.storage.filesystem import conditional_removal
from moorage.storage.filesystem.conditional_removal import NOTES
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

LINK = "/tags/a/current/link"

KILLED = """
    import asyncio, os, pathlib, signal, sys
    from moorage.storage.filesystem import conditional_removal
    from moorage.storage.filesystem.filesystem_driver import FilesystemDriver

    root, moved, says = pathlib.Path(sys.argv[1]), sys.argv[2], conditional_removal.says
    looks = 0

    def look(target, content):
        global looks
        looks += 1
        if looks == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        found = says(target, content)
        if moved:
            (root / "tags/a/current/link").write_text(moved)
        return found

    conditional_removal.says = look
    driver = FilesystemDriver(root)
    asyncio.run(driver.delete_saying("/tags/a", b"sha256:old", where="/tags/a/current/link"))
"""
"""Deletes what says the old digest, and dies after the folder has got its temporary name."""


def delete_and_be_killed(root: Path, *, moved: str) -> None:
    """*moved*: what a push writes between the look and the temporary name; empty: there is none."""
    (root / "tags/a/current").mkdir(parents=True)
    (root / "tags/a/current/link").write_text("sha256:old")
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(root), moved]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (root / "tags/a").exists(), "it was killed before, so nothing is shown"


async def test_a_tag_that_was_pushed_anew_is_back_after_its_deletion_was_killed(tmp_path: Path) -> None:
    delete_and_be_killed(tmp_path, moved="sha256:new")
    driver = FilesystemDriver(tmp_path)
    assert await driver.get(LINK) == b"sha256:new"
    assert temporaries_below(tmp_path) == []
    await driver.close()


async def test_what_was_pushed_after_the_kill_is_newer_than_what_comes_back(tmp_path: Path) -> None:
    delete_and_be_killed(tmp_path, moved="sha256:new")
    (tmp_path / "tags/a/current").mkdir(parents=True)
    (tmp_path / "tags/a/current/link").write_text("sha256:newest")
    driver = FilesystemDriver(tmp_path)
    assert await driver.get(LINK) == b"sha256:newest"
    assert temporaries_below(tmp_path) == []
    await driver.close()


async def test_a_tag_that_was_to_go_stays_away_and_what_is_left_of_it_goes_once_nobody_can_be_at_work(
    tmp_path: Path,
) -> None:
    delete_and_be_killed(tmp_path, moved="")
    await FilesystemDriver(tmp_path).close()
    assert temporaries_below(tmp_path) != [], "a process that is still at work would miss it"
    (note,) = (tmp_path / NOTES[1:]).iterdir()
    long_ago_s = time.time() - 7200
    os.utime(note, (long_ago_s, long_ago_s))
    driver = FilesystemDriver(tmp_path)
    with pytest.raises(PathUnknown):
        await driver.get(LINK)
    assert temporaries_below(tmp_path) == []
    await driver.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": 1}', '{"path": "/tags/a", "inside": "x", "content": "y"}'])
async def test_half_of_a_note_stops_no_start(tmp_path: Path, text: str) -> None:
    notes = tmp_path / NOTES[1:]
    notes.mkdir()
    (notes / ".~half").write_text(text)
    driver = FilesystemDriver(tmp_path)
    await driver.put(LINK, b"x")
    assert await driver.delete_saying("/tags/a", b"x", where=LINK)
    await driver.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_tag_is_removed_though_there_is_no_room_for_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    driver = FilesystemDriver(tmp_path)
    await driver.put(LINK, b"sha256:old")

    def refuse(target: str, content: bytes, *, sync: bool) -> None:
        raise OSError(number, os.strerror(number), target)

    monkeypatch.setattr(conditional_removal, "write_new", refuse)
    assert await driver.delete_saying("/tags/a", b"sha256:old", where=LINK)
    assert not (tmp_path / "tags/a").exists()
    assert temporaries_below(tmp_path) == []
    await driver.close()
