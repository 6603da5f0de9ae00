"""What reviews leave, because something needs it, and when they let go of it."""

import asyncio
from datetime import timedelta

import pytest

from contract.metadata.passing import DELAY, pass_
from contract.metadata.pushing import NAME, NOBODY, OTHER, push, push_blob, push_image, referrer
from contract.metadata.stores import SqlStore, query
from moorage.metadata.reviews import Judged
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from support.images import OCI_NONDISTRIBUTABLE, blob, config, image, image_manifest, index


async def judged_when_due(store: SqlStore) -> Judged:
    """What becomes of all blobs in the queue, once their delay is over."""
    await pass_(store, DELAY)
    reviews = SqlBlobReviews(store.database)
    return await reviews.judge([each.digest for each in await reviews.claim(limit=10)])


async def test_an_index_keeps_its_children_and_lets_go_of_them_one_delay_later(sql: SqlStore) -> None:
    child = image_manifest(config("child"), [])
    parent = index([child])
    await push(sql, child)
    await push(sql, parent, "v1")
    reviews = SqlManifestReviews(sql.database)
    await pass_(sql, DELAY)
    assert not (await reviews.review(limit=10)).dropped
    assert await reviews.next_at() is None
    await sql.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    await pass_(sql, DELAY)
    assert [str(each.digest) for each in (await reviews.review(limit=10)).dropped] == [parent.digest]
    assert (await reviews.review(limit=10)).due == 0
    await pass_(sql, DELAY)
    assert [str(each.digest) for each in (await reviews.review(limit=10)).dropped] == [child.digest]


async def test_a_subject_keeps_what_refers_to_it_unless_that_was_deleted(sql: SqlStore) -> None:
    subject = await push(sql, image_manifest(config("subject"), []), "v1")
    kept = await push(sql, referrer("kept", subject))
    deleted = await push(sql, referrer("deleted", subject))
    lonely = await push(sql, referrer("lonely"))
    await sql.manifests.delete(NAME, deleted, cause=NOBODY)
    await pass_(sql, DELAY)
    reviews = SqlManifestReviews(sql.database)
    assert {each.digest for each in (await reviews.review(limit=10)).dropped} == {deleted, lonely}
    assert await sql.manifests.missing(NAME, [kept]) == set()
    await sql.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    for gone in (subject, kept):
        await pass_(sql, DELAY)
        assert [each.digest for each in (await reviews.review(limit=10)).dropped] == [gone]


async def test_what_a_sparse_manifest_named_stays_when_it_comes(sql: SqlStore) -> None:
    late, child = blob("late", 20), image_manifest(config("late child"), [])
    await push(sql, image_manifest(config("absent"), [late]), "v1")
    await push(sql, index([child]), "v2")
    digest, manifest = await push_blob(sql, late.body), await push(sql, child)
    await push_blob(sql, late.body, name=OTHER)
    await pass_(sql, DELAY)
    assert not (await SqlManifestReviews(sql.database).review(limit=10)).dropped
    reviews = SqlBlobReviews(sql.database)
    judged = await reviews.judge([each.digest for each in await reviews.claim(limit=10)])
    assert (list(judged.needed), list(judged.unneeded)) == ([digest], [])
    await reviews.forget(judged.needed)
    for tag in ("v1", "v2"):
        await sql.manifests.untag(NAME, Tag(tag), cause=NOBODY)
    await pass_(sql, DELAY)
    assert len((await SqlManifestReviews(sql.database).review(limit=10)).dropped) == 2
    await pass_(sql, DELAY)
    assert [each.digest for each in (await SqlManifestReviews(sql.database).review(limit=10)).dropped] == [manifest]
    assert digest in {each.digest for each in await reviews.claim(limit=10)}


@pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)  # SQLite's transactions are serial.
async def test_what_comes_while_a_sparse_manifest_is_pushed_stays(sql: SqlStore, other_sql: SqlStore) -> None:
    """A blob that is linked after the layers were written, and before what is absent is."""
    late = blob("just now", 20)
    content = image_manifest(config("absent"), [late])
    await push(sql, content, "v1")
    async with other_sql.database.transaction() as session:
        await session.all(query("SELECT digest FROM sparse_references FOR UPDATE"))
        again = asyncio.create_task(push(sql, content, "v1"))
        while not (await sql.rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))[0][0]:  # noqa: ASYNC110 - it waits in another process
            await asyncio.sleep(0.01)
        digest = await push_blob(sql, late.body)
    await again
    await pass_(sql, DELAY)
    reviews = SqlBlobReviews(sql.database)
    assert list((await reviews.judge([each.digest for each in await reviews.claim(limit=10)])).needed) == [digest]


