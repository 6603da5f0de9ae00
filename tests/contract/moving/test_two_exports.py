"""Two exports at once: what is pushed after the switch of the one is not undone by the other."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from contract.metadata.pushing import NAME, push_image, tag_names
from contract.moving.movers import Mover
from contract.moving.test_export import database, export, layout, serving
from contract.moving.test_import import push_all_kinds
from moorage.metadata.sql.exports import SqlExports
from moorage.moving.exporting import ExportRefused
from moorage.oci.names import RepositoryName
from moorage.storage.presence import Activity, announce, others_at_work
from support.images import image

__all__ = ["database"]

NEW = RepositoryName("pushed/after/the/switch")


class Slow(SqlExports):
    """A database that is asked for its repositories while something else is done."""

    def __init__(self, mover: Mover, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(mover.sql.database)
        self._meanwhile = meanwhile

    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        if not after:
            await self._meanwhile()
        return await super().page_of_repositories(after=after, limit=limit)


async def switch_and_push(mover: Mover) -> None:
    """Switch, if that is possible, and serve the link files."""
    exported, _ = await export(mover, switches=True)
    assert exported.is_switched
    await push_image(layout(mover.links.storage), image("arm64"), "new", name=NEW)


async def test_what_is_pushed_after_a_switch_is_not_removed_by_an_export_that_began_before(database: Mover) -> None:
    await push_all_kinds(serving(database))
    refused = list[str]()

    async def meanwhile() -> None:
        try:
            await switch_and_push(database)
        except ExportRefused as exc:
            refused.append(str(exc))

    await export(database, database=Slow(database, meanwhile))
    if refused:
        assert "another import or export is at work on this storage" in refused[0]
        await switch_and_push(database)
    after = layout(database.links.storage)
    assert await tag_names(after, NEW) == ["new"]
    assert await tag_names(after, NAME) == await tag_names(serving(database), NAME)


async def test_an_export_is_at_work_until_it_has_ended_and_a_dry_run_is_not(database: Mover) -> None:
    await push_all_kinds(serving(database))
    found = list[int]()

    async def meanwhile() -> None:
        found.append(len(await others_at_work(database.links.storage, Activity.MOVING)))

    await export(database, database=Slow(database, meanwhile))
    await export(database, database=Slow(database, meanwhile), dry_run=True)
    assert found == [1, 0]
    assert await others_at_work(database.links.storage, Activity.MOVING) == []


async def test_an_export_runs_beside_a_registry_and_not_beside_another(database: Mover) -> None:
    storage = database.links.storage
    writing = await announce(storage, Activity.WRITING)
    await export(database)
    await writing.close()
    exporting = await announce(storage, Activity.MOVING)
    with pytest.raises(ExportRefused, match="another import or export is at work on this storage"):
        await export(database)
    await export(database, dry_run=True)
    await exporting.close()
