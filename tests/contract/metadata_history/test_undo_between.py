"""An undo beside what others do at the same moment, and beside what they did at other names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from datetime import UTC, datetime

import pytest

from contract.metadata.pushing import NAME, OTHER, push, push_blob, push_image
from contract.metadata.stores import query
from contract.metadata_history.past import Past, conflicts_of, content
from moorage.errors import BlobReferenced, BlobUnknown, ManifestUnknown
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.outbox import SqlOutbox
from moorage.metadata.sql.undo_transaction import BlobPlace, UndoTransaction
from moorage.moorage_errors import UndoConflict
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from support.announcing import told_cause
from support.images import Content, Image, image, index

AT_ONCE = pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)
"""SQLite's transactions are serial."""


@contextlib.asynccontextmanager
async def held_at_its_tags(past: Past, other: Past, request: str) -> AsyncIterator[asyncio.Task[object]]:
    """An undo that has restored manifests, and waits for a tag that it changes too."""
    async with other.transaction() as session:
        await session.all(query("SELECT id FROM tags WHERE name = 'moving' FOR UPDATE"))
        undoing: asyncio.Task[object] = asyncio.create_task(past.undo(request))
        await waiting(other, 1)
        yield undoing


async def waiting(past: Past, count: int, *, unless: asyncio.Task[None] | None = None) -> None:
    """Wait until so many wait for a lock, or *unless* has ended."""
    text = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while (await past.store.rows(text))[0][0] < count and not (unless is not None and unless.done()):  # noqa: ASYNC110 - it waits in another process
        await asyncio.sleep(0.01)


async def deleted_by_a_job(past: Past, top_one: Content, made: Image) -> Digest:
    """Delete what *top_one* is, and all that *made* has but its blobs, in a request that moved a tag too."""
    top = Digest.parse(top_one.digest)
    await past.push("a", "moving")
    await past.push("b", "moving", request="job")
    await past.delete(top, "job")
    if top_one is not made.manifest:
        await past.delete(Digest.parse(made.manifest.digest))
    return top


@AT_ONCE
@pytest.mark.parametrize("listed", [False, True], ids=["the image", "an index that lists it"])
async def test_a_layer_that_an_undo_brings_back_is_not_taken_out_at_that_moment(
    past: Past, other: Past, *, listed: bool
) -> None:
    made = image("whole")
    await push_image(past.store, made, "1")
    top_one = index([made.manifest]) if listed else made.manifest
    await push(past.store, top_one, "2")
    top = await deleted_by_a_job(past, top_one, made)
    layer = Digest.parse(made.blobs[1].digest)
    async with held_at_its_tags(past, other, "job") as undoing:
        taking_out = asyncio.create_task(other.store.links.unlink(NAME, layer, cause=other.cause()))
        await waiting(other, 2, unless=taking_out)
    await undoing
    with pytest.raises(BlobReferenced):
        await taking_out
    assert await past.has(top)
    assert await past.has(Digest.parse(made.manifest.digest))
    assert await past.store.links.has(NAME, layer)


@AT_ONCE
async def test_a_layer_that_was_not_there_when_it_was_looked_for_is_not_taken_out(past: Past, other: Past) -> None:
    """It comes with an image that needs it, by an undo or a push, before the statement that takes it out."""
    made = image("whole")
    top = await push_image(past.store, made)
    layer = Digest.parse(made.blobs[1].digest)
    await past.delete(top)
    await past.store.links.unlink(NAME, layer, cause=past.cause())
    taking_out = past.store.links.unlink(NAME, layer, cause=past.cause())
    await come_back_before_the_change("repository_blobs", taking_out, top, other=other)
    assert await past.has(top)
    assert await past.store.links.has(NAME, layer)


