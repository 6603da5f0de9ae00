"""One tag goes back to what it was, if it is what the caller believes it to be."""

import asyncio
from datetime import UTC, datetime

import pytest

from contract.metadata.journal import assert_chains
from contract.metadata.pushing import ABSENT, NAME, NEVER
from contract.metadata_history.past import Past
from moorage.errors import ManifestUnknown, NameUnknown
from moorage.metadata.history import AsOf, Expected, UndoSteps
from moorage.moorage_errors import ContentGone, UndoConflict
from moorage.oci.names import Tag


async def test_a_moved_tag_goes_back(past: Past) -> None:
    first = await past.push("a", "1")
    await past.push("b", "1", request="move")
    outcome = await past.undo_tag("1", by="undo")
    assert await past.target("1") == first
    assert outcome.counts["tag"] == 1
    assert (await past.entries(limit=1))[0].cause.reason == "undo of move"
    await assert_chains(past.store)


async def test_a_deleted_tag_is_made_again(past: Past) -> None:
    first = await past.push("a", "1")
    await past.untag("1")
    await past.undo_tag("1")
    assert await past.target("1") == first
    await assert_chains(past.store)


async def test_a_new_tag_is_deleted(past: Past) -> None:
    manifest = await past.push("a", "1")
    await past.undo_tag("1")
    assert (await past.target("1"), await past.has(manifest)) == (None, True)
    await assert_chains(past.store)


async def test_undoing_twice_is_where_it_began_and_steps_go_further(past: Past) -> None:
    first, second, third = [await past.push(seed, "1") for seed in "abc"]
    await past.undo_tag("1")
    assert await past.target("1") == second
    await past.undo_tag("1")
    assert await past.target("1") == third
    await past.undo_tag("1", UndoSteps(4))
    assert await past.target("1") == first


async def test_the_manifest_that_it_needs_comes_back_too(past: Past) -> None:
    manifest = await past.push("a", "1", "2")
    await past.delete(manifest)
    outcome = await past.undo_tag("1")
    assert (await past.tags(), await past.has(manifest)) == (["1"], True)
    assert (outcome.counts["tag"], outcome.counts["manifest"]) == (1, 1)
    await assert_chains(past.store)


async def test_a_tag_goes_to_a_given_manifest(past: Past) -> None:
    first, _ = await past.push("a", "1"), await past.push("b", "1")
    await past.undo_tag("1", first)
    assert await past.target("1") == first
    outcome = await past.undo_tag("1", first)
    assert (outcome.total, outcome.already) == (0, 1)
    await past.undo_tag("fresh", first)
    assert await past.target("fresh") == first


async def test_a_manifest_that_was_never_there_is_unknown(past: Past) -> None:
    await past.push("a", "1")
    with pytest.raises(ManifestUnknown):
        await past.undo_tag("1", ABSENT)


async def test_a_tag_goes_to_what_it_was_at_a_time(past: Past) -> None:
    before = datetime.now(UTC)
    first = await past.push("a", "1")
    between = datetime.now(UTC)
    await past.push("b", "1")
    await past.undo_tag("1", AsOf(between))
    assert await past.target("1") == first
    await past.undo_tag("1", AsOf(before))
    assert await past.target("1") is None


async def test_what_garbage_collection_took_is_gone_and_since_when_it_could_go(past: Past) -> None:
    first = await past.push("a", "1")
    await past.push("b", "1")
    await past.collect(first)
    for target in (UndoSteps(1), first):
        with pytest.raises(ContentGone, match=f"garbage collection has taken the manifest {first}") as raised:
            await past.undo_tag("1", target)
        left_at, could_go_at = (
            datetime.fromisoformat(str(raised.value.detail[key])) for key in ("left_at", "could_go_at")
        )
        assert (could_go_at - left_at).days == 1
    assert (await past.history.tag(NAME, Tag("1"), at=None)).is_pullable


async def test_a_tag_that_somebody_moved_stays_and_the_answer_says_what_it_is(past: Past) -> None:
    first, second = [await past.push(seed, "1") for seed in "ab"]
    with pytest.raises(UndoConflict, match=str(second)) as raised:
        await past.undo_tag("1", expected=Expected(first))
    assert raised.value.detail["now"] == str(second)
    assert await past.target("1") == second
    await past.undo_tag("1", expected=Expected(second))
    assert await past.target("1") == first
    with pytest.raises(UndoConflict):
        await past.undo_tag("1", expected=Expected(None))
    await past.untag("1")
    with pytest.raises(UndoConflict, match="no such tag now"):
        await past.undo_tag("1", expected=Expected(first))


async def test_of_two_undos_that_expect_the_same_one_wins(past: Past, other: Past) -> None:
    first, second = [await past.push(seed, "1") for seed in "ab"]
    undoes = [one.undo_tag("1", expected=Expected(second)) for one in (past, other)]
    results = await asyncio.gather(*undoes, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["UndoConflict", "UndoOutcome"]
    assert await past.target("1") == first
    await assert_chains(past.store)


async def test_a_dry_run_changes_nothing(past: Past) -> None:
    manifest = await past.push("a", "1")
    await past.delete(manifest)
    rehearsed = await past.undo_tag("1", dry_run=True)
    assert (await past.target("1"), await past.has(manifest)) == (None, False)
    assert await past.undo_tag("1") == rehearsed


async def test_a_tag_without_history_has_nothing_to_go_back_to(past: Past) -> None:
    await past.push("a", "1")
    with pytest.raises(ManifestUnknown, match="has no change"):
        await past.undo_tag("2")
    with pytest.raises(ManifestUnknown, match="fewer than 2 changes"):
        await past.undo_tag("1", UndoSteps(2))
    with pytest.raises(NameUnknown):
        await past.history.undo_tag(NEVER, Tag("1"), UndoSteps(), expected=None, cause=past.cause())
