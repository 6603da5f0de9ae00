"""Folders of backups that somebody else has written to, or whose configuration names places elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.backup.backing_up import MadeBackup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.backup_record import BackupRecord, read_record, record_of, write_record
from moorage.backup.files_back import put_files_back
from unit.backup.test_backups import Site, backups, make, site

__all__ = ["backups", "site"]

pytestmark = pytest.mark.parametrize("site", ["sqlite"], indirect=True)


def with_kept(record: BackupRecord, **changed: str) -> BackupRecord:
    """The record with another file of configuration besides."""
    fields = {"key": "http.tls.key", "was": f"{record.folder}/key.pem", "file": "files/00-config.yml"}
    more = type(record.kept[0])(**fields | changed)
    return record.model_copy(update={"kept": [*record.kept, more]})


def with_file(record: BackupRecord, name: str) -> BackupRecord:
    files = dict(record.files)
    return record.model_copy(update={"files": files | {name: next(iter(files.values()))}})


@pytest.mark.parametrize(
    "change",
    [
        lambda record: with_kept(record, file="files/../../outside"),
        lambda record: with_kept(record, file="/etc/passwd"),
        lambda record: with_file(record, "../outside"),
        lambda record: with_file(record, "/etc/passwd"),
    ],
)
def test_a_record_whose_names_lead_out_of_their_folder_is_refused(
    site: Site, backups: BackupFolder, change: Callable[[BackupRecord], BackupRecord]
) -> None:
    made = make(site, backups)
    write_record(made.backup.record, change(made.record))
    with pytest.raises(BackupRefused, match="leads out of"):
        read_record(made.backup.record)


def put_back(made: MadeBackup, folder: Path) -> None:
    put_files_back(made.backup, read_record(made.backup.record), folder)


@pytest.mark.parametrize("was", ["{folder}/../outside/cron", "/etc/cron.d/moorage"])
def test_a_file_that_was_elsewhere_is_not_put_beside_the_folder(
    site: Site, backups: BackupFolder, tmp_path: Path, was: str
) -> None:
    made = make(site, backups)
    write_record(made.backup.record, with_kept(made.record, was=was.format(folder=made.record.folder)))
    with pytest.raises(BackupRefused, match="files in several places"):
        put_back(made, tmp_path / "after")
    assert not (tmp_path / "outside").exists()


def test_a_key_beside_the_folder_of_the_configuration_is_not_taken_for_one_in_it(
    site: Site, backups: BackupFolder, tmp_path: Path
) -> None:
    beside = site.folder.parent / "beside"
    beside.mkdir(exist_ok=True)
    (beside / "users").write_text("ada:$2y$05$" + "a" * 53)
    whole = site.config.read_text()
    named = f'{{"auth": {{"htpasswd": {{"realm": "r", "path": "{site.folder}/../beside/users"}}}}, {whole[1:]}'
    site.config.write_text(named)
    try:
        made = make(site, backups)
    finally:
        site.config.write_text(whole)
    with pytest.raises(BackupRefused, match="files in several places"):
        put_back(made, tmp_path / "after")
    assert not (tmp_path / "beside").exists()


def test_a_configuration_that_names_a_place_elsewhere_is_not_restored_into_a_folder(
    site: Site, backups: BackupFolder, tmp_path: Path
) -> None:
    made, elsewhere = make(site, backups), tmp_path / "elsewhere"
    file = made.backup.path / made.record.kept[0].file
    file.write_text(file.read_text().replace(f"{site.folder}/storage", str(elsewhere)))
    files = made.record.files | {made.record.kept[0].file: record_of(file)}
    write_record(made.backup.record, made.record.model_copy(update={"files": files}))
    with pytest.raises(BackupRefused, match=f"names {elsewhere}, which is not in"):
        put_back(made, tmp_path / "after")
    assert not elsewhere.exists()


def test_a_damaged_configuration_is_said_before_it_is_put_back(
    site: Site, backups: BackupFolder, tmp_path: Path
) -> None:
    made = make(site, backups)
    (made.backup.path / made.record.kept[0].file).write_text("version: 0.1")
    with pytest.raises(BackupRefused, match="this backup is damaged"):
        put_back(made, tmp_path / "after")
    assert not (tmp_path / "after").exists()
