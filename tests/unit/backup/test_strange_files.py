"""Strange files in the folder of backups, and blobs that the disk has changed since."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.backup.backing_up import MadeBackup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.backup_record import read_record
from moorage.backup.places import read_targets
from moorage.backup.restoring import restore
from unit.backup.test_backups import NOBODY, Site, backups, blob_of, make, site, store, tried, write_config

__all__ = ["backups", "site", "store"]

DEADLINE_S = 60.0


def ended(work: Callable[[], None]) -> bool:
    """Do *work* in a process of its own, which is ended if it waits for a pipe; return whether it came to its end."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(DEADLINE_S)
    if process.exitcode is None:
        process.kill()
        process.join()
    return process.exitcode == 0


def made_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("place", ["record", "list", "registry", "blob"])
def test_a_pipe_in_a_backup_is_said_and_not_waited_for(
    *, site: Site, backups: BackupFolder, tmp_path: Path, store: str, place: str
) -> None:
    made, digest = make(site, backups), blob_of(site)
    registry = made.backup.registry_sqlite if store == "sqlite" else made.backup.links
    places = {
        "record": made.backup.record,
        "list": made.backup.blob_list,
        "registry": registry,
        "blob": backups.blob(digest),
    }
    made_a_pipe(places[place])
    config = write_config(tmp_path / "after", store)

    def use() -> None:
        if place == "record":
            with pytest.raises(BackupRefused, match="cannot be read: it is not a file"):
                read_record(made.backup.record)
            return
        problems = tried(made, backups).problems
        assert "cannot be read in the backup: it is not a file" in problems.first[0]
        targets = read_targets(config, None)
        if place != "blob":
            with pytest.raises(BackupRefused, match="it is not a file"):
                asyncio.run(restore(backups, made.backup, targets, record=made.record, reports=NOBODY))
            return
        done = asyncio.run(restore(backups, made.backup, targets, record=made.record, reports=NOBODY))
        assert done.problems.first == [f"{digest} cannot be read in the backup: it is not a file"]

    assert ended(use)


def spoiled(path: Path, content: Callable[[bytes], bytes]) -> None:
    path.write_bytes(content(path.read_bytes()))


@pytest.mark.parametrize("content", [lambda old: bytes(len(old)), lambda old: old[:-1]])
def test_a_blob_that_a_trial_found_damaged_is_copied_again_by_the_next_backup(
    site: Site, backups: BackupFolder, content: Callable[[bytes], bytes]
) -> None:
    first, digest = make(site, backups), blob_of(site)
    spoiled(backups.blob(digest), content)
    (said,) = tried(first, backups).problems.first
    assert said.startswith(f"{digest} is damaged in the backup: its bytes are others")
    assert said.endswith("the next backup copies it again")
    second: MadeBackup = make(site, backups)
    assert second.record.blobs.copied == 1
    assert tried(second, backups).problems.first == []
    assert tried(first, backups).problems.first == []


@pytest.mark.parametrize("name", ["partial", "unfinished"])
def test_a_folder_of_somebody_else_that_has_one_of_our_names_is_not_emptied(
    site: Site, backups: BackupFolder, name: str
) -> None:
    theirs = backups.path / name / "work"
    theirs.mkdir(parents=True)
    with pytest.raises(BackupRefused, match=f"has {name}, which no backup has made; name a folder of its own"):
        make(site, backups)
    assert theirs.is_dir()
    (backups.path / name).rename(backups.path / "lost+found")
    assert make(site, backups).record.problems == []
