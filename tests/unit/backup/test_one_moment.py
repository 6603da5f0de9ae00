"""Groups that are renamed, made and deleted while both databases are copied: images and projects stay together."""

import asyncio
import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.backup import one_moment
from moorage.backup.backing_up import MadeBackup, make_backup
from moorage.backup.backup_folder import BackupFolder, BackupRefused
from moorage.backup.places import read_places, read_targets
from moorage.backup.restoring import restore
from moorage.backup.sqlite_copies import SqliteSnapshot, sqlite_snapshot
from moorage.metadata.schema.schema_version import migrate_sqlite
from moorage.work.reports import WorkReports
from unit.backup.test_backups import write_config

SECRET = "a-secret-of-tests-that-is-long-enough"


def done(file: Path, *statements: str, values: tuple[str, ...] = ()) -> list[str]:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in statements:
            found = [str(row[0]) for row in connection.execute(statement, values)]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry and a control plane, with as much of their tables as a backup looks at."""
    write_config(tmp_path, "sqlite")
    (tmp_path / "storage").mkdir()
    migrate_sqlite(tmp_path / "moorage.db")
    database = {"sqlite": str(tmp_path / "control.db")}
    (tmp_path / "control.yml").write_text(json.dumps({"secret": SECRET, "log": "text", "database": database}))
    done(tmp_path / "moorage.db", "INSERT INTO top_level_namespaces (id, name, created_at) VALUES (1, 'old', 0)")
    done(
        tmp_path / "control.db",
        "PRAGMA journal_mode = wal",
        "CREATE TABLE django_migrations (app, name)",
        "CREATE TABLE namespaces_takenpath (path TEXT PRIMARY KEY)",
    )
    made_at(tmp_path, "old")
    return tmp_path


INSERT = "INSERT INTO repositories (top_level_namespace_id, path, created_at) VALUES (1, ?, 0)"


def took(folder: Path, path: str) -> None:
    done(folder / "control.db", "INSERT INTO namespaces_takenpath VALUES (?)", values=(path,))


def freed(folder: Path, path: str) -> None:
    done(folder / "control.db", "DELETE FROM namespaces_takenpath WHERE path = ?", values=(path,))


def made_at(folder: Path, path: str) -> None:
    """A group with a project is made, and pushed to."""
    took(folder, path)
    done(folder / "moorage.db", INSERT, values=(path,))


def moved(folder: Path, old: str, new: str) -> None:
    """A group is moved with its images, by the steps of the control plane."""
    took(folder, new)
    done(folder / "moorage.db", "UPDATE repositories SET path = ? WHERE path = ?", values=(new, old))
    freed(folder, old)


def deleted_at(folder: Path, path: str) -> None:
    """A group is deleted, its images first."""
    done(folder / "moorage.db", "DELETE FROM repositories WHERE path = ?", values=(path,))
    freed(folder, path)


def backed_up(folder: Path) -> MadeBackup:
    places = read_places(folder / "config.yml", None)
    return asyncio.run(make_backup(places, BackupFolder(folder / "b"), with_blobs=None, reports=WorkReports()))


def both(made: MadeBackup) -> tuple[list[str], list[str]]:
    """The paths that the two copies have."""
    of_control = done(made.backup.control_sqlite, "SELECT path FROM namespaces_takenpath ORDER BY path")
    return of_control, done(made.backup.registry_sqlite, "SELECT path FROM repositories ORDER BY path")


CHANGES = {
    "moved": lambda folder: moved(folder, "old", "new"),
    "made": lambda folder: made_at(folder, "new"),
    "deleted": lambda folder: deleted_at(folder, "old"),
}


@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("opened", ["control.db", "moorage.db"])
def test_what_changes_its_path_right_after_one_of_the_two_was_opened_is_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str, opened: str
) -> None:
    changes = [change]

    @contextlib.contextmanager
    def hooked(source: Path) -> Iterator[SqliteSnapshot]:
        with sqlite_snapshot(source) as snapshot:
            if source.name == opened and changes:
                CHANGES[changes.pop()](folder)
            yield snapshot

    monkeypatch.setattr(one_moment, "sqlite_snapshot", hooked)
    of_control, of_registry = both(backed_up(folder))
    assert not changes
    assert of_control == of_registry


def test_what_changes_while_a_database_is_copied_is_in_none_of_the_two(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = SqliteSnapshot._copy

    def hooked(self: SqliteSnapshot, target: Path) -> None:
        copy(self, target)
        if target.name == "control.db":
            moved(folder, "old", "new")

    monkeypatch.setattr(SqliteSnapshot, "_copy", hooked)
    assert both(backed_up(folder)) == (["old"], ["old"])
    assert done(folder / "moorage.db", "SELECT path FROM repositories") == ["new"]


def test_paths_that_change_all_the_time_end_a_backup_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()

    @contextlib.contextmanager
    def hooked(source: Path) -> Iterator[SqliteSnapshot]:
        with sqlite_snapshot(source) as snapshot:
            if source.name == "moorage.db":
                made_at(folder, f"new-{next(numbers)}")
            yield snapshot

    monkeypatch.setattr(one_moment, "sqlite_snapshot", hooked)
    monkeypatch.setattr(one_moment, "_PAUSE_S", 0)
    with pytest.raises(BackupRefused, match="no moment was found for both databases; give the command again"):
        backed_up(folder)


def test_one_file_for_both_databases_is_refused_before_one_is_written_over_the_other(folder: Path) -> None:
    made, after = backed_up(folder), folder / "after"
    config = write_config(after, "sqlite")
    database = {"sqlite": str(after / "storage" / ".." / "moorage.db")}
    (after / "control.yml").write_text(json.dumps({"secret": SECRET, "log": "text", "database": database}))
    places = read_targets(config, None)
    with pytest.raises(BackupRefused, match=r"registry and control plane are in one database, .*moorage\.db"):
        asyncio.run(restore(BackupFolder(folder / "b"), made.backup, places, record=made.record, reports=WorkReports()))
    assert not (after / "moorage.db").exists()
