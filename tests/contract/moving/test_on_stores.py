"""Images in the link files of each vendor's service are taken into a database, and written as link files there."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.metadata.stores import sqlite_opener
from contract.moving.movers import Mover, everything, link_files
from contract.moving.test_export import export, layout, pushed_to_link_files, serving
from contract.moving.test_import import push_all_kinds
from moorage.storage import identity, locks
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Lock
from support.azurite import new_driver_on_azurite
from support.gcs_emulators import new_bucket
from support.s3_stores import new_driver, versitygw

SERVICES: dict[str, Callable[[], StorageDriver]] = {
    "s3": lambda: new_driver(versitygw()),
    "gcs": lambda: new_bucket("strict"),
    "azure": new_driver_on_azurite,
}


@pytest.fixture(params=SERVICES)
async def mover(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mover]:
    """A database beside an empty place at a service."""
    (tmp_path / "pushed").mkdir()
    storage = SERVICES[request.param]()
    async with sqlite_opener(tmp_path)() as sql, sqlite_opener(tmp_path / "pushed")() as other:
        yield Mover(layout(storage), sql, other)
    await storage.close()


async def test_link_files_at_a_service_are_taken_over_as_if_they_had_been_pushed(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    outcome = await mover.run()
    await push_all_kinds(mover.pushed)
    assert await everything(mover.sql) == await everything(mover.pushed)
    assert outcome.left_out.first == []


async def test_the_link_files_that_are_written_at_a_service_are_those_of_pushes(mover: Mover) -> None:
    await locks.write(mover.links.storage, Lock.DATABASE)
    await identity.write(mover.links.storage, "a database")
    await push_all_kinds(serving(mover))
    exported, outcome = await export(mover, verifies=True)
    wanted = {path: text for path, text in (await pushed_to_link_files()).items() if "/deleted/" not in path}
    assert await link_files(mover.links) == wanted
    assert exported.verified is not None
    assert (exported.verified.counts.changes, outcome.left_out.first) == (0, [])
