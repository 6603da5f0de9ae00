"""Names of backups: the newest one is the last one made, whatever the clock has said."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.backup.backup_folder import BackupFolder, OneBackup

NOW = datetime(2026, 11, 29, 17, tzinfo=UTC)
NAME = "20261129T170000Z"


@pytest.fixture
def folder(tmp_path: Path) -> BackupFolder:
    return BackupFolder(tmp_path)


def made(folder: BackupFolder, at: datetime) -> str:
    one = OneBackup(folder.path / folder.new_name(at))
    one.path.mkdir()
    one.record.touch()
    return one.path.name


def test_the_last_of_many_in_one_second_is_the_newest(folder: BackupFolder) -> None:
    names = [made(folder, NOW) for _ in range(12)]
    assert names == [NAME, *(f"{NAME}-{number}" for number in range(2, 13))]
    assert folder.names() == names
    assert folder.chosen().path.name == f"{NAME}-12"


def test_after_the_clock_was_set_back_the_newest_is_still_the_last_one_made(folder: BackupFolder) -> None:
    first = made(folder, NOW)
    second = made(folder, NOW - timedelta(days=400))
    third = made(folder, NOW - timedelta(days=399))
    assert folder.names() == [first, second, third]
    assert folder.chosen().path == folder.path / third
    later = made(folder, NOW + timedelta(seconds=1))
    assert (folder.chosen().path.name, later) == ("20261129T170001Z", "20261129T170001Z")


def test_what_only_has_such_a_name_is_no_backup_and_keeps_its_name(folder: BackupFolder) -> None:
    for name in (NAME, f"{NAME}-7"):
        (folder.path / name).mkdir()
    (folder.path / "20991231T000000Z.old").mkdir()
    assert folder.names() == []
    assert made(folder, NOW) == f"{NAME}-8"
    assert folder.names() == [f"{NAME}-8"]
