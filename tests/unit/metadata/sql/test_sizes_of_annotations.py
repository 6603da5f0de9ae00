"""Migration 0005 on a database that is in use: rows that come, rows that are there, and the way back."""

from collections.abc import Sequence
from pathlib import Path

from contract.metadata.pushing import NAME, NOBODY
from moorage.metadata.schema import migrator
from moorage.metadata.schema.chains import CHAINS
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.sql.manifests import SqlManifests
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.sql.database_place import DatabasePlace
from support.images import Content, artifact, image
from support.migrations import rows, using

TEXT = "ü" * 3000
SUBJECT = image("subject").manifest


def referrer(seed: str) -> Content:
    return artifact(seed, SUBJECT, artifact_type="a/b", annotations={"text": TEXT}).manifest


async def push(where: DatabasePlace, contents: Sequence[Content]) -> None:
    async with using(where) as database:
        store = SqlManifests(database)
        for content in contents:
            manifest = parse(content.body, content.media_type)
            stored = StoredManifest(Digest.of(content.body), manifest.media_type, content.body)
            await store.put(NAME, stored, manifest, tags=[], cause=NOBODY)


async def go_back(where: DatabasePlace) -> None:
    """To the schema before it."""
    behind = Wish(pre=len(CHAINS.pre.migrations) - 4)
    await migrator.down(where, await migrator.planned_down(where, behind))


async def sizes(where: DatabasePlace) -> list[tuple[int | None, int | None]]:
    found = await rows(where, "SELECT annotations_size, length(annotations) FROM manifests ORDER BY id")
    return [(row[0], row[1]) for row in found]


async def test_each_push_is_measured(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    await push(where, [SUBJECT, referrer("a")])
    subject, (size, length) = await sizes(where)
    assert subject == (None, None)
    assert size == length
    assert (size or 0) > len(TEXT)


async def test_rows_that_are_there_are_measured_when_it_comes(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    await push(where, [SUBJECT, referrer("a"), referrer("b")])
    before = await sizes(where)
    await go_back(where)
    assert "annotations_size" not in await columns(where)
    await migrator.up(where, Wish())
    assert await sizes(where) == before


async def test_a_page_then_has_old_and_new_referrers(where: DatabasePlace) -> None:
    await migrator.up(where, Wish())
    await push(where, [SUBJECT, referrer("old")])
    await go_back(where)
    await migrator.up(where, Wish())
    await push(where, [referrer("new")])
    async with using(where) as database:
        subject = Digest.of(SUBJECT.body)
        page = await SqlManifests(database).referrers(NAME, subject, artifact_type=None, after="", limit=10)
    assert sorted(str(item.digest) for item in page.items) == sorted([referrer("old").digest, referrer("new").digest])
    assert [item.annotations["text"] for item in page.items] == [TEXT, TEXT]


async def columns(where: DatabasePlace) -> set[str]:
    text = (
        "SELECT name FROM pragma_table_info('manifests')"
        if isinstance(where, Path)
        else "SELECT column_name FROM information_schema.columns WHERE table_name = 'manifests'"
    )
    return {str(row[0]) for row in await rows(where, text)}
