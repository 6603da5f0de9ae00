"""The review queues as a whole: how long they are, how fast they go, what they will give back."""

from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import NAME, OTHER
from contract.metadata_collection.aging import DAY, WITHIN, Aging
from moorage.metadata import queues as promises
from moorage.metadata.queues import QUEUES, QueueState
from moorage.metadata.sql import queues as sql
from moorage.metadata.words import Queue
from moorage.oci.digests import Digest
from support.images import blob, config, image, image_manifest, index


@pytest.mark.parametrize("queue", QUEUES)
async def test_an_empty_queue_has_nothing_to_say(aging: Aging, queue: Queue) -> None:
    assert await aging.queues.state(queue) == QueueState()
    assert await aging.queues.due(queue) == 0
    assert await aging.forecast(queue) == [(0, 0)] * 5
    assert await aging.queues.hurry(queue, limit=10) == 0


async def test_a_queue_says_how_many_wait_and_when_the_next_is_due(aging: Aging) -> None:
    before = datetime.now(UTC)
    await aging.push("a", "1")
    state = await aging.queues.state("blob")
    assert (state.waiting, state.due, state.due_since, state.failed) == (3, 0, None, 0)
    assert state.next_at is not None
    assert before + DAY - timedelta(seconds=5) < state.next_at < datetime.now(UTC) + DAY + timedelta(seconds=5)
    assert (await aging.queues.state("manifest")).waiting == 1


async def test_a_queue_says_how_many_are_due_and_since_when(aging: Aging) -> None:
    await aging.push("a", "1")
    await aging.all_due("blob", ago=timedelta(hours=3))
    state = await aging.queues.state("blob")
    assert (state.waiting, state.due, state.next_at) == (3, 3, None)
    assert state.due_since is not None
    assert timedelta(hours=2, minutes=59) < datetime.now(UTC) - state.due_since < timedelta(hours=3, minutes=1)
    assert await aging.queues.due("blob") == 3


async def test_what_a_collector_has_claimed_is_neither_due_nor_to_come(aging: Aging) -> None:
    await aging.push("a", "1")
    await aging.all_due("blob")
    assert len(await aging.blobs.claim(limit=2)) == 2
    state = await aging.queues.state("blob")
    assert (state.waiting, state.due, state.claimed, state.next_at) == (3, 1, 2, None)
    assert await aging.queues.due("blob") == 1


async def test_what_failed_is_counted_and_the_worst_says_why(aging: Aging) -> None:
    first, second = await aging.push_blob(b"first"), await aging.push_blob(b"second")
    for why, digests in (("disk is on fire", [first]), ("disk is gone", [first, second])):
        await aging.all_due("blob")
        await aging.blobs.claim(limit=10)
        await aging.blobs.put_off(digests, delay=timedelta(hours=1), error=why)
        await aging.run("UPDATE gc_blob_review_queue SET claimed_by = NULL, claimed_until = NULL")
    await aging.run("UPDATE gc_blob_review_queue SET last_error = 'something small' WHERE review_count = 1")
    state = await aging.queues.state("blob")
    assert (state.failed, state.error) == (2, "disk is gone")


async def test_progress_counts_what_reviews_came_to(aging: Aging) -> None:
    await aging.push("kept", "1")
    await aging.push("going", "2")
    await aging.untag("2")
    await aging.all_due("manifest")
    await aging.collect_manifests()
    await aging.all_due("blob")
    await aging.collect_blobs()
    progress = await aging.queues.progress("manifest", hours=1)
    assert (progress.reviewed, progress.removed, progress.removed_bytes, progress.failed) == (2, 1, 0, 0)
    progress = await aging.queues.progress("blob", hours=1)
    size = sum(len(one.body) for one in image("going").blobs)
    assert (progress.reviewed, progress.removed, progress.removed_bytes, progress.failed) == (6, 3, size, 0)
    assert progress.since.minute == 0
    assert timedelta(hours=1) <= progress.until - progress.since < timedelta(hours=2)


