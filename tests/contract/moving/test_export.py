"""Link files of a database: as if pushed to a registry without one; repeated, ended, and compared."""

from collections.abc import Sequence

import pytest

from contract.metadata.pushing import NAME, NOBODY, OTHER, push_blob, push_image, referring, tag_names
from contract.metadata.stores import Store, query
from contract.moving.movers import Mover, link_files
from contract.moving.test_import import push_all_kinds
from moorage.metadata.exports import ExportStore
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.metadata.sql.exports import SqlExports
from moorage.moving.exporting import Export, Exported, ExportOptions, ExportRefused
from moorage.moving.outcome import Outcome, Teller
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import identity, locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Lock
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce
from moorage.work.reports import WorkReports
from support.images import artifact, image


@pytest.fixture
async def database(mover: Mover) -> Mover:
    """A registry with a database, whose blobs are where its link files are going to be."""
    await locks.write(mover.links.storage, Lock.DATABASE)
    await identity.write(mover.links.storage, "a database")
    return mover


def serving(mover: Mover) -> Store:
    """What a registry with the database uses."""
    sql = mover.sql
    return Store(storage=mover.links.storage, links=sql.links, manifests=sql.manifests, catalogue=sql.catalogue)


async def export(
    mover: Mover,
    *,
    dry_run: bool = False,
    verifies: bool = False,
    switches: bool = False,
    database: ExportStore | None = None,
) -> tuple[Exported, Outcome]:
    teller = Teller(WorkReports())
    options = ExportOptions(dry_run=dry_run, verifies=verifies, switches=switches, database="a database")
    store = database or SqlExports(mover.sql.database)
    return await Export(mover.links.storage, store, options, teller).run(), teller.outcome


def layout(storage: StorageDriver) -> Store:
    """A registry without a database."""
    return Store(
        storage=storage,
        links=LayoutLinks(storage),
        manifests=LayoutManifests(storage, PayloadCache()),
        catalogue=LayoutCatalogue(storage),
    )


async def pushed_to_link_files() -> dict[str, bytes]:
    store = layout(MemoryDriver())
    await push_all_kinds(store)
    return await link_files(store)


async def test_the_link_files_are_those_of_pushes_without_a_database(database: Mover) -> None:
    await push_all_kinds(serving(database))
    exported, outcome = await export(database, verifies=True)
    wanted = await pushed_to_link_files()
    found = await link_files(database.links)
    assert {path: found.get(path) for path in wanted if "/deleted/" not in path} == {
        path: content for path, content in wanted.items() if "/deleted/" not in path
    }
    assert found.keys() <= wanted.keys()
    assert exported.verified is not None
    assert (exported.verified.counts.changes, outcome.left_out.first) == (0, [])


async def test_a_registry_without_the_database_serves_the_same(database: Mover) -> None:
    await push_all_kinds(serving(database))
    signed = artifact("more", image("amd64").manifest, artifact_type="a/sbom")
    await push_image(serving(database), signed)
    await export(database)
    before, after = serving(database), layout(database.links.storage)
    for name in (NAME, OTHER):
        assert await tag_names(before, name) == await tag_names(after, name)
        for tag in await tag_names(before, name):
            assert await before.manifests.find(name, Tag(tag)) == await after.manifests.find(name, Tag(tag))
    subject = Digest.parse(image("amd64").manifest.digest)
    assert await referring(before, subject) == await referring(after, subject)
    assert len((await referring(after, subject))[0]) == 2


async def test_a_second_export_writes_nothing_and_follows_what_was_changed(database: Mover) -> None:
    store = serving(database)
    await push_all_kinds(store)
    await export(database)
    again, _ = await export(database)
    assert again.writer.counts.changes == 0
    await store.manifests.untag(NAME, Tag("same"), cause=NOBODY)
    loose = await push_blob(store, b"no manifest names this")
    await store.links.unlink(NAME, loose, cause=NOBODY)
    gone = (await store.manifests.find(NAME, Tag("else"))).digest
    await store.manifests.delete(NAME, gone, cause=NOBODY)
    moved = await push_image(store, image("moved"), "undeclared")
    await database.sql.database.write(query("UPDATE repositories SET path = 'renamed' WHERE path = 'group/app/other'"))
    changed, _ = await export(database)
    found = layout(database.links.storage)
    assert changed.writer.counts.removed == 6  # Two tags, a manifest, a blob, and both folders of the old name.
    assert await tag_names(found) == ["index", "undeclared"]
    assert (await found.manifests.find(NAME, Tag("undeclared"))).digest == moved
    assert not await found.manifests.has(NAME, gone)
    assert not await found.links.has(NAME, loose)
    page = await found.catalogue.repositories(after="", limit=9)
    assert [name.text for name in page.items] == [NAME.text, "renamed"]


