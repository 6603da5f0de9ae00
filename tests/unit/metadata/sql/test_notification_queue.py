"""Migration 0006 on a database that is in use: pushes before it, after it, and after the way back."""

from collections.abc import Sequence

from contract.metadata.pushing import NAME, NOBODY
from moorage.metadata.base import Cause
from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import CHAINS
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.sql.manifests import SqlManifests
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import Tag
from moorage.sql.base import NamedQuery
from moorage.sql.database_place import DatabasePlace
from support.announcing import told_cause
from support.images import image
from support.migrations import rows, using

_ALL = "DELETE FROM notification_queue"
DELETE = NamedQuery("forget", _ALL, _ALL)


async def push(where: DatabasePlace, seed: str, cause: Cause) -> None:
    content = image(seed).manifest
    manifest = parse(content.body, content.media_type)
    stored = StoredManifest(Digest.of(content.body), manifest.media_type, content.body)
    async with using(where) as database:
        await SqlManifests(database).put(NAME, stored, manifest, tags=[Tag(seed)], cause=cause)


async def waiting(where: DatabasePlace) -> Sequence[int]:
    return [row[0] for row in await rows(where, "SELECT id FROM notification_queue ORDER BY id")]


async def go_back(where: DatabasePlace) -> None:
    """To the schema before it."""
    behind = Wish(pre=len(CHAINS.pre.migrations) - 5)
    await migrator.down(where, await migrator.planned_down(where, behind))


async def test_a_database_in_use_gets_the_queue_and_goes_on_without_it(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    await go_back(where)
    await push(where, "before", NOBODY)
    await migrator.up(where, Wish())
    assert await waiting(where) == []
    await push(where, "told", told_cause())
    assert len(await waiting(where)) == 1
    await go_back(where)
    await push(where, "untold", NOBODY)
    await migrator.up(where, Wish())
    assert await waiting(where) == []


async def test_a_row_that_comes_later_has_a_higher_id_though_all_before_it_are_gone(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    await push(where, "first", told_cause())
    (first,) = await waiting(where)
    async with using(where) as database:
        await database.write(DELETE)
    await push(where, "second", told_cause())
    (second,) = await waiting(where)
    assert second > first