async def test_progress_counts_failures(aging: Aging) -> None:
    digest = await aging.push_blob(b"stuck")
    await aging.all_due("blob")
    await aging.blobs.claim(limit=1)
    await aging.blobs.put_off([digest], delay=timedelta(hours=1), error="no")
    progress = await aging.queues.progress("blob", hours=1)
    assert (progress.reviewed, progress.removed, progress.failed) == (1, 0, 1)


async def test_what_is_only_busy_was_not_reviewed(aging: Aging) -> None:
    digest = await aging.push_blob(b"busy")
    await aging.all_due("blob")
    await aging.blobs.claim(limit=1)
    await aging.blobs.put_off([digest], delay=timedelta(seconds=5), error=None)
    assert (await aging.queues.progress("blob", hours=1)).reviewed == 0


async def test_older_progress_is_left_out(aging: Aging) -> None:
    await aging.push_blob(b"once")
    await aging.all_due("blob")
    await aging.collect_blobs()
    await aging.run("UPDATE gc_progress SET hour = $1", datetime.now(UTC) - 3 * timedelta(hours=1))
    assert (await aging.queues.progress("blob", hours=1)).reviewed == 0
    assert (await aging.queues.progress("blob", hours=23)).removed == 1


async def test_a_forecast_counts_what_nothing_needs_at_its_time(aging: Aging) -> None:
    await aging.push("kept", "1")
    await aging.push_blob(b"12345")
    assert await aging.forecast("blob") == [(0, 0), (0, 0), (1, 5), (1, 5), (1, 5)]
    await aging.all_due("blob")
    assert await aging.forecast("blob") == [(1, 5)] * 5
    assert await aging.forecast("manifest") == [(0, 0)] * 5


async def test_the_layers_of_a_manifest_that_goes_are_counted_a_delay_after_it(aging: Aging) -> None:
    going = await aging.push("going", "1")
    await aging.push("kept", "2")
    size = sum(len(one.body) for one in going.blobs)
    await aging.untag("1")
    assert await aging.forecast("manifest") == [(0, 0), (0, 0), (0, 0), (3, size), (3, size)]
    await aging.all_due("manifest")
    assert await aging.forecast("manifest") == [(0, 0), (0, 0), (3, size), (3, size), (3, size)]
    await aging.collect_manifests()
    # Now it is the queue of blobs that has them.
    assert await aging.forecast("manifest") == [(0, 0)] * 5
    assert await aging.forecast("blob") == [(0, 0), (0, 0), (3, size), (3, size), (3, size)]


async def test_a_layer_that_another_manifest_needs_gives_nothing_back(aging: Aging) -> None:
    shared, own = blob("shared", 100), blob("own", 10)
    configs = [config(name) for name in ("going", "kept")]
    for one in (shared, own, configs[0]):
        await aging.push_blob(one.body)
    for one in (shared, configs[1]):
        await aging.push_blob(one.body, name=OTHER)
    await aging.push_manifest(image_manifest(configs[0], [shared, own]), "1")
    await aging.push_manifest(image_manifest(configs[1], [shared]), "2", name=OTHER)
    await aging.untag("1")
    assert (await aging.forecast("manifest"))[-1] == (2, 10 + len(configs[0].body))


async def test_a_layer_of_two_manifests_that_go_is_counted_once_at_the_later_time(aging: Aging) -> None:
    shared = blob("shared", 100)
    await aging.push_blob(shared.body)
    digests = []
    for name in ("a", "b"):
        await aging.push_blob(config(name).body)
        digests.append(await aging.push_manifest(image_manifest(config(name), [shared]), name))
        await aging.untag(name)
    sizes = [len(config(name).body) for name in ("a", "b")]
    await aging.forget_all("blob")
    # One of the two is due.
    await aging.run(
        "UPDATE gc_manifest_review_queue SET review_after = $1 "
        "WHERE manifest_id = (SELECT min(manifest_id) FROM gc_manifest_review_queue)",
        datetime.now(UTC) - timedelta(seconds=1),
    )
    forecast = await aging.forecast("manifest")
    assert forecast[2] == (1, sizes[0])
    assert forecast[3] == (3, 100 + sum(sizes))


