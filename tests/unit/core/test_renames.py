"""Renames: one of two gets a name, nothing lasts too long, and what cannot be given back ends by itself."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from moorage.auth.access import EVERYTHING
from moorage.core import renames as module
from moorage.core.renames import Renames
from moorage.errors import DatabaseUnavailable
from moorage.gitlab_errors import RenameConflict
from moorage.metadata.base import Cause
from moorage.metadata.sql.renames import SqlRenames
from moorage.oci.names import RepositoryName
from moorage.sql.leases import Leases
from moorage.sql.sqlite.sqlite_database import SqliteDatabase
from support.in_process import schema

OLD, OTHER, NEW = (RepositoryName(f"group/{name}") for name in ("old", "other", "new"))
CAUSE = Cause("ada", "request-1")


class Stuck(SqlRenames):
    """Never gets its rows, as others hold them."""

    async def rename(self, name: RepositoryName, target: RepositoryName, *, limit: int, cause: Cause) -> int:
        del name, target, limit, cause
        await asyncio.Event().wait()
        return 0


class Kept(Leases):
    """A database that goes away when a lease should be given back."""

    async def release(self, name: str, holder: str) -> None:
        del name, holder
        msg = "away"
        raise DatabaseUnavailable(msg)


class Behind(Leases):
    """A database whose clock is an hour behind that of the node."""

    async def take(self, name: str, holder: str, ttl: timedelta) -> datetime | None:
        ends_at = await super().take(name, holder, ttl)
        return None if ends_at is None else ends_at - timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    path = tmp_path / "moorage.sqlite"
    with sqlite3.connect(path) as connection:
        for script in schema():
            connection.executescript(script)
        connection.execute("INSERT INTO top_level_namespaces (id, name, created_at) VALUES (1, 'group', 0)")
        for name in (OLD, OTHER):
            text = "INSERT INTO repositories (top_level_namespace_id, path, created_at) VALUES (1, ?, 0)"
            connection.execute(text, (name.text,))
    connection.close()
    opened = await SqliteDatabase.open(path)
    yield opened
    await opened.close()


def paths(database: SqliteDatabase) -> set[str]:
    connection = sqlite3.connect(database.path)
    found = {path for (path,) in connection.execute("SELECT path FROM repositories")}
    connection.close()
    return found


async def test_a_reserved_name_is_kept_for_who_asked_first(database: SqliteDatabase) -> None:
    renames = Renames(SqlRenames(database), Leases(database))
    ends_at = await renames.reserve(OLD, NEW, grant=EVERYTHING)
    assert timedelta(seconds=55) < ends_at - datetime.now(UTC) <= timedelta(seconds=60)
    with pytest.raises(RenameConflict):
        await renames.reserve(OTHER, NEW, grant=EVERYTHING)
    with pytest.raises(RenameConflict):
        await renames.rename(OTHER, NEW, grant=EVERYTHING, cause=CAUSE)
    assert await renames.reserve(OLD, NEW, grant=EVERYTHING) > ends_at
    await renames.rename(OLD, NEW, grant=EVERYTHING, cause=CAUSE)
    assert paths(database) == {"group/new", "group/other"}
    assert await Leases(database).holder("rename:group/new") is None


async def test_a_rename_that_takes_too_long_is_given_up(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DURATION_LIMIT_S", 0.02)
    with pytest.raises(DatabaseUnavailable):
        await Renames(Stuck(database), Leases(database)).rename(OLD, NEW, grant=EVERYTHING, cause=CAUSE)
    assert paths(database) == {"group/old", "group/other"}


async def test_a_rename_is_done_although_its_lease_cannot_be_given_back(database: SqliteDatabase) -> None:
    await Renames(SqlRenames(database), Kept(database)).rename(OLD, NEW, grant=EVERYTHING, cause=CAUSE)
    assert paths(database) == {"group/new", "group/other"}
    assert await Leases(database).holder("rename:group/new") == "group/old"


async def test_a_rename_is_done_by_a_node_whose_clock_is_ahead_of_the_databases(database: SqliteDatabase) -> None:
    await Renames(SqlRenames(database), Behind(database)).rename(OLD, NEW, grant=EVERYTHING, cause=CAUSE)
    assert paths(database) == {"group/new", "group/other"}
