"""Files of databases: nobody but their owner reads them, unless their administrator said so."""

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from moorage.private_files import make_private


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_file_is_private(tmp_path: Path) -> None:
    make_private(tmp_path / "moorage.db")
    assert mode_of(tmp_path / "moorage.db") == 0o600


@pytest.mark.parametrize(("before", "after"), [(0o644, 0o600), (0o666, 0o600), (0o640, 0o640), (0o600, 0o600)])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
def test_a_file_that_everybody_can_read_becomes_private(tmp_path: Path, suffix: str, before: int, after: int) -> None:
    path = tmp_path / f"moorage.db{suffix}"
    path.touch()
    path.chmod(before)
    make_private(tmp_path / "moorage.db")
    assert mode_of(path) == after


def test_the_locks_that_this_process_has_on_a_database_are_kept(tmp_path: Path) -> None:
    """POSIX ends all locks of a process on a file when it closes any descriptor of the file."""
    path = tmp_path / "moorage.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
        connection.execute("BEGIN EXCLUSIVE")
        make_private(path)
        script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM things')"
        command = [sys.executable, "-c", script, str(path)]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert "database is locked" in found.stderr


def test_a_database_without_a_file_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_private(Path(":memory:"))
    assert not list(tmp_path.iterdir())