@AT_ONCE
async def test_a_manifest_that_was_not_there_when_it_was_looked_for_is_not_deleted(past: Past, other: Past) -> None:
    """As above: an index comes that lists it, and must not lose it."""
    child = await past.push("child")
    top = await push(past.store, index([{"mediaType": "a/b", "digest": str(child), "size": 1}]))
    for manifest in (top, child):
        await past.delete(manifest)
    await come_back_before_the_change("manifests", past.delete(child), top, other=other)
    assert await past.has(top)
    assert await past.has(child)


async def come_back_before_the_change(
    table: str, deletion: Coroutine[None, None, None], manifest: Digest, *, other: Past
) -> None:
    """Let a manifest come back, with what it needs, after a deletion has looked and before it changes a table."""
    ((place,),) = await other.store.rows("SELECT id FROM repositories WHERE path = $1", NAME.text)
    async with other.transaction() as session:
        # Whoever only locks rows does not wait for this.
        await session.all(query(f"LOCK TABLE {table} IN SHARE MODE"))
        deleting = asyncio.create_task(deletion)
        await waiting(other, 1, unless=deleting)
        work = UndoTransaction(session, other.cause(), datetime.now(UTC))
        await work.restore_manifests(BlobPlace(place, NAME.text), {digest_key(manifest)})
    with pytest.raises((BlobUnknown, ManifestUnknown)):
        await deleting


async def test_what_came_after_the_manifest_that_names_it_comes_back_with_it(past: Past) -> None:
    made = image("late")
    top = await push(past.store, index([made.manifest]), "1")
    child = await push_image(past.store, Image(made.manifest, ()))
    layers = [await push_blob(past.store, blob.body) for blob in made.blobs]
    await past.delete(top, "oops")
    await past.delete(child)
    for layer in layers:
        await past.store.links.unlink(NAME, layer, cause=past.cause())
    await past.undo("oops")
    assert await past.has(child)
    assert await past.store.links.missing(NAME, layers) == set()


async def test_a_repository_below_the_old_name_is_in_the_way_of_a_rename_that_is_taken_back(past: Past) -> None:
    """The name may be another project's by now, with no repository but below it."""
    await past.push("a", "1")
    await past.rename(NAME.text, "team/app", "rename")
    await past.push("theirs", "1", name=OTHER)
    with pytest.raises(UndoConflict) as raised:
        await past.undo("rename")
    (conflict,) = conflicts_of(raised.value)
    assert conflict["message"] == f"another repository is called {OTHER} now"
    assert await past.tags(RepositoryName("team/app")) == ["1"]


async def test_repositories_that_were_renamed_together_are_in_nobodys_way(past: Past) -> None:
    names = [NAME, OTHER, RepositoryName(f"{OTHER}/deep")]
    for name in names:
        await past.push("a", "1", name=name)
    await past.rename(NAME.text, f"{NAME}/inside", "rename")
    assert (await past.undo("rename")).counts["repository"] == 3
    assert [await past.tags(name) for name in names] == [["1"]] * 3


async def test_what_waits_to_be_told_of_a_repository_that_keeps_its_name_stays_in_its_lane(past: Past) -> None:
    below = RepositoryName("team/app/kept")
    await past.push("a", "1")
    await past.rename(NAME.text, "team/app", "rename")
    await push(past.store, content("b"), "1", name=below, cause=told_cause())
    await past.undo("rename")
    (told,) = await SqlOutbox(past.store.database).waiting("told", limit=9, without=[])
    assert told.lane == below.text


async def test_every_node_is_told_of_the_name_that_a_repository_has_again(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would look for the repository where a replica does not have it yet."""
    names: list[str] = []

    async def announce(repositories: Iterable[str]) -> None:
        names.extend(repositories)

    await past.push("a", "1")
    await past.push("b", "1", name=OTHER)
    await past.rename(NAME.text, "team/app", "rename")
    monkeypatch.setattr(past.store.database, "announce", announce)
    await past.undo("rename", dry_run=True)
    assert names == []
    await past.undo("rename")
    assert {NAME.text, OTHER.text} <= set(names)
