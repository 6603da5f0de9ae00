"""A database whose file somebody moves, removes or replaces while it is open: nothing is acknowledged that is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.errors import DatabaseUnavailable
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from unit.sql.sqlite_files import PUT, ids, opened


def replace_by_a_copy(path: Path) -> None:
    """As somebody does who brings back a backup and does not stop the registry."""
    shutil.copy(path, path.with_suffix(".copy"))
    path.rename(path.with_suffix(".was"))
    path.with_suffix(".copy").rename(path)


@pytest.mark.parametrize(
    "take_away", [lambda path: path.rename(path.with_suffix(".was")), Path.unlink, replace_by_a_copy]
)
async def test_what_would_be_written_to_a_file_that_was_taken_away_is_refused(
    tmp_path: Path, take_away: Callable[[Path], object]
) -> None:
    path = tmp_path / "t.sqlite"
    async with opened(path) as database:
        await database.write(PUT, 1)
        assert await ids(database) == [1]
        take_away(path)
        with pytest.raises(DatabaseUnavailable, match=r"t\.sqlite is not the file that was opened"):
            await database.write(PUT, 2)
        with pytest.raises(DatabaseUnavailable):
            await database.ping()


async def test_a_database_goes_on_once_its_file_is_back(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    async with opened(path) as database:
        path.rename(tmp_path / "away")
        with pytest.raises(DatabaseUnavailable):
            await database.write(PUT, 1)
        (tmp_path / "away").rename(path)
        await database.write(PUT, 2)
    reopened = await SqliteDatabase.open(path)
    assert await ids(reopened) == [2]
    await reopened.close()
