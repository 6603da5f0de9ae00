"""A database whose file somebody moves, removes or replaces while it is open: nothing is acknowledged that is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.errors import DatabaseUnavailable
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from unit.sql.sqlite_files import IDS, PUT, ids, opened


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


@pytest.mark.parametrize("instead", ["nothing", "an empty file", "another database"])
async def test_a_heavy_read_makes_no_file_in_the_place_of_one_that_is_away_and_reads_no_other(
    tmp_path: Path, instead: str
) -> None:
    path, away = tmp_path / "t.sqlite", tmp_path / "away"
    async with opened(tmp_path / "other.sqlite") as other:
        await other.write(PUT, 2)
    async with opened(path) as database:
        await database.write(PUT, 1)
        path.rename(away)
        if instead == "an empty file":
            path.touch()
        elif instead == "another database":
            shutil.copy(tmp_path / "other.sqlite", path)
        before = path.read_bytes() if path.exists() else None
        with pytest.raises(DatabaseUnavailable):
            await database.all(IDS, heavy=True)
        assert (path.read_bytes() if path.exists() else None) == before
        away.rename(path)
        assert await database.all(IDS, heavy=True) == [(1,)]


@pytest.mark.parametrize("instead", ["nothing", "no folder"])
async def test_a_server_makes_no_file_in_the_place_of_one_that_is_away(tmp_path: Path, instead: str) -> None:
    path = tmp_path / ("t.sqlite" if instead == "nothing" else "no folder/t.sqlite")
    with pytest.raises(DatabaseUnavailable, match="the database cannot be used"):
        await SqliteDatabase.open(path, keeps_reserve=True)
    assert not path.exists()
