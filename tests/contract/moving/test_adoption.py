"""Link files that are taken over while they are served: claims, readers, writers, lists, and what differs."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import NAME, NOBODY, OTHER, push, push_image, tag_names
from contract.metadata.stores import Store
from contract.moving.movers import Mover, link_files
from moorage.errors import DatabaseContended, NameUnknown, StorageUnavailable
from moorage.gitlab_errors import RenameConflict
from moorage.metadata.adopting import AdoptingCatalogue, AdoptingLinks, AdoptingManifests
from moorage.metadata.adopting_details import (
    AdoptingDetails,
    AdoptingExplanations,
    AdoptingHistory,
    AdoptingRenames,
    AdoptingSizes,
)
from moorage.metadata.details import TagSelection
from moorage.metadata.history import JournalFilter
from moorage.metadata.imports import FoundTag
from moorage.metadata.sql.details import SqlDetails
from moorage.metadata.sql.explanations import SqlExplanations
from moorage.metadata.sql.exports import SqlExports
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.sizes import SqlSizes
from moorage.moving.adopting import LEASE, Adoption, AdoptionStores
from moorage.moving.adoption_note import AdoptionNote
from moorage.moving.adoption_walk import AdoptionWalk
from moorage.moving.exporting import Export, ExportOptions, ExportRefused
from moorage.moving.importing import ImportRefused
from moorage.moving.link_folders import LinkFolders
from moorage.moving.outcome import Teller
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.wiring.adopting import adoption_stores
from moorage.work.reports import WorkReports
from moorage.work.text_pipe import TextPipe
from support.images import image

NEW = RepositoryName("new/app")


class Adopting:
    """A registry that adopts what *mover* has as link files."""

    def __init__(self, mover: Mover, *, patience_s: float = 60.0) -> None:
        self.mover = mover
        database = mover.sql.database
        self.stores: AdoptionStores = adoption_stores(database)
        wishes = TextPipe()
        self.adoption = Adoption(mover.links.storage, self.stores, wishes=wishes, patience_s=patience_s)
        self.walk = AdoptionWalk(mover.links.storage, self.adoption, self.stores.ledger, wishes=wishes)
        self.store = Store(
            storage=mover.links.storage,
            links=AdoptingLinks(self.adoption, mover.sql.links, mover.links.links),
            manifests=AdoptingManifests(self.adoption, mover.sql.manifests, mover.links.manifests),
            catalogue=AdoptingCatalogue(self.adoption, mover.sql.catalogue, mover.links.catalogue),
        )
        self.renames = AdoptingRenames(self.adoption, SqlRenames(database))
        self.details = AdoptingDetails(self.adoption, SqlDetails(database))
        self.sizes = AdoptingSizes(self.adoption, SqlSizes(database))

    async def claim(self, name: RepositoryName, holder: str, *, later: timedelta = timedelta(0)) -> bool:
        """Another process begins to take a repository over."""
        now = datetime.now(UTC) + later
        return await self.stores.states.claim(name, holder, now=now, until=now + LEASE)

    async def listed(self, limit: int) -> list[str]:
        found: list[str] = []
        while True:
            page = await self.store.catalogue.repositories(after=found[-1] if found else "", limit=limit)
            found += [name.text for name in page.items]
            if not page.more:
                return found


@pytest.fixture
async def adopting(mover: Mover) -> AsyncIterator[Adopting]:
    await push_image(mover.links, image("a"), "v1", "v2")
    await push_image(mover.links, image("b"), "v1", name=OTHER)
    found = Adopting(mover)
    await found.stores.ledger.begin()
    yield found
    await found.adoption.close()


async def test_whoever_was_too_slow_writes_nothing_any_more(adopting: Adopting) -> None:
    assert await adopting.claim(NAME, "slow")
    assert not await adopting.claim(NAME, "quick")
    assert await adopting.claim(NAME, "quick", later=timedelta(minutes=5))
    (links,) = [page async for page in LinkFolders(adopting.store.storage, NAME, Teller(WorkReports())).tags()]
    found = [FoundTag(name=link.name, digest=link.target, linked_at=link.written_at) for link in links if link.target]
    slow = adopting.stores.imports("slow")
    with pytest.raises(DatabaseContended):
        await slow.take_tags(NAME, found)
    with pytest.raises(DatabaseContended):
        await slow.take_repository(NAME, is_populated=True)
    assert not await adopting.mover.sql.rows("SELECT 1 FROM tags")
    assert await adopting.stores.states.state(NAME) == "taking"


async def test_whoever_renews_a_claim_keeps_it(adopting: Adopting) -> None:
    assert await adopting.claim(NAME, "slow")
    later = datetime.now(UTC) + timedelta(minutes=9)
    assert await adopting.stores.states.renew(NAME, "slow", until=later)
    assert not await adopting.claim(NAME, "quick", later=timedelta(minutes=5))
    assert await adopting.claim(NAME, "quick", later=timedelta(minutes=10))
    assert not await adopting.stores.states.renew(NAME, "slow", until=later)


async def test_readers_do_not_wait_for_what_another_process_takes_over_and_writers_are_told_to_come_again(
    adopting: Adopting,
) -> None:
    assert await adopting.claim(NAME, "another")
    assert await tag_names(adopting.store) == ["v1", "v2"]
    digest = (await adopting.store.manifests.find(NAME, Tag("v1"))).digest
    assert digest == Digest.parse(image("a").manifest.digest)
    impatient = Adopting(adopting.mover, patience_s=0.1)
    with pytest.raises(DatabaseContended, match="taken over"):
        await impatient.store.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    await impatient.adoption.close()
    assert await tag_names(adopting.store) == ["v1", "v2"]


async def test_who_reads_takes_nothing_over_and_has_it_taken_over_before_all_that_nobody_reads(
    adopting: Adopting,
) -> None:
    for _ in range(2):
        await adopting.store.manifests.find(OTHER, Tag("v1"))
        assert await tag_names(adopting.store, OTHER) == ["v1"]
    with pytest.raises(NameUnknown):
        await adopting.store.manifests.find(NEW, Tag("v1"))
    assert [await adopting.stores.states.state(name) for name in (NAME, OTHER)] == [None, None]
    await adopting.walk.take_wished()
    assert [await adopting.stores.states.state(name) for name in (NAME, OTHER, NEW)] == [None, "taken", None]
    assert (await adopting.store.manifests.find(OTHER, Tag("v1"))).digest == Digest.parse(image("b").manifest.digest)


async def test_what_clients_change_is_not_in_link_files_which_stay_as_they_were(adopting: Adopting) -> None:
    before = await link_files(adopting.mover.links)
    await adopting.store.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    await push(adopting.store, image("a").manifest, "v3")
    await push_image(adopting.store, image("c"), "v1", name=NEW)
    assert await tag_names(adopting.store) == ["v2", "v3"]
    assert await tag_names(adopting.store, NEW) == ["v1"]
    assert await link_files(adopting.mover.links) == before


@pytest.mark.parametrize("limit", [1, 10])
async def test_lists_of_repositories_have_both_each_once(adopting: Adopting, limit: int) -> None:
    await push_image(adopting.store, image("c"), "v1", name=NEW)
    assert await adopting.listed(limit) == [NAME.text, OTHER.text, NEW.text]
    await adopting.adoption.ready(NAME)
    assert await adopting.listed(limit) == [NAME.text, OTHER.text, NEW.text]
    await adopting.renames.rename(NAME, RepositoryName("z"), limit=10, cause=NOBODY)
    assert await adopting.listed(limit) == [NEW.text, "z", "z/other"]


async def test_nothing_is_renamed_onto_what_is_still_in_link_files(adopting: Adopting) -> None:
    await push_image(adopting.store, image("c"), "v1", name=NEW)
    with pytest.raises(RenameConflict):
        await adopting.renames.rename(NEW, NAME, limit=10, cause=NOBODY)
    assert await tag_names(adopting.store) == ["v1", "v2"]


async def test_what_is_asked_of_the_database_alone_has_everything_below(adopting: Adopting) -> None:
    group = RepositoryName("group")
    assert await adopting.details.has_namespace(group)
    assert not await adopting.details.has_namespace(RepositoryName("nobody"))
    page = await adopting.details.repositories(group, after="", limit=10)
    assert [found.name for found in page.items] == [NAME, OTHER]
    assert await adopting.sizes.measure(group, with_descendants=True) > 0


async def test_whatever_only_the_database_can_answer_is_asked_once_the_repository_is_there(adopting: Adopting) -> None:
    database = adopting.mover.sql.database
    details, sizes = adopting.details, adopting.sizes
    history = AdoptingHistory(adopting.adoption, SqlHistory(database))
    explanations = AdoptingExplanations(adopting.adoption, SqlExplanations(database))
    v1, digest = Tag("v1"), Digest.parse(image("a").manifest.digest)
    asked: dict[str, Callable[[RepositoryName], Awaitable[object]]] = {
        "repository": details.repository,
        "tag": lambda name: details.tag(name, v1),
        "tag_entry": lambda name: details.tag_entry(name, "v1"),
        "tags": lambda name: details.tags(name, TagSelection(limit=10)),
        "referrers": lambda name: details.referrers(name, [digest], artifact_types=()),
        "estimate": sizes.estimate,
        "last_change": lambda name: sizes.last_change(name, with_descendants=False),
        "check": lambda name: adopting.renames.check(name, RepositoryName(f"{name.text}-new"), limit=10),
        "entries": lambda name: history.entries(JournalFilter(repository=name), before=None, limit=10),
        "past": lambda name: history.tag(name, v1, at=None),
        "undo_tag": lambda name: history.undo_tag(name, v1, digest, expected=None, cause=NOBODY),
        "published": lambda name: history.published(name, after=None, limit=10),
        "delete_tags": lambda name: history.delete_tags(name, [v1], cause=NOBODY, dry_run=True),
        "explain": lambda name: explanations.explain(name, digest),
    }
    for what, ask in asked.items():
        name = RepositoryName(f"asked/{what}")
        await push_image(adopting.mover.links, image("a"), "v1", name=name)
        await ask(name)  # Without it: there is no such repository, as far as the database knows.
        assert await adopting.stores.states.state(name) == "taken", what


async def test_a_repository_that_differs_afterwards_is_not_taken(adopting: Adopting) -> None:
    """As if somebody had written to the database before: it may not be taken for the truth."""
    sql = adopting.mover.sql
    await push_image(sql, image("stranger"), "stranger")
    with pytest.raises(StorageUnavailable, match="more than in link files"):
        await adopting.store.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    assert await adopting.stores.states.state(NAME) == "taking"
    (fault,) = (await adopting.stores.ledger.findings(limit=10)).faults
    assert fault.path == NAME.text
    assert not await adopting.stores.ledger.end()
    assert await tag_names(adopting.store) == ["v1", "v2"]


async def test_what_cannot_be_taken_over_is_noted_and_somebody_has_to_agree(adopting: Adopting) -> None:
    storage = adopting.store.storage
    await storage.delete(paths.blob(Digest.parse(image("a").blobs[1].digest)))
    await storage.put(paths.tag_link(NAME, Tag("dangling")), str(Digest.of(b"nowhere")).encode())
    for name in (NAME, OTHER):
        await adopting.adoption.ready(name)
    left_out = (await adopting.stores.ledger.findings(limit=10)).left_out
    assert sorted(found.kind for found in left_out) == ["blob-missing", "tag-dangling"]
    assert not await adopting.stores.ledger.end()
    await adopting.stores.ledger.accept()
    assert await adopting.stores.ledger.end()
    progress = await adopting.stores.ledger.progress()
    assert progress is not None
    assert (progress.taken, progress.left_out, progress.faults) == (2, 2, 0)


@pytest.mark.parametrize("name", ["/".join(["part" * 20] * 4), "caf\udce9"])
async def test_a_repository_whose_name_no_database_takes_is_served_until_the_end_which_somebody_has_to_agree_to(
    adopting: Adopting, name: str
) -> None:
    odd = RepositoryName(name)
    await push_image(adopting.mover.links, image("odd"), "v1", name=odd)
    assert not await adopting.walk.round()
    (found,) = (await adopting.stores.ledger.findings(limit=10)).left_out
    assert (found.kind, found.reason) == ("name-invalid", "no client can ask for a repository of that name")
    assert found.path == paths.repository(odd).replace("\udce9", r"\udce9")
    assert (await adopting.store.manifests.find(odd, Tag("v1"))).digest == Digest.parse(image("odd").manifest.digest)
    if odd.can_be_read:  # Else no request can have it.
        with pytest.raises(NameUnknown):
            await adopting.store.manifests.untag(odd, Tag("v1"), cause=NOBODY)
    progress = await adopting.stores.ledger.progress()
    assert progress is not None
    assert (progress.repositories, progress.taken, progress.left_out) == (3, 3, 1)
    await adopting.stores.ledger.accept()
    assert await adopting.walk.round()


async def test_whatever_is_left_out_is_told_in_characters(adopting: Adopting) -> None:
    """What tells of it, as JSON or on a terminal, cannot write half of a surrogate pair."""
    odd = Tag("caf\udce9")
    await adopting.store.storage.put(paths.tag_link(NAME, odd), image("a").manifest.digest.encode())
    await adopting.adoption.ready(NAME)
    (found,) = (await adopting.stores.ledger.findings(limit=10)).left_out
    assert found.path == paths.tag(NAME, odd).replace("\udce9", r"\udce9")
    assert found.reason.isprintable()


async def test_a_name_that_nobody_has_makes_no_row(adopting: Adopting) -> None:
    with pytest.raises(NameUnknown):
        await adopting.store.manifests.find(NEW, Tag("v1"))
    await adopting.adoption.ready(NEW)
    assert not await adopting.mover.sql.rows("SELECT 1 FROM adoptions WHERE path = $1", NEW.text)


async def test_meanwhile_nothing_is_imported_or_exported_beside_it(adopting: Adopting) -> None:
    await AdoptionNote("a database").write(adopting.store.storage)
    before = await link_files(adopting.mover.links)
    with pytest.raises(ImportRefused, match="there is nothing to import"):
        await adopting.mover.run()
    database, storage = adopting.mover.sql.database, adopting.store.storage
    export = Export(storage, SqlExports(database), ExportOptions(database="a database"), Teller(WorkReports()))
    with pytest.raises(ExportRefused, match="would remove"):
        await export.run()
    assert await link_files(adopting.mover.links) == before
