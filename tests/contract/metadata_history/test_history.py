"""What the journal tells, and the state of a tag now and then."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import NAME, NEVER, push_blob
from contract.metadata.stores import query
from contract.metadata_history.past import Past
from moorage.auth.access import EVERYTHING
from moorage.core.history import History, Selection
from moorage.errors import NameUnknown
from moorage.metadata.history import Fate, JournalEntry, JournalFilter, Published, PullFacts
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.pulls import SqlPulls
from moorage.metadata.words import JournalAction
from moorage.oci.digests import Digest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.oci.tag_patterns import TagPattern


async def test_every_change_is_there_newest_first_with_who_when_and_why(past: Past) -> None:
    started = datetime.now(UTC)
    first = await past.push("a", "1", request="one")
    second = await past.push("b", "1", request="two")
    entries = await past.entries()
    assert [(entry.action, entry.tag, entry.before, entry.after, entry.cause.request_id) for entry in entries] == [
        ("tag_move", Tag("1"), first, second, "two"),
        ("manifest_create", None, None, second, "two"),
        ("tag_create", Tag("1"), None, first, "one"),
        ("manifest_create", None, None, first, "one"),
    ]
    assert {entry.cause.actor for entry in entries} == {"ada"}
    assert [entry.id for entry in entries] == sorted((entry.id for entry in entries), reverse=True)
    assert all(started <= entry.at <= datetime.now(UTC) for entry in entries)


async def test_pages_of_any_size_hold_the_same_entries(past: Past) -> None:
    for number in range(4):
        await past.push(number, "1", f"v{number}")
    whole = await past.entries()
    for limit in (1, 2, 3, len(whole) - 1, len(whole), len(whole) + 1):
        pages: list[JournalEntry] = []
        last: int | None = None
        more = True
        while more:
            page = await past.history.entries(JournalFilter(repository=NAME), before=last, limit=limit)
            assert len(page.items) == limit or not page.more
            pages += page.items
            last, more = page.items[-1].id, page.more
        assert pages == whole


async def test_entries_are_found_by_tag_request_and_time(past: Past) -> None:
    await past.push("a", "1", "2", request="one")
    between = datetime.now(UTC)
    await past.push("b", "1", request="two")
    assert len(await past.entries(tag=Tag("1"))) == 2
    assert len(await past.entries(tag=Tag("2"))) == 1
    assert len(await past.entries(request_id="one")) == 3
    assert len(await past.entries(request_id="one", tag=Tag("1"))) == 1
    assert len(await past.entries(request_id="one", repository=None)) == 3
    kinds = (JournalAction.TAG_CREATE, JournalAction.MANIFEST_CREATE, JournalAction.REPOSITORY_RENAME)
    assert [len(await past.entries(request_id="one", action=kind)) for kind in kinds] == [2, 1, 0]
    assert {entry.cause.request_id for entry in await past.entries(since=between)} == {"two"}
    assert {entry.cause.request_id for entry in await past.entries(until=between)} == {"one"}
    assert await past.entries(tag=Tag("1"), since=between, until=between) == []


async def test_a_request_in_another_repository_is_not_in_this_one(past: Past) -> None:
    await past.push("a", "1")
    await past.push("a", "1", name=RepositoryName("other"), request="elsewhere")
    assert await past.entries(request_id="elsewhere") == []


async def test_an_unknown_repository_has_no_history(past: Past) -> None:
    with pytest.raises(NameUnknown):
        await past.entries(repository=NEVER)
    with pytest.raises(NameUnknown):
        await past.history.tag(NEVER, Tag("1"), at=None)
    with pytest.raises(NameUnknown):
        await past.history.published(NEVER, after=None, limit=1)
    with pytest.raises(NameUnknown):
        await past.history.delete_tags(NEVER, [], cause=past.cause())


async def test_an_entry_says_until_when_what_it_took_can_come_back(past: Past) -> None:
    manifest = await past.push("a", "1")
    created = (await past.entries(tag=Tag("1")))[0]
    assert created.fate is None
    await past.delete(manifest)
    for entry in await past.entries(limit=2):
        assert entry.fate is not None
        assert entry.fate.is_restorable
        assert entry.fate.until is not None
        assert timedelta(hours=23) < entry.fate.until - datetime.now(UTC) <= timedelta(days=1)
    await past.collect(manifest)
    assert {entry.fate for entry in await past.entries(limit=2)} == {Fate(is_restorable=False)}


async def test_nothing_is_scheduled_to_take_what_something_still_uses(past: Past) -> None:
    await past.push("a", "1", "2")
    await past.untag("1")
    assert (await past.entries(limit=1))[0].fate == Fate(is_restorable=True)


async def test_a_deleted_blob_has_a_fate_of_its_own(past: Past) -> None:
    blob = await push_blob(past.store, b"layer")
    await past.store.links.unlink(NAME, blob, cause=past.cause("oops"))
    (entry,) = await past.entries(request_id="oops")
    assert entry.fate is not None
    assert entry.fate.is_restorable
    assert entry.fate.until is not None
    await past.undo("oops")
    (entry,) = await past.entries(request_id="oops")
    assert entry.fate == Fate(is_restorable=True)


async def test_a_tag_is_what_it_was_at_each_time(past: Past) -> None:
    times = [datetime.now(UTC)]
    digests = []
    for seed in "ab":
        digests.append(await past.push(seed, "1"))
        times.append(datetime.now(UTC))
    await past.untag("1")
    assert [await past.target("1", at) for at in times] == [None, *digests]
    assert await past.target("1") is None
    state = await past.history.tag(NAME, Tag("1"), at=times[1])
    assert state.changed is not None
    assert (state.changed.action, state.changed.after, state.is_pullable) == ("tag_create", digests[0], True)
    await past.delete(digests[0])
    state = await past.history.tag(NAME, Tag("1"), at=times[1])
    assert (state.is_pullable, state.fate is not None and state.fate.is_restorable) == (False, True)
    await past.collect(digests[0])
    state = await past.history.tag(NAME, Tag("1"), at=times[1])
    assert (state.digest, state.is_pullable, state.fate) == (digests[0], False, Fate(is_restorable=False))


async def test_a_tag_from_before_the_journal_was_what_it_is(past: Past) -> None:
    manifest = await past.push("a", "1")
    await past.store.database.write(query("DELETE FROM journal"))
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    assert await past.target("1", long_ago) == manifest
    await past.push("b", "1")
    assert await past.target("1", long_ago) == manifest


async def test_deleted_tags_are_told_from_names_that_were_none(past: Past) -> None:
    manifest = await past.push("a", "1", "2", "3")
    names = [Tag("1"), Tag("3"), Tag("never")]
    rehearsed = await past.history.delete_tags(NAME, names, cause=past.cause("many"), dry_run=True)
    assert (sorted(rehearsed), await past.tags()) == (names[:2], ["1", "2", "3"])
    assert sorted(await past.history.delete_tags(NAME, names, cause=past.cause("many"))) == names[:2]
    assert await past.changes(request_id="many") == [
        ("tag_delete", "1", manifest, None),
        ("tag_delete", "3", manifest, None),
    ]
    assert await past.has(manifest)


async def test_a_tag_that_was_pushed_after_it_was_chosen_stays(past: Past) -> None:
    """By its time, and not by what it points to: pushed again, it is one of the newest."""
    first = await past.push("a", "1", "2", "3")
    chosen = await past.history.published(NAME, after=None, limit=3)
    await past.push("b", "1")
    await past.untag("2")
    assert list(await past.history.delete_tags(NAME, chosen, cause=past.cause("many"), dry_run=True)) == [Tag("3")]
    assert list(await past.history.delete_tags(NAME, chosen, cause=past.cause("many"))) == [Tag("3")]
    assert await past.changes(request_id="many") == [("tag_delete", "3", first, None)]
    assert await past.tags() == ["1"]


class PushedBetween(SqlHistory):
    """A history in which somebody pushes after the tags were looked at."""

    def __init__(self, past: Past) -> None:
        super().__init__(past.store.database)
        self._past = past

    async def published(self, name: RepositoryName, *, after: Published | None, limit: int) -> Sequence[Published]:
        found = await super().published(name, after=after, limit=limit)
        if after is None:
            await self._past.push("newer", "v1")
        return found


async def test_a_removal_by_pattern_leaves_what_is_pushed_while_it_chooses(past: Past) -> None:
    await past.push("a", "v1", "v2", "v3")
    meant = Selection(chosen=TagPattern.parse("v.*"), keep_newest=1)
    removal = await History(PushedBetween(past)).delete_tags(NAME, meant, grant=EVERYTHING, cause=past.cause())
    assert (removal.deleted, removal.kept, removal.changed, removal.unknown) == (1, 1, 1, 0)
    assert await past.tags() == ["v1", "v3"]
    assert removal.sample == [Tag("v2")]


async def test_what_goes_at_once_is_journalled_in_the_order_of_names(past: Past) -> None:
    names = ["c", "a", "B", "b", "d"]
    manifest = await past.push("a", *names)
    await past.history.delete_tags(NAME, [Tag(name) for name in names[:4]], cause=past.cause("many"))
    assert [change[1] for change in await past.changes(request_id="many")] == ["B", "a", "b", "c"]
    await past.undo("many", by="back")
    assert [change[1] for change in await past.changes(request_id="back")] == ["B", "a", "b", "c"]
    await past.delete(manifest)
    assert [change[1] for change in await past.changes()][-6:] == ["B", "a", "b", "c", "d", ""]


async def test_tags_are_listed_by_publication_whatever_the_page(past: Past) -> None:
    for number in (3, 1, 2):
        await past.push(number, f"a{number}", f"b{number}")
    whole = await past.history.published(NAME, after=None, limit=100)
    assert [found.tag.text for found in whole] == ["b2", "a2", "b1", "a1", "b3", "a3"]
    for limit in (1, 2, 4):
        found: list[Published] = []
        last: Published | None = None
        while page := await past.history.published(NAME, after=last, limit=limit):
            found += page
            last = page[-1]
        assert found == whole


async def test_a_tag_tells_how_often_it_and_its_manifest_were_pulled(past: Past) -> None:
    first, second = await past.push("a", "1"), await past.push("b", "2")
    await past.push("a", "2")
    pulls = SqlPulls(past.store.database)
    tagged: list[tuple[Reference, Digest]] = [
        (Tag("1"), first),
        (Tag("1"), first),
        (Tag("2"), second),
        (Tag("2"), first),
    ]
    for reference, digest in [*tagged, (first, first)]:
        pulls.note(NAME, reference, digest)
    await pulls.flush()
    state = await past.history.tag(NAME, Tag("2"), at=None)
    assert (state.digest, state.pulls.count, state.manifest_pulls.count) == (first, 2, 4)
    assert state.pulls.last_at is not None
    nowhere = await past.history.tag(NAME, Tag("3"), at=None)
    assert (nowhere.pulls, nowhere.manifest_pulls) == (PullFacts(), PullFacts())
