"""Databases that somebody begins to use while a restore copies blobs, which takes hours: they are not written over."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import BinaryIO

import pytest

from moorage.backup.backup_folder import BackupBlob, BackupFolder, BackupRefused
from moorage.backup.blob_copies import BlobsBack
from moorage.backup.places import read_targets
from moorage.backup.restoring import Restored, restore
from moorage.backup.sqlite_copies import put_sqlite
from unit.backup.test_backups import NOBODY, write_config
from unit.backup.test_one_moment import SECRET, backed_up, done, folder

__all__ = ["folder"]


def targets(after: Path) -> Path:
    config = write_config(after, "sqlite")
    database = {"sqlite": str(after / "control.db")}
    (after / "control.yml").write_text(json.dumps({"secret": SECRET, "log": "text", "database": database}))
    return config


@pytest.fixture
def a_blob(folder: Path) -> None:
    """The registry knows a blob, which its storage has lost."""
    key = b"\x01" + bytes(32)
    with contextlib.closing(sqlite3.connect(folder / "moorage.db", isolation_level=None)) as connection:
        insert = "INSERT INTO blobs (digest, size, created_at) VALUES (?, 1, 0)"
        connection.execute(insert, [key])


@pytest.mark.usefixtures("a_blob")
@pytest.mark.parametrize("name", ["control.db", "moorage.db"])
def test_what_has_come_meanwhile_is_not_written_over(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made, after = backed_up(folder), tmp_path / "after"
    config, copy = targets(after), BlobsBack.copy

    def brought_back() -> Restored:
        places = read_targets(config, None)
        return asyncio.run(restore(BackupFolder(folder / "b"), made.backup, places, record=made.record, reports=NOBODY))

    async def copied(self: BlobsBack, blob: BackupBlob) -> None:
        done(after / name, "CREATE TABLE others (name)", "INSERT INTO others VALUES ('ada')")
        await copy(self, blob)

    with monkeypatch.context() as patch:
        patch.setattr(BlobsBack, "copy", copied)
        with pytest.raises(BackupRefused, match=f"{name} is not empty"):
            brought_back()
    with pytest.raises(BackupRefused, match=f"{name} is not empty"):
        brought_back()
    assert done(after / name, "SELECT name FROM others") == ["ada"]
    (after / name).rename(after / "moved-away.db")
    brought_back()
    assert done(after / "control.db", "SELECT path FROM namespaces_takenpath") == ["old"]
    assert done(after / "moorage.db", "SELECT path FROM repositories") == ["old"]


def test_what_comes_while_a_database_is_copied_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, copy = tmp_path / "backup.db", tmp_path / "control.db", shutil.copyfileobj
    done(source, "CREATE TABLE ours (name)")

    def copied(reader: BinaryIO, writer: BinaryIO, length: int) -> None:
        done(target, "CREATE TABLE others (name)", "INSERT INTO others VALUES ('ada')")
        copy(reader, writer, length)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    with pytest.raises(BackupRefused, match=r"control\.db is not empty"):
        put_sqlite(source, target)
    assert done(target, "SELECT name FROM others") == ["ada"]
    assert sorted(tmp_path.iterdir()) == [source, target]
