"""Why something stays, or when it goes: what is said is what a review does."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import ABSENT, NAME, NEVER, OTHER, tags_of
from contract.metadata_collection.aging import DAY, Aging
from moorage.errors import NameUnknown
from moorage.metadata.explanations import SHOWN_LIMIT
from moorage.oci.digests import Digest
from support.images import OCI_NONDISTRIBUTABLE, Content, Image, artifact, blob, config, image_manifest, index

SOON = timedelta(seconds=10)


def about(moment: datetime | None, expected: timedelta) -> bool:
    """Whether a moment is so far from now."""
    return moment is not None and abs(moment - datetime.now(UTC) - expected) < SOON


def layer_of(image: Image) -> Content:
    return image.blobs[1]


class TestManifests:
    """What hangs on tags, indexes, subjects and what is awaited."""

    async def test_a_tagged_manifest_is_kept_by_its_tags(self, aging: Aging) -> None:
        one = await aging.push("a", "1", "latest")
        found = await aging.explain(one.digest)
        assert (found.kind, found.verdict, found.tags) == ("manifest", "kept", tags_of("1", "latest"))
        assert (found.holders, found.has_more, found.changed) == ([], False, None)
        assert found.size_bytes == len(one.manifest.body)
        assert found.delay == DAY

    async def test_a_manifest_without_a_tag_goes_when_its_review_is_due(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.untag("1", request="oops")
        found = await aging.explain(one.digest)
        assert (found.verdict, found.is_needed, found.deleted_at) == ("goes", False, None)
        assert found.review is not None
        assert found.review.event == "tag_delete"
        assert about(found.review.due_at, DAY)
        assert found.changed is not None
        assert (found.changed.action, found.changed.tag) == ("tag_delete", tags_of("1")[0])
        assert (found.changed.actor, found.changed.request_id) == ("ada", "oops")
        assert about(found.changed.at, timedelta(0))

    async def test_a_tag_that_moved_is_the_last_change_of_what_it_left(self, aging: Aging) -> None:
        first = await aging.push("a", "1")
        second = await aging.push("b", "1")
        found = await aging.explain(first.digest)
        assert found.changed is not None
        assert (found.verdict, found.changed.action) == ("goes", "tag_move")
        assert (await aging.explain(second.digest)).verdict == "kept"

    async def test_a_deleted_manifest_can_come_back_until_its_review(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.delete(one.digest)
        found = await aging.explain(one.digest)
        assert (found.verdict, found.tags) == ("goes", [])
        assert about(found.deleted_at, timedelta(0))
        assert found.changed is not None
        assert found.changed.action in ("manifest_delete", "tag_delete")
        await aging.all_due("manifest")
        await aging.collect_manifests()
        assert await aging.explanations.explain(NAME, Digest.parse(one.digest)) == []

    async def test_what_an_index_lists_is_kept_by_it(self, aging: Aging) -> None:
        one = await aging.push("a")
        parent = await aging.push_manifest(index([one.manifest]), "latest")
        found = await aging.explain(one.digest)
        assert found.verdict == "kept"
        (holder,) = found.holders
        assert (holder.digest, holder.role, holder.tag) == (parent, "child", tags_of("latest")[0])
        assert (holder.is_deleted, holder.goes_at) == (False, None)

    async def test_an_index_that_goes_says_when(self, aging: Aging) -> None:
        one = await aging.push("a")
        await aging.push_manifest(index([one.manifest]), "latest")
        await aging.untag("latest")
        (holder,) = (await aging.explain(one.digest)).holders
        assert holder.tag is None
        assert about(holder.goes_at, DAY)

    async def test_what_has_a_subject_hangs_on_it(self, aging: Aging) -> None:
        subject = await aging.push("a", "1")
        signature = artifact("signature", subject.manifest, artifact_type="a/signature")
        digest = await aging.push_manifest(signature.manifest)
        found = await aging.explain(digest)
        assert found.verdict == "kept"
        (holder,) = found.holders
        assert (str(holder.digest), holder.role) == (subject.digest, "subject")

    async def test_what_was_deleted_does_not_hang_on_its_subject_any_more(self, aging: Aging) -> None:
        subject = await aging.push("a", "1")
        digest = await aging.push_manifest(artifact("s", subject.manifest, artifact_type="a/signature").manifest)
        await aging.delete(str(digest))
        found = await aging.explain(digest)
        assert (found.verdict, found.holders) == ("goes", [])

    async def test_a_subject_that_is_not_there_keeps_nothing(self, aging: Aging) -> None:
        absent = Content("application/vnd.oci.image.manifest.v1+json", b"never pushed")
        digest = await aging.push_manifest(artifact("s", absent, artifact_type="a/signature").manifest)
        found = await aging.explain(digest)
        assert (found.verdict, found.holders) == ("goes", [])

    async def test_what_an_index_awaited_is_kept_by_it(self, aging: Aging) -> None:
        later = image_manifest(config("later"), [])
        parent = await aging.push_manifest(index([later]), "sparse")
        digest = await aging.push_manifest(later)
        found = await aging.explain(digest)
        assert found.verdict == "kept"
        assert [(holder.digest, holder.role) for holder in found.holders] == [(parent, "awaited")]

    async def test_a_manifest_that_no_review_will_look_at_is_unscheduled(self, aging: Aging) -> None:
        one = await aging.push("a")
        await aging.forget_all("manifest")
        found = await aging.explain(one.digest)
        assert (found.verdict, found.review) == ("unscheduled", None)

    async def test_only_so_many_tags_are_named(self, aging: Aging) -> None:
        names = [f"v{number:03}" for number in range(SHOWN_LIMIT + 1)]
        one = await aging.push("a", *names)
        found = await aging.explain(one.digest)
        assert (found.tags, found.has_more) == (tags_of(*names[:SHOWN_LIMIT]), True)


class TestBlobs:
    """What manifests need."""

    async def test_a_layer_is_kept_by_its_manifest(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        found = await aging.explain(layer_of(one).digest)
        assert (found.kind, found.verdict, found.size_bytes) == ("blob", "kept", 1000)
        (holder,) = found.holders
        assert (str(holder.digest), holder.role, holder.tag) == (one.digest, "layer", tags_of("1")[0])
        assert (await aging.explain(one.blobs[0].digest)).holders[0].role == "config"

    async def test_a_layer_is_kept_while_its_manifest_can_come_back(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.delete(one.digest)
        found = await aging.explain(layer_of(one).digest)
        assert found.verdict == "kept"
        (holder,) = found.holders
        assert (holder.is_deleted, holder.tag) == (True, None)
        assert about(holder.goes_at, DAY)

    async def test_it_goes_a_delay_after_its_manifest_went(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.delete(one.digest)
        await aging.all_due("manifest")
        await aging.collect_manifests()
        found = await aging.explain(layer_of(one).digest)
        assert (found.verdict, found.holders) == ("goes", [])
        assert found.review is not None
        assert found.review.event == "layer_delete"
        assert about(found.review.due_at, DAY)
        await aging.all_due("blob")
        await aging.collect_blobs()
        assert await aging.explanations.explain(NAME, Digest.parse(layer_of(one).digest)) == []

    async def test_a_blob_that_nobody_used_yet_goes_a_delay_after_its_push(self, aging: Aging) -> None:
        digest = await aging.push_blob(b"alone")
        found = await aging.explain(digest)
        assert found.verdict == "goes"
        assert found.review is not None
        assert found.review.event == "blob_upload"

    async def test_of_other_repositories_only_whether_they_need_it(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.push("a", "secret", name=OTHER)
        await aging.delete(one.digest)
        await aging.all_due("manifest")
        await aging.collect_manifests()
        found = await aging.explain(layer_of(one).digest)
        assert (found.verdict, found.holders, found.is_needed_elsewhere) == ("kept", [], True)

    async def test_what_only_other_repositories_have_is_not_known(self, aging: Aging) -> None:
        await aging.push("mine", "1")
        one = await aging.push("a", "1", name=OTHER)
        named = [layer_of(one), replace(layer_of(one), media_type=OCI_NONDISTRIBUTABLE)]
        await aging.push_manifest(image_manifest(named[0], named), "naming-it")
        for digest in (one.digest, layer_of(one).digest):
            assert await aging.explanations.explain(NAME, Digest.parse(digest)) == []

    async def test_a_blob_that_was_taken_out_is_kept_by_what_needs_it(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        # Of a manifest that is deleted itself, and can still come back.
        await aging.store.manifests.delete(NAME, Digest.parse(one.digest), cause=aging.cause())
        await aging.store.links.unlink(NAME, Digest.parse(layer_of(one).digest), cause=aging.cause())
        found = await aging.explain(layer_of(one).digest)
        assert found.verdict == "kept"
        assert about(found.deleted_at, timedelta(0))
        assert found.changed is not None
        assert found.changed.action == "blob_delete"

    async def test_a_claimed_blob_says_until_when(self, aging: Aging) -> None:
        digest = await aging.push_blob(b"alone")
        await aging.all_due("blob")
        await aging.blobs.claim(limit=1)
        found = await aging.explain(digest)
        assert found.verdict == "claimed"
        assert found.review is not None
        assert about(found.review.claimed_until, timedelta(seconds=60))

    async def test_failed_attempts_say_why(self, aging: Aging) -> None:
        digest = await aging.push_blob(b"alone")
        await aging.all_due("blob")
        await aging.blobs.claim(limit=1)
        await aging.blobs.put_off([digest], delay=timedelta(hours=1), error="disk on fire")
        found = await aging.explain(digest)
        assert found.verdict == "goes"
        assert found.review is not None
        assert (found.review.attempts, found.review.error) == (1, "disk on fire")
        assert about(found.review.due_at, timedelta(hours=1))

    async def test_missing_bytes_are_mentioned(self, aging: Aging) -> None:
        one = await aging.push("a", "1")
        await aging.break_bytes_of(layer_of(one).digest)
        assert about((await aging.explain(layer_of(one).digest)).missing_since, timedelta(0))

    async def test_only_so_many_manifests_are_named(self, aging: Aging) -> None:
        layer = blob("popular")
        await aging.push_blob(layer.body)
        for number in range(SHOWN_LIMIT + 1):
            await aging.push_manifest(image_manifest(config("same"), [layer], annotations={"number": str(number)}))
        found = await aging.explain(layer.digest)
        assert (len(found.holders), found.has_more) == (SHOWN_LIMIT, True)


async def test_what_is_a_manifest_and_a_blob_is_explained_as_both(aging: Aging) -> None:
    one = await aging.push("a", "1")
    await aging.push_blob(one.manifest.body)
    found = await aging.explanations.explain(NAME, Digest.parse(one.digest))
    assert [(item.kind, item.verdict) for item in found] == [("manifest", "kept"), ("blob", "goes")]


async def test_what_is_not_there_is_not_known(aging: Aging) -> None:
    with pytest.raises(NameUnknown):
        await aging.explanations.explain(NEVER, ABSENT)
    await aging.push("a", "1")
    assert await aging.explanations.explain(NAME, ABSENT) == []
