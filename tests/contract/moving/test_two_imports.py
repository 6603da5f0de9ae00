"""Two imports at once: what is deleted after the one has ended is not brought back by the other."""

from collections.abc import Awaitable, Callable

import pytest

from contract.metadata.pushing import NAME, NOBODY, push_image
from contract.moving.movers import Mover
from moorage.errors import ManifestUnknown
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.importing import ImportRefused, Step
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage import locks, paths
from moorage.storage.presence import Activity, announce, others_at_work
from support.images import image


class Slow(SqlImports):
    """A database that takes its first repository after something else was done."""

    def __init__(self, mover: Mover, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(mover.sql.database)
        self._meanwhile: Callable[[], Awaitable[None]] | None = meanwhile

    async def take_repository(self, name: RepositoryName, *, is_populated: bool) -> None:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        await super().take_repository(name, is_populated=is_populated)


async def import_and_delete(mover: Mover, digest: Digest) -> None:
    """Import all, if that is possible, serve the database, and delete an image there."""
    await mover.run()
    assert (await locks.read(mover.links.storage)).database
    await mover.sql.manifests.delete(NAME, digest, cause=NOBODY)


async def test_what_is_deleted_after_an_import_is_not_brought_back_by_a_first_step_that_began_before(
    mover: Mover,
) -> None:
    digest = await push_image(mover.links, image("a"), "a")
    refused = list[str]()

    async def meanwhile() -> None:
        try:
            await import_and_delete(mover, digest)
        except ImportRefused as exc:
            refused.append(str(exc))

    work, _ = mover.work(Step.PRE_IMPORT, database=Slow(mover, meanwhile))
    await work.run()
    if refused:
        assert "another import or export is at work on this storage" in refused[0]
        await import_and_delete(mover, digest)
    with pytest.raises(ManifestUnknown):
        await mover.sql.manifests.find(NAME, digest)
    assert not await mover.links.storage.exists(paths.IMPORT)
    assert await others_at_work(mover.links.storage, Activity.MOVING) == []


async def test_an_import_waits_for_an_export(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    exporting = await announce(mover.links.storage, Activity.MOVING)
    with pytest.raises(ImportRefused, match="another import or export is at work on this storage"):
        await mover.run(Step.PRE_IMPORT)
    await mover.run(Step.PRE_IMPORT, dry_run=True)
    await exporting.close()
