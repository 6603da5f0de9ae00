"""Files of databases: nobody but their owner reads them, unless their administrator said so."""

from pathlib import Path

import pytest

from moorage.sql.private_files import make_private


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