async def test_an_undo_gives_everything_its_delay_back(sql: SqlStore) -> None:
    made = image("undone", layers=1)
    digest = await push_image(sql, made, "v1")
    await sql.manifests.delete(NAME, digest, cause=NOBODY)
    await pass_(sql, DELAY)
    await push(sql, made.manifest, "v1")
    assert (await SqlManifestReviews(sql.database).review(limit=10)).due == 0


async def test_an_index_that_lists_its_own_subject_goes_with_it_once_neither_has_a_tag(sql: SqlStore) -> None:
    listed = image("listed")
    await push_image(sql, listed, "v1")
    both = index([listed.manifest], subject=listed.manifest.descriptor())
    await push(sql, both)
    reviews = SqlManifestReviews(sql.database)
    await pass_(sql, DELAY)
    assert (await reviews.review(limit=10)).dropped == []  # It hangs on its subject, which has a tag.
    await sql.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
    dropped: list[Digest] = []
    for _ in range(4):
        await pass_(sql, DELAY)
        dropped += [each.digest for each in (await reviews.review(limit=10)).dropped]
    assert dropped == [Digest.parse(both.digest), Digest.parse(listed.manifest.digest)]


async def test_an_index_that_lists_its_own_subject_stays_while_somebody_may_want_that_back(sql: SqlStore) -> None:
    listed = image("listed")
    await push_image(sql, listed, "v1")
    both = index([listed.manifest], subject=listed.manifest.descriptor())
    await push(sql, both)
    reviews = SqlManifestReviews(sql.database)
    await pass_(sql, DELAY - timedelta(hours=1))
    await sql.manifests.untag(NAME, Tag("v1"), cause=NOBODY)  # It can be taken back for a day.
    await pass_(sql, timedelta(hours=2))
    assert (await reviews.review(limit=10)).dropped == []
    assert await sql.manifests.has(NAME, Digest.parse(both.digest))


@pytest.mark.parametrize("comes", ["before", "after"])
async def test_a_layer_that_may_stay_elsewhere_is_needed_where_it_was_pushed(sql: SqlStore, comes: str) -> None:
    foreign = blob("windows", 30, media_type=OCI_NONDISTRIBUTABLE)
    manifest = image_manifest(config("windows"), [foreign])
    if comes == "before":
        await push_blob(sql, foreign.body)
    await push(sql, manifest, "v1")
    digest = await push_blob(sql, foreign.body)
    judged = await judged_when_due(sql)
    assert (list(judged.needed), list(judged.unneeded)) == ([digest], [])


async def test_a_child_that_somebody_has_pushed_as_a_blob_is_needed_when_it_comes_as_a_manifest(sql: SqlStore) -> None:
    child = image_manifest(config("both"), [])
    await push_blob(sql, child.body, name=OTHER)
    await push(sql, index([child]), "v1")
    digest = await push(sql, child)
    await pass_(sql, DELAY)
    assert not (await SqlManifestReviews(sql.database).review(limit=10)).dropped
    assert await sql.manifests.missing(NAME, [digest]) == set()


async def test_a_layer_that_is_a_manifest_too_is_needed_when_it_comes_as_a_blob(sql: SqlStore) -> None:
    both = image_manifest(config("both"), [])
    await push(sql, both, "v0")
    await push(sql, image_manifest(config("outer"), [both]), "v1")
    digest = await push_blob(sql, both.body)
    judged = await judged_when_due(sql)
    assert (list(judged.needed), list(judged.unneeded)) == ([digest], [])


async def test_a_manifest_keeps_no_blob_that_only_another_repository_has(sql: SqlStore) -> None:
    theirs = blob("theirs", 40)
    digest = await push_blob(sql, theirs.body, name=OTHER)
    await push(sql, image_manifest(theirs, [theirs, blob("also theirs", media_type=OCI_NONDISTRIBUTABLE)]), "v1")
    assert [each for each, _ in (await judged_when_due(sql)).unneeded] == [digest]
