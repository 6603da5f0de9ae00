"""Everything that one request did is taken back in one go, or nothing of it."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import pytest

from contract.metadata.journal import assert_chains
from contract.metadata.pushing import NAME, OTHER, push, push_blob, push_image
from contract.metadata.stores import query
from contract.metadata_history.past import Past, conflicts_of, content, digest
from moorage.auth.access import Grant
from moorage.core.history import History
from moorage.metadata.base import Cause
from moorage.metadata.history import Fate
from moorage.metadata.sql.digest_keys import digest_key
from moorage.moorage_errors import AlreadyUndone, ContentGone, RequestUnknown, UndoConflict
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from support.images import image, index


async def test_a_deleted_manifest_comes_back_with_all_its_tags(past: Past) -> None:
    manifest = await past.push("a", "1", "1.0", "latest")
    await past.delete(manifest, "oops")
    assert await past.tags() == []
    outcome = await past.undo("oops", by="mended")
    assert await past.tags() == ["1", "1.0", "latest"]
    assert (await past.store.manifests.find(NAME, Tag("1.0"))).digest == manifest
    assert outcome.counts == {"tag": 3, "manifest": 1, "blob": 0, "repository": 0}
    await assert_chains(past.store)
    assert {entry.cause.reason for entry in await past.entries(request_id="mended")} == {"undo of oops"}
    assert {entry.cause.actor for entry in await past.entries(request_id="mended")} == {"ada"}


async def test_tags_that_come_back_are_as_new_as_they_were(past: Past) -> None:
    manifests = [await past.push(seed, f"{seed}1", f"{seed}2") for seed in "zay"]
    before = await past.history.published(NAME, after=None, limit=10)
    for manifest in manifests:
        await past.delete(manifest, "oops")
    await past.undo("oops")
    assert await past.history.published(NAME, after=None, limit=10) == before


async def test_a_push_is_taken_back_with_its_manifest_and_its_tags(past: Past) -> None:
    first = await past.push("a", "1")
    second = await past.push("b", "1", "2", request="push")
    outcome = await past.undo("push")
    assert (await past.tags(), await past.target("1")) == (["1"], first)
    assert not await past.has(second)
    assert outcome.counts == {"tag": 2, "manifest": 1, "blob": 0, "repository": 0}
    await assert_chains(past.store)


async def test_an_undo_can_be_undone(past: Past) -> None:
    manifest = await past.push("a", "1", "2", request="push")
    await past.delete(manifest, "oops")
    await past.undo("oops", by="undo")
    await past.undo("undo", by="again")
    assert (await past.tags(), await past.has(manifest)) == ([], False)
    await past.undo("again")
    assert (await past.tags(), await past.has(manifest)) == (["1", "2"], True)
    await assert_chains(past.store)


async def test_a_second_undo_says_that_it_is_undone_and_by_whom(past: Past) -> None:
    await past.push("a", "1")
    await past.untag("1", "oops")
    await past.undo("oops", by="first")
    with pytest.raises(AlreadyUndone) as raised:
        await past.undo("oops", by="second")
    assert raised.value.detail["undone_by"] == "first"
    assert await past.entries(request_id="second") == []


async def test_a_request_that_changed_nothing_is_unknown(past: Past) -> None:
    await past.push("a", "1")
    with pytest.raises(RequestUnknown):
        await past.undo("never")
    with pytest.raises(RequestUnknown):
        await past.history.touched("never")


async def test_what_somebody_changed_since_is_listed_and_nothing_is_done(past: Past) -> None:
    manifest = await past.push("a", "1", "2", "3")
    await past.delete(manifest, "oops")
    newer = await past.push("b", "2")
    with pytest.raises(UndoConflict) as raised:
        await past.undo("oops")
    (conflict,) = conflicts_of(raised.value)
    assert (conflict["name"], conflict["reason"], conflict["now"]) == ("2", "changed", str(newer))
    assert (await past.tags(), await past.has(manifest)) == (["2"], False)
    await assert_chains(past.store)


async def test_a_partial_undo_leaves_what_somebody_changed_since(past: Past) -> None:
    manifest = await past.push("a", "1", "2", "3")
    await past.delete(manifest, "oops")
    newer = await past.push("b", "2")
    outcome = await past.undo("oops", partial=True)
    assert [(left.name, left.reason) for left in outcome.left] == [("2", "changed")]
    assert [await past.target(tag) for tag in ("1", "2", "3")] == [manifest, newer, manifest]


async def test_what_is_as_it_was_already_is_not_in_the_way(past: Past) -> None:
    manifest = await past.push("a", "1", "2")
    await past.delete(manifest, "oops")
    await past.push("a", "1")
    outcome = await past.undo("oops")
    assert (outcome.counts["tag"], outcome.already) == (1, 2)
    assert await past.tags() == ["1", "2"]


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(past: Past) -> None:
    manifest = await past.push("a", "1", "2")
    await past.delete(manifest, "oops")
    rehearsed = await past.undo("oops", dry_run=True)
    assert (await past.tags(), await past.has(manifest)) == ([], False)
    assert await past.undo("oops") == rehearsed


async def test_a_dry_run_finds_the_conflicts_too(past: Past) -> None:
    await past.push("a", "1", request="push")
    await past.push("b", "1")
    with pytest.raises(UndoConflict):
        await past.undo("push", dry_run=True)


async def test_a_manifest_that_something_else_uses_now_is_not_taken_away(past: Past) -> None:
    await past.push("a", "1", request="push")
    await past.push("a", "mine")
    with pytest.raises(UndoConflict, match="1 thing") as raised:
        await past.undo("push")
    (conflict,) = conflicts_of(raised.value)
    assert (conflict["reason"], conflict["message"]) == ("in use", "the tag mine uses it")
    assert await past.tags() == ["1", "mine"]


async def test_a_manifest_that_an_index_lists_is_not_taken_away(past: Past) -> None:
    child = await past.push("child", "1", request="push")
    await push(past.store, index([{"mediaType": "a/b", "digest": str(child), "size": 1}]), "all")
    with pytest.raises(UndoConflict):
        await past.undo("push")
    assert await past.has(child)


async def test_what_garbage_collection_took_cannot_come_back(past: Past) -> None:
    manifest = await past.push("a", "1")
    await past.delete(manifest, "oops")
    await past.collect(manifest)
    with pytest.raises(ContentGone, match="garbage collection has taken 2 things"):
        await past.undo("oops")
    assert {entry.fate for entry in await past.entries(request_id="oops")} == {Fate(is_restorable=False)}


async def test_an_image_comes_back_with_the_blobs_it_needs(past: Past) -> None:
    made = image("whole")
    manifest = await push_image(past.store, made, "1")
    await past.delete(manifest, "oops")
    for blob in made.blobs:
        await past.store.links.unlink(NAME, Digest.parse(blob.digest), cause=past.cause())
    outcome = await past.undo("oops", by="undo")
    assert outcome.counts["blob"] == len(made.blobs)
    assert await past.store.links.missing(NAME, [Digest.parse(blob.digest) for blob in made.blobs]) == set()
    await past.undo("undo")
    assert not await past.has(manifest)
    assert not await past.store.links.has(NAME, Digest.parse(made.blobs[0].digest))


async def test_an_index_comes_back_with_what_it_lists(past: Past) -> None:
    children = [await past.push(seed) for seed in ("amd64", "arm64")]
    listed = index([{"mediaType": "a/b", "digest": str(child), "size": 1} for child in children])
    manifest = await push(past.store, listed, "1")
    await past.delete(manifest, "oops")
    for child in children:
        await past.delete(child)
    await past.undo("oops")
    assert [await past.has(child) for child in children] == [True, True]


async def test_a_deleted_blob_comes_back(past: Past) -> None:
    blob = await push_blob(past.store, b"layer")
    await past.store.links.unlink(NAME, blob, cause=past.cause("oops"))
    await past.undo("oops", by="undo")
    assert await past.store.links.has(NAME, blob)
    await past.undo("undo")
    assert not await past.store.links.has(NAME, blob)


async def test_a_blob_that_a_manifest_uses_is_not_taken_away(past: Past) -> None:
    made = image("whole")
    blob = await push_blob(past.store, made.blobs[1].body)
    await past.store.links.unlink(NAME, blob, cause=past.cause("oops"))
    await past.undo("oops", by="undo")
    await push_image(past.store, made)
    with pytest.raises(UndoConflict):
        await past.undo("undo")
    assert await past.store.links.has(NAME, blob)


async def test_a_blob_that_garbage_collection_took_cannot_come_back_and_says_so(past: Past) -> None:
    blob, other = await push_blob(past.store, b"layer"), await push_blob(past.store, b"other")
    for each in (blob, other):
        await past.store.links.unlink(NAME, each, cause=past.cause("oops"))
    await past.store.database.write(query("DELETE FROM blobs WHERE digest = $1"), digest_key(blob))
    with pytest.raises(ContentGone, match="garbage collection has taken 1 thing"):
        await past.undo("oops")
    outcome = await past.undo("oops", partial=True)
    assert (outcome.counts["blob"], [left.name for left in outcome.left]) == (1, [str(blob)])
    assert [await past.store.links.has(NAME, each) for each in (blob, other)] == [False, True]


async def test_what_somebody_took_back_by_hand_is_as_it_was_already(past: Past) -> None:
    blob = await push_blob(past.store, b"layer")
    await past.store.links.unlink(NAME, blob, cause=past.cause("oops"))
    await past.undo("oops", by="undo")
    await past.store.links.unlink(NAME, blob, cause=past.cause())
    with pytest.raises(AlreadyUndone):
        await past.undo("undo")
    await past.push("a", "1")
    await past.rename("group/app", "team/app", "rename")
    await past.rename("team/app", "group/app", "by hand")
    with pytest.raises(AlreadyUndone):
        await past.undo("rename")
    assert await past.tags() == ["1"]


async def test_a_rename_is_taken_back_and_the_history_stays(past: Past) -> None:
    await past.push("a", "1")
    await past.rename("group/app", "team/app", "rename")
    assert await past.tags(RepositoryName("team/app")) == ["1"]
    assert len(await past.entries(repository=RepositoryName("team/app"))) == 3
    outcome = await past.undo("rename", by="undo")
    assert outcome.counts["repository"] == 1
    assert await past.tags() == ["1"]
    await past.undo("undo")
    assert await past.tags(RepositoryName("team/app")) == ["1"]


async def test_a_rename_is_taken_back_by_whoever_knows_the_old_name_alone(past: Past) -> None:
    await past.push("a", "1")
    await past.rename("group/app", "team/app", "rename")
    everybody = Grant(actor="", accesses=None)
    undo = partial(History(past.history).undo_request, "rename", grant=everybody, partial=False, dry_run=False)
    outcome = await undo(repository=NAME, cause=past.cause())
    assert outcome.counts["repository"] == 1
    assert await past.tags() == ["1"]


async def test_a_name_that_is_taken_now_is_in_the_way(past: Past) -> None:
    await past.push("a", "1")
    await past.rename("group/app", "team/app", "rename")
    await past.push("b", "1")
    with pytest.raises(UndoConflict) as raised:
        await past.undo("rename")
    (conflict,) = conflicts_of(raised.value)
    assert conflict["message"] == "another repository is called group/app now"


async def test_a_request_over_several_repositories_is_undone_in_all_of_them(past: Past) -> None:
    for name in (NAME, OTHER):
        await past.push("a", "1", name=name, request="both")
    assert await past.history.touched("both") == [NAME, OTHER]
    await past.undo("both")
    assert (await past.tags(), await past.tags(OTHER)) == ([], [])


async def test_a_request_id_that_was_used_for_the_undo_too_is_undone(past: Past) -> None:
    await past.push("a", "1")
    await past.untag("1", "job")
    await past.undo("job", by="job")
    assert await past.tags() == ["1"]
    with pytest.raises(AlreadyUndone):
        await past.undo("job", by="job")
    assert await past.tags() == ["1"]


async def test_what_one_request_changed_twice_goes_back_to_where_it_began(past: Past) -> None:
    first = await past.push("a", "1")
    second = await past.push("b", "1", request="job")
    await past.push("c", "1", request="job")
    await past.delete(second, "job")
    await past.undo("job")
    assert await past.target("1") == first
    assert [await past.has(digest(seed)) for seed in "abc"] == [True, False, False]
    await assert_chains(past.store)


async def test_of_two_undos_at_once_one_wins_and_the_other_is_told(past: Past, other: Past) -> None:
    manifest = await past.push("a", *(f"v{number}" for number in range(50)))
    await past.delete(manifest, "oops")
    results = await asyncio.gather(past.undo("oops"), other.undo("oops"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) in (
        ["AlreadyUndone", "UndoOutcome"],
        ["UndoConflict", "UndoOutcome"],
    )
    assert len(await past.tags()) == 50
    await assert_chains(past.store)


async def test_a_request_larger_than_a_batch_is_undone_whole(past: Past) -> None:
    manifest = await past.push("a", "keep")
    names = sorted(f"v{number}" for number in range(2345))
    row = await past.store.rows("SELECT repository_id, id FROM manifests WHERE digest = $1", digest_key(manifest))
    insert = query(
        "INSERT INTO tags (repository_id, name, manifest_id, created_at, published_at) VALUES ($1, $2, $3, $4, $4)"
    )
    async with past.transaction() as session:
        await session.run_many(insert, [(row[0][0], name, row[0][1], datetime.now(UTC)) for name in names])
    for start in range(0, len(names), 1000):
        tags = [Tag(name) for name in names[start : start + 1000]]
        await past.history.delete_tags(NAME, tags, cause=past.cause("many"))
    assert await past.tags() == ["keep"]
    outcome = await past.undo("many")
    assert (outcome.counts["tag"], len(outcome.changes)) == (2345, 100)
    assert await past.tags() == ["keep", *names]


async def test_of_those_who_used_the_same_id_each_can_be_undone_alone(past: Past) -> None:
    await past.push("a", "1", "moving", request="same")
    await past.push("b", "moving", request="same")
    await push(past.store, content("c"), "2", name=NAME, cause=Cause("eve", "same", ""))
    await push(past.store, content("c"), "2", name=OTHER, cause=Cause("eve", "same", ""))
    assert await past.history.touched("same") == [NAME, OTHER]
    assert await past.history.touched("same", actor="ada") == [NAME]
    with pytest.raises(RequestUnknown):
        await past.history.touched("same", actor="nobody")
    assert {entry.cause.actor for entry in await past.entries(request_id="same", actor="eve")} == {"eve"}
    await past.history.undo_request("same", actor="ada", cause=past.cause())
    assert (await past.tags(), await past.tags(OTHER)) == (["2"], ["2"])
    await past.history.undo_request("same", actor="eve", cause=past.cause())
    assert (await past.tags(), await past.tags(OTHER)) == ([], [])


async def test_what_an_index_lists_stays_when_only_the_index_is_in_the_way(past: Past) -> None:
    child = await past.push("child", request="push")
    parent = index([{"mediaType": "a/b", "digest": str(child), "size": 1}])
    made = await push(past.store, parent, cause=past.cause("push"))
    await past.push("other", "1", request="push")
    await push(past.store, parent, "mine")
    await past.undo("push", partial=True)
    assert await past.has(made)
    assert await past.has(child)