async def test_what_an_index_alone_lists_is_counted_a_delay_later_still(aging: Aging) -> None:
    one = await aging.push("platform")
    await aging.push_manifest(index([one.manifest]), "1")
    await aging.untag("1")
    size = sum(len(part.body) for part in one.blobs)
    await aging.all_due("manifest")
    assert await aging.forecast("manifest") == [(0, 0), (0, 0), (0, 0), (3, size), (3, size)]


async def test_what_another_index_lists_too_gives_nothing_back(aging: Aging) -> None:
    one = await aging.push("platform")
    await aging.push_manifest(index([one.manifest]), "1")
    await aging.push_manifest(index([one.manifest], annotations={"another": "one"}), "2")
    await aging.untag("1")
    await aging.all_due("manifest")
    assert await aging.forecast("manifest") == [(0, 0)] * 5


async def test_what_hangs_on_a_manifest_that_goes_is_counted(aging: Aging) -> None:
    subject = await aging.push("subject", "1")
    layer = blob("signature", 77)
    await aging.push_blob(layer.body)
    await aging.push_blob(config("signature").body)
    signature = image_manifest(config("signature"), [layer], subject=subject.manifest.descriptor())
    await aging.push_manifest(signature)
    await aging.untag("1")
    await aging.all_due("manifest")
    both = sum(len(part.body) for part in (*subject.blobs, layer, config("signature")))
    assert (await aging.forecast("manifest"))[-1] == (5, both)


async def test_a_deleted_manifest_still_holds_its_layers_until_it_is_reviewed(aging: Aging) -> None:
    one = await aging.push("a", "1")
    await aging.delete(one.digest)
    await aging.all_due("blob")
    assert await aging.forecast("blob") == [(0, 0)] * 5
    assert (await aging.forecast("manifest"))[3][0] == 3


async def test_a_forecast_looks_at_so_many_reviews_and_says_so(aging: Aging, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "FORECAST_LIMIT", 2)
    for content in (b"1", b"22", b"333"):
        await aging.push_blob(content)
    found = await aging.queues.forecast("blob", WITHIN)
    assert (found.within[-1].blobs, found.is_whole) == (2, False)
    monkeypatch.setattr(sql, "FORECAST_LIMIT", 3)
    assert (await aging.queues.forecast("blob", WITHIN)).is_whole
    assert promises.FORECAST_LIMIT == 20_000


async def test_what_was_deleted_can_be_hurried_and_what_was_pushed_cannot(aging: Aging) -> None:
    one = await aging.push("a", "1", "2")
    assert [await aging.queues.hurry(queue, limit=10) for queue in QUEUES] == [0, 0]
    await aging.untag("1")
    assert await aging.queues.hurry("manifest", limit=10) == 1
    assert await aging.queues.due("manifest") == 1
    await aging.forget_all("manifest")
    await aging.delete(one.digest)
    assert await aging.queues.hurry("manifest", limit=10) == 1
    await aging.collect_manifests()
    assert await aging.queues.hurry("blob", limit=2) == 2
    assert await aging.queues.hurry("blob", limit=2) == 1
    assert await aging.queues.hurry("blob", limit=2) == 0
    assert await aging.queues.due("blob") == 3


async def test_what_a_push_needs_again_is_not_hurried(aging: Aging) -> None:
    one = await aging.push("a", "1")
    await aging.delete(one.digest)
    await aging.queues.hurry("manifest", limit=10)
    await aging.collect_manifests()
    await aging.push_blob(one.blobs[1].body)
    assert await aging.queues.hurry("blob", limit=10) == 2
    await aging.collect_blobs()
    assert await aging.store.links.has(NAME, Digest.parse(one.blobs[1].digest))
    assert not await aging.store.links.has(NAME, Digest.parse(one.blobs[0].digest))


async def test_what_failed_or_is_claimed_is_not_hurried(aging: Aging) -> None:
    one = await aging.push("a", "1")
    await aging.delete(one.digest)
    await aging.queues.hurry("manifest", limit=10)
    await aging.collect_manifests()
    await aging.queues.hurry("blob", limit=2)
    claimed = await aging.blobs.claim(limit=2)
    await aging.blobs.put_off([claimed[0].digest], delay=timedelta(hours=1), error="no")
    assert await aging.queues.hurry("blob", limit=10) == 1
