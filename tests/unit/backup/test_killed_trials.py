"""Trials of a backup that are killed, or made where little can be done: nothing is left, and what was found is said."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPResponse
from pathlib import Path

import pytest

from moorage.backup import scratch_registry
from moorage.backup.backup_folder import BackupFolder
from moorage.backup.scratch_folders import scratch_folder
from unit.backup.test_backups import Site, backups, blob_of, make, site, store, tried

__all__ = ["backups", "site", "store"]

DEADLINE_S = 60.0
LONG_AGO = 3600
WAITS = "import sys, time\nprint(made, flush=True)\ntime.sleep(600)"
HOLDS = f"""
from pathlib import Path
from moorage.backup.scratch_folders import scratch_folder
with scratch_folder(".verify-", within=Path({{folder!r}})) as made:
    {WAITS.replace(chr(10), chr(10) + "    ")}
"""
SERVES = f"""
from pathlib import Path
from moorage.backup.scratch_registry import ScratchRegistry
with ScratchRegistry(Path({{folder!r}}), {{{{"enabled": False}}}}) as registry:
    made = registry._process.pid
    {WAITS.replace(chr(10), chr(10) + "    ")}
"""


def killed_when_ready(code: str) -> str:
    """Run *code* until it has said something, and kill it; return what it said."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        return process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)


def comes_true(claim: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def aged(path: Path) -> None:
    moment = path.stat().st_mtime - LONG_AGO
    os.utime(path, (moment, moment))


def test_the_registry_of_a_trial_ends_with_it_also_if_it_is_killed(tmp_path: Path) -> None:
    process = int(killed_when_ready(SERVES.format(folder=str(tmp_path))))
    try:
        assert comes_true(lambda: is_gone(process))
    finally:
        if not is_gone(process):
            os.kill(process, signal.SIGKILL)


def test_what_a_killed_trial_has_left_goes_with_the_next_one(tmp_path: Path) -> None:
    left = Path(killed_when_ready(HOLDS.format(folder=str(tmp_path))))
    (left / "storage").mkdir()
    (left / "storage" / "data").touch()
    aged(left)
    with scratch_folder(".verify-", within=tmp_path) as used:
        assert list(tmp_path.iterdir()) == [used]
        aged(used)
        with scratch_folder(".verify-", within=tmp_path) as other:
            assert sorted(tmp_path.iterdir()) == sorted([used, other]), "one that is in use stays"
    assert list(tmp_path.iterdir()) == []


def test_a_trial_removes_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    elsewhere, similar = tmp_path / "elsewhere", tmp_path / ".verify-by-hand"
    for folder in (elsewhere, similar):
        folder.mkdir()
        aged(folder)
    (tmp_path / ".verify-12345678").symlink_to(elsewhere)
    with scratch_folder(".verify-", within=tmp_path):
        pass
    assert elsewhere.is_dir()
    assert similar.is_dir()


def no_link(*_: object, **__: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_without_hard_links_a_trial_takes_no_more_room(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(site, backups)
    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr("shutil.copyfile", no_link)
    report = tried(made, backups, sample=3)
    assert (report.problems.first, report.images) == ([], 3)
    assert report.pulled_blobs >= 6


def test_a_folder_that_can_only_be_read_is_tried_from_elsewhere(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, access = make(site, backups), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    before = sorted(backups.path.iterdir())
    inside = backups.path.stat().st_mtime_ns
    report = tried(made, backups, sample=3)
    assert (report.problems.first, report.images) == ([], 3)
    assert (sorted(backups.path.iterdir()), backups.path.stat().st_mtime_ns) == (before, inside)


def test_a_disk_that_is_full_takes_nothing_from_what_was_found(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, digest = make(site, backups), blob_of(site)
    backups.blob(digest).unlink()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    found = tried(made, backups, sample=3).problems.first
    assert found[0] == f"{digest} is missing in the backup"
    assert found[1] == "it could not be tried any further: [Errno 28] No space left on device"


def test_a_pull_that_breaks_off_is_said_and_the_others_are_made(
    site: Site, backups: BackupFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, read = make(site, backups), HTTPResponse.read
    broken: list[object] = []

    def breaking(self: HTTPResponse, amount: int | None = None) -> bytes:
        if amount == vars(scratch_registry)["_CHUNK_BYTES"] and not broken:
            broken.append(self)
            raise http.client.IncompleteRead(read(self, 1))
        return read(self, amount)

    monkeypatch.setattr(HTTPResponse, "read", breaking)
    report = tried(made, backups, sample=3)
    assert (report.images, report.problems.count) == (3, 1)
    assert "IncompleteRead" in report.problems.first[0]