async def test_a_dry_run_says_what_would_be_written(database: Mover) -> None:
    await push_image(serving(database), image("a"), "a")
    exported, _ = await export(database, dry_run=True, switches=True)
    assert paths.tag_link(NAME, Tag("a")) in exported.writer.differences.first
    assert not await database.links.storage.exists(paths.REPOSITORIES)
    assert (await locks.read(database.links.storage)).database
    assert not exported.is_switched


async def test_verification_finds_what_is_not_as_in_the_database(database: Mover) -> None:
    digest = await push_image(serving(database), image("a"), "a", "b")
    await export(database)
    storage = database.links.storage
    await storage.put(paths.tag_link(NAME, Tag("a")), str(Digest.of(b"other")).encode())
    await storage.put(paths.blob(digest), b"damaged")
    exported, _ = await export(database, dry_run=True, verifies=True)
    assert exported.verified is not None
    assert exported.verified.differences.first == [paths.blob(digest), paths.tag_link(NAME, Tag("a"))]
    exported, _ = await export(database, verifies=True)
    assert exported.verified is not None
    assert exported.verified.counts.changes == 0


class Ending(SqlExports):
    """A database that stops at one of its answers, as a kill of the export does."""

    left = 0

    async def page_of_tags(self, name: RepositoryName, *, after: str, limit: int) -> Sequence[tuple[str, Digest]]:
        self.left -= 1
        if not self.left:
            raise EndedError
        return await super().page_of_tags(name, after=after, limit=limit)


class EndedError(Exception):
    """The end of a process, as far as a test can have it inside one."""


async def test_ended_and_repeated_it_is_whole_and_storage_says_so_only_then(database: Mover) -> None:
    await push_all_kinds(serving(database))
    for answer in (1, 2, 3):
        ending = Ending(database.sql.database)
        ending.left = answer
        with pytest.raises(EndedError):
            await export(database, switches=True, database=ending)
        found = await locks.read(database.links.storage)
        assert (found.filesystem, found.database) == (False, True)
    exported, _ = await export(database, switches=True, verifies=True)
    assert exported.is_switched
    found = await locks.read(database.links.storage)
    assert (found.filesystem, found.database) == (True, False)
    with pytest.raises(ExportRefused, match="newer than the database"):
        await export(database)


async def test_what_was_exported_can_be_imported_again(database: Mover) -> None:
    await push_all_kinds(serving(database))
    before = dict(await database.tags())
    await export(database, switches=True)
    await database.sql.database.write(query("DELETE FROM tags"))
    outcome = await database.run()
    assert (outcome.left_out.first, await database.tags()) == ([], before)


async def test_blobs_without_bytes_are_named_and_have_no_link(database: Mover) -> None:
    made = image("a")
    await push_image(serving(database), made, "a")
    lost = Digest.parse(made.blobs[1].digest)
    await database.links.storage.delete(paths.blob(lost))
    _, outcome = await export(database)
    assert [found.path for found in outcome.left_out.first] == [paths.blob(lost)]
    assert not await layout(database.links.storage).links.has(NAME, lost)
    assert await tag_names(layout(database.links.storage)) == ["a"]


async def test_beside_a_registry_that_takes_pushes_there_is_no_switch(database: Mover) -> None:
    writer = await announce(database.links.storage, Activity.WRITING)
    try:
        await export(database)
        with pytest.raises(ExportRefused, match="takes pushes"):
            await export(database, switches=True)
    finally:
        await writer.close()


async def test_the_link_files_of_another_registry_are_not_touched(database: Mover) -> None:
    await push_all_kinds(database.links)
    before = await link_files(database.links)
    await identity.write(database.links.storage, "another database")
    with pytest.raises(ExportRefused, match="does not say that the storage belongs to this database"):
        await export(database)
    await database.links.storage.delete(paths.IDENTITY)
    with pytest.raises(ExportRefused, match="belongs to this database"):
        await export(database)
    assert await link_files(database.links) == before
