"""Reviews: what a collector is promised, and what others are promised while it is at work."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from contract.metadata.passing import DELAY, pass_
from contract.metadata.pushing import NAME, NOBODY, OTHER, push_blob, push_image
from contract.metadata.stores import SqlStore, query
from moorage.errors import BeingRemoved, DatabaseContended
from moorage.metadata.base import LinkedBlob, RemovalWatch
from moorage.metadata.sql import links
from moorage.metadata.sql import reviews as reviews_module
from moorage.metadata.sql.journal_rows import QUERIES
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews, SqlReviewDelay
from moorage.oci.digests import Digest
from moorage.sql.base import Transaction
from support.images import image

BODY = b"some bytes"
DIGEST = Digest.of(BODY)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_REMOVAL_PATIENCE_S", 0.0)


async def queued(store: SqlStore) -> set[Digest]:
    rows = await store.rows("SELECT digest FROM gc_blob_review_queue")
    return {Digest.parse("sha256:" + bytes(row[0])[1:].hex()) for row in rows}


async def claimed_blob(store: SqlStore) -> SqlBlobReviews:
    """A blob that was pushed and is claimed."""
    await push_blob(store, BODY)
    await pass_(store, DELAY)
    reviews = SqlBlobReviews(store.database)
    assert [review.digest for review in await reviews.claim(limit=10)] == [DIGEST]
    return reviews


async def test_nothing_is_due_before_the_delay_is_over(sql: SqlStore) -> None:
    await push_blob(sql, BODY)
    reviews = SqlBlobReviews(sql.database)
    await pass_(sql, DELAY - timedelta(minutes=1))
    assert await reviews.claim(limit=10) == []
    assert await reviews.next_at() is not None
    await pass_(sql, timedelta(minutes=2))
    assert [(review.digest, review.event) for review in await reviews.claim(limit=10)] == [(DIGEST, "blob_upload")]


async def test_what_is_claimed_is_nobody_elses_until_the_claim_ends(sql: SqlStore, other_sql: SqlStore) -> None:
    await claimed_blob(sql)
    other = SqlBlobReviews(other_sql.database)
    assert await other.claim(limit=10) == []
    await pass_(sql, timedelta(seconds=61))
    assert [review.digest for review in await other.claim(limit=10)] == [DIGEST]


async def test_the_longest_waiting_come_first(sql: SqlStore) -> None:
    first = await push_blob(sql, b"first")
    await pass_(sql, timedelta(hours=1))
    await push_blob(sql, b"second")
    await pass_(sql, DELAY)
    assert [review.digest for review in await SqlBlobReviews(sql.database).claim(limit=1)] == [first]


async def test_an_unneeded_blob_is_gone_at_once_and_known_until_its_bytes_are(sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    judged = await reviews.judge([DIGEST])
    assert (judged.needed, judged.busy, list(judged.unneeded)) == ([], [], [(DIGEST, len(BODY))])
    assert await sql.links.missing(NAME, [DIGEST]) == {DIGEST}
    assert await queued(sql) == {DIGEST}
    await reviews.finish({DIGEST: len(BODY)})
    assert await reviews.next_at() is None


async def test_bytes_that_no_row_knows_are_unneeded(sql: SqlStore) -> None:
    await sql.links.expect(DIGEST)
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    assert [review.digest for review in await reviews.claim(limit=10)] == [DIGEST]
    assert list((await reviews.judge([DIGEST])).unneeded) == [(DIGEST, None)]


async def test_layers_and_configurations_are_needed_and_forgotten(sql: SqlStore) -> None:
    made = image("needed")
    await push_image(sql, made, "v1")
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    claims = [review.digest for review in await reviews.claim(limit=10)]
    judged = await reviews.judge(claims)
    assert set(judged.needed) == {Digest.parse(each.digest) for each in made.blobs}
    await reviews.forget(judged.needed)
    assert await reviews.next_at() is None


async def test_what_happens_to_a_claimed_blob_makes_it_busy_and_keeps_its_time(sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    await sql.links.unlink(NAME, DIGEST, cause=NOBODY)
    assert list((await reviews.judge([DIGEST])).busy) == [DIGEST]
    await reviews.put_off([DIGEST], delay=timedelta(0), error=None)
    assert await reviews.claim(limit=10) == []  # The event has its whole delay.
    await pass_(sql, DELAY)
    assert [review.digest for review in await reviews.claim(limit=10)] == [DIGEST]


async def test_forgetting_leaves_what_something_happened_to(sql: SqlStore) -> None:
    made = image("forgotten", layers=1)
    digest = await push_image(sql, made)
    await pass_(sql, DELAY, "gc_blob_review_queue")
    reviews = SqlBlobReviews(sql.database)
    needed = (await reviews.judge([review.digest for review in await reviews.claim(limit=10)])).needed
    await pass_(sql, DELAY, "gc_manifest_review_queue")
    dropped = (await SqlManifestReviews(sql.database).review(limit=10)).dropped
    assert [manifest.digest for manifest in dropped] == [digest]
    await reviews.forget(needed)
    assert await queued(sql) == set(needed)


async def test_who_has_lost_a_claim_can_do_nothing_with_it(sql: SqlStore, other_sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    await pass_(sql, timedelta(seconds=61))
    other = SqlBlobReviews(other_sql.database)
    await other.claim(limit=10)
    assert not list((await reviews.judge([DIGEST])).unneeded)
    assert list(await reviews.prolong([DIGEST])) == []
    await reviews.finish({DIGEST: 0})
    await reviews.forget([DIGEST])
    await reviews.put_off([DIGEST], delay=timedelta(0), error="too late")
    assert list(await other.prolong([DIGEST])) == [DIGEST]


async def test_a_claim_that_ends_too_soon_is_no_reason_to_begin(sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    await pass_(sql, timedelta(seconds=45))
    judged = await reviews.judge([DIGEST])
    assert not judged.unneeded
    assert await sql.links.missing(NAME, [DIGEST]) == set()


async def test_a_prolonged_claim_lasts(sql: SqlStore, other_sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    await pass_(sql, timedelta(seconds=45))
    assert list(await reviews.prolong([DIGEST])) == [DIGEST]
    await pass_(sql, timedelta(seconds=30))
    assert await SqlBlobReviews(other_sql.database).claim(limit=10) == []
    assert list(await reviews.prolong([DIGEST])) == [DIGEST]
    assert list((await reviews.judge([DIGEST])).unneeded) == [(DIGEST, len(BODY))]


async def test_a_failed_attempt_is_counted_and_its_reason_kept(sql: SqlStore) -> None:
    reviews = await claimed_blob(sql)
    await reviews.put_off([DIGEST], delay=timedelta(minutes=5), error="the disk is away")
    ((count, error),) = await sql.rows("SELECT review_count, last_error FROM gc_blob_review_queue")
    assert (count, error) == (1, "the disk is away")
    await pass_(sql, timedelta(minutes=5))
    assert [review.attempts for review in await reviews.claim(limit=10)] == [1]


async def test_a_push_waits_while_the_blob_is_claimed_and_is_refused_in_the_end(sql: SqlStore) -> None:
    await claimed_blob(sql)
    with pytest.raises(BeingRemoved):
        await sql.links.expect(DIGEST)
    await pass_(sql, timedelta(seconds=61))
    await sql.links.expect(DIGEST)


async def test_a_push_goes_on_when_the_blob_is_removed(sql: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_REMOVAL_PATIENCE_S", 30.0)
    reviews = await claimed_blob(sql)
    await reviews.judge([DIGEST])
    push_ = asyncio.create_task(sql.links.expect(DIGEST))
    await asyncio.sleep(0.1)
    assert not push_.done()
    await reviews.finish({DIGEST: 0})
    assert await sql.links.link(NAME, DIGEST, await push_, size_bytes=len(BODY))


@pytest.mark.parametrize("end", ["finished", "crashed", "failed", "needed after all"])
async def test_nothing_is_linked_that_was_claimed_since_it_was_expected(sql: SqlStore, end: str) -> None:
    """However the claim ended: the bytes may have gone meanwhile."""
    expectation = await sql.links.expect(DIGEST)
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    await reviews.claim(limit=10)
    await reviews.judge([DIGEST])
    assert not await sql.links.link(NAME, DIGEST, expectation, size_bytes=len(BODY))
    if end == "finished":
        await reviews.finish({DIGEST: 0})
    elif end == "crashed":
        await pass_(sql, timedelta(seconds=61))
    elif end == "failed":
        await reviews.put_off([DIGEST], delay=timedelta(minutes=5), error="not durable, but gone")
    else:
        await reviews.forget([DIGEST])
    assert not await sql.links.link(NAME, DIGEST, expectation, size_bytes=len(BODY))
    assert await sql.links.missing(NAME, [DIGEST]) == {DIGEST}
    again = await sql.links.expect(DIGEST)
    assert await sql.links.link(NAME, DIGEST, again, size_bytes=len(BODY))


async def watching(sql: SqlStore) -> RemovalWatch:
    watch = await sql.links.watch()
    assert watch is not None
    return watch


async def test_a_placed_blob_is_linked_without_an_expectation_and_reviewed_after_its_delay(sql: SqlStore) -> None:
    for _ in range(2):
        assert await sql.links.link(NAME, DIGEST, await watching(sql), size_bytes=len(BODY))
        assert await sql.links.find(NAME, DIGEST) == LinkedBlob(len(BODY))
        assert await SqlBlobReviews(sql.database).claim(limit=10) == []
    await pass_(sql, DELAY)
    assert [review.digest for review in await SqlBlobReviews(sql.database).claim(limit=10)] == [DIGEST]


@pytest.mark.parametrize("end", ["finished", "crashed", "failed", "needed after all"])
async def test_a_placed_blob_is_not_linked_if_it_was_claimed_since_it_was_watched(sql: SqlStore, end: str) -> None:
    """Whenever the claim began, and however it ended: the bytes may have gone meanwhile."""
    reviews = await claimed_blob(sql)
    watch = await watching(sql)
    await reviews.judge([DIGEST])
    assert not await sql.links.link(NAME, DIGEST, watch, size_bytes=len(BODY))
    if end == "finished":
        await reviews.finish({DIGEST: 0})
    elif end == "crashed":
        await pass_(sql, timedelta(seconds=61))
    elif end == "failed":
        await reviews.put_off([DIGEST], delay=timedelta(minutes=5), error="not durable, but gone")
    else:
        await reviews.forget([DIGEST])
    is_linked = await sql.links.link(NAME, DIGEST, watch, size_bytes=len(BODY))
    assert is_linked is (end == "needed after all"), "then nothing was removed"
    assert await sql.links.has(NAME, DIGEST) is is_linked
    if end != "crashed":
        assert await sql.links.link(NAME, DIGEST, await watching(sql), size_bytes=len(BODY))


async def test_who_expected_a_blob_that_was_linked_without_it_meanwhile_can_link_it_too(sql: SqlStore) -> None:
    expectation = await sql.links.expect(DIGEST)
    assert await sql.links.link(NAME, DIGEST, await watching(sql), size_bytes=len(BODY))
    assert await sql.links.link(OTHER, DIGEST, expectation, size_bytes=len(BODY))


async def test_a_mount_does_not_wait_and_gives_the_blob_its_delay_back(sql: SqlStore) -> None:
    await push_blob(sql, BODY)
    await pass_(sql, DELAY)
    assert await sql.links.mount(OTHER, DIGEST, source=NAME)
    reviews = SqlBlobReviews(sql.database)
    assert await reviews.claim(limit=10) == []
    await pass_(sql, DELAY)
    await reviews.claim(limit=10)
    assert not await sql.links.mount(OTHER, DIGEST, source=NAME)
    assert not await sql.links.mount(OTHER, DIGEST, source=None)


async def test_a_promise_puts_off_a_review_that_is_near_and_not_one_that_is_far(sql: SqlStore) -> None:
    await push_blob(sql, BODY)
    reviews = SqlBlobReviews(sql.database)
    far = await reviews.next_at()
    assert await sql.links.promise(NAME, DIGEST)
    assert await reviews.next_at() == far
    await pass_(sql, DELAY * 0.6)
    assert await sql.links.promise(NAME, DIGEST)
    await pass_(sql, DELAY * 0.9)
    assert await reviews.claim(limit=10) == []


@pytest.mark.parametrize("delay", [DELAY, timedelta(seconds=30)], ids=["a day", "shorter than a claim"])
async def test_nothing_is_promised_that_is_claimed(sql: SqlStore, delay: timedelta) -> None:
    await SqlReviewDelay(sql.database).set(delay)
    try:
        reviews = await claimed_blob(sql)
        assert not await sql.links.promise(NAME, DIGEST)
        await reviews.judge([DIGEST])
        assert not await sql.links.promise(NAME, DIGEST)
    finally:
        await SqlReviewDelay(sql.database).set(DELAY)


async def test_a_promise_puts_off_nothing_whose_row_has_gone(sql: SqlStore) -> None:
    """Between the question and putting off, a collector took the row and failed to remove the bytes."""
    await push_blob(sql, BODY)
    await pass_(sql, DELAY)
    asked = await sql.database.first(QUERIES["asked_blob"], NAME.text, b"\x01" + bytes.fromhex(DIGEST.encoded))
    assert asked is not None
    reviews = SqlBlobReviews(sql.database)
    await reviews.claim(limit=10)
    await reviews.judge([DIGEST])
    await reviews.put_off([DIGEST], delay=timedelta(minutes=5), error="no")
    key = b"\x01" + bytes.fromhex(DIGEST.encoded)
    assert not await sql.database.write(QUERIES["put_off_blob"], key)


async def test_what_is_needed_can_be_promised_though_no_review_waits(sql: SqlStore) -> None:
    made = image("promised", layers=1)
    await push_image(sql, made, "v1")
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    await reviews.forget((await reviews.judge([each.digest for each in await reviews.claim(limit=10)])).needed)
    assert await sql.links.promise(NAME, Digest.parse(made.blobs[1].digest))


async def test_what_is_needed_is_promised_while_it_is_claimed_and_kept_for_a_delay_when_it_loses_its_need(
    sql: SqlStore,
) -> None:
    made = image("promised", layers=1)
    layer = Digest.parse(made.blobs[1].digest)
    manifest = await push_image(sql, made)
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    claimed = [each.digest for each in await reviews.claim(limit=10)]
    assert await sql.links.promise(NAME, layer)
    assert [each.digest for each in (await SqlManifestReviews(sql.database).review(limit=10)).dropped] == [manifest]
    judged = await reviews.judge(claimed)
    assert (set(judged.busy), list(judged.unneeded)) == (set(claimed), [])
    await reviews.put_off(judged.busy, delay=timedelta(0), error=None)
    await pass_(sql, DELAY * 0.9)
    assert await reviews.claim(limit=10) == []


@pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)  # SQLite has one writer.
async def test_an_event_while_a_blob_is_judged_gives_it_its_delay(
    sql: SqlStore, other_sql: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last manifest with a layer goes when the collector is about to ask who needs it."""
    made = image("judged", layers=1)
    await push_image(sql, made)
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    claimed = [each.digest for each in await reviews.claim(limit=10)]
    ask = reviews_module._ids

    async def late(session: Transaction, name: str, ids: Sequence[int]) -> set[int]:
        await other_sql.database.write(query("DELETE FROM manifests WHERE payload IS NOT NULL RETURNING id"))
        return await ask(session, name, ids)

    monkeypatch.setattr(reviews_module, "_ids", late)
    judged = await reviews.judge(claimed)
    assert (set(judged.busy), list(judged.unneeded)) == (set(claimed), [])


@pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)  # SQLite has one writer.
async def test_what_ends_a_claim_does_not_make_clients_wait_for_it(sql: SqlStore, other_sql: SqlStore) -> None:
    """On PostgreSQL it gives way before a deadlock is looked for; nothing was changed, and it can be done again."""
    reviews = await claimed_blob(sql)
    async with other_sql.database.transaction() as session:
        await session.all(query("UPDATE gc_blob_review_queue SET event = event"))
        for end in (reviews.forget([DIGEST]), reviews.finish({DIGEST: 0})):
            with pytest.raises(DatabaseContended):
                await end
    await reviews.finish({DIGEST: 0})
    assert await queued(sql) == set()


async def test_the_delay_is_set_once_for_every_event(sql: SqlStore) -> None:
    delay = SqlReviewDelay(sql.database)
    try:
        assert await delay.set(timedelta(hours=1))
        assert not await delay.set(timedelta(hours=1))
        await push_blob(sql, BODY)
        await pass_(sql, timedelta(hours=1))
        assert len(await SqlBlobReviews(sql.database).claim(limit=10)) == 1
    finally:
        await delay.set(DELAY)


async def test_after_a_clock_that_was_a_year_ahead_nobody_waits_for_a_year(sql: SqlStore) -> None:
    made = image("pushed in a year that has not come", layers=1)
    reviews, delays = await claimed_blob(sql), SqlReviewDelay(sql.database)
    digest = await push_image(sql, made)
    assert await delays.mend() == 0
    await pass_(sql, timedelta(days=-365))
    with pytest.raises(BeingRemoved):
        await sql.links.expect(DIGEST)
    assert await delays.mend() == 1 + 1 + len(made.blobs)
    with pytest.raises(BeingRemoved):  # Whoever claimed it may still be at it, for as long as a claim lasts.
        await sql.links.expect(DIGEST)
    assert list((await reviews.judge([DIGEST])).unneeded) == [(DIGEST, len(BODY))]
    await pass_(sql, timedelta(seconds=61))
    await sql.links.expect(DIGEST)
    await pass_(sql, DELAY)
    assert [each.digest for each in (await SqlManifestReviews(sql.database).review(limit=10)).dropped] == [digest]
    assert await delays.mend() == 0
