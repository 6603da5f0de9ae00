"""Notices are written with the change that they tell of, or not at all; and what becomes of them then."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contract.metadata.pushing import ABSENT, NAME, OTHER, push, push_blob, push_image
from contract.metadata.stores import SqlStore
from moorage.errors import BlobUnknown, ManifestUnknown, ReferencesUnknown
from moorage.metadata.base import Cause
from moorage.metadata.history import UndoSteps
from moorage.metadata.sql import outbox
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.outbox import SqlOutbox
from moorage.metadata.sql.renames import SqlRenames
from moorage.notifications.events import Listener
from moorage.notifications.outbox import NoticeChoice, QueuedNotice
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from support.announcing import announcer, target, told_cause
from support.images import image

TOLD = told_cause()
BOTH = told_cause(Listener(name="first"), Listener(name="second"))
NO_PULLS = dict.fromkeys(("first", "second", "told"), 0)


async def waiting(store: SqlStore, endpoint: str = "told", *, without: Sequence[str] = ()) -> Sequence[QueuedNotice]:
    return await SqlOutbox(store.database).waiting(endpoint, limit=1000, without=without)


async def told(store: SqlStore) -> list[tuple[str, str, str | None]]:
    """Action, repository and tag of what waits, in order."""
    found = [(each.action, target(each.payload)) for each in await waiting(store)]
    return [(action, str(what["repository"]), what.get("tag")) for action, what in found]  # type: ignore[misc]


async def link(store: SqlStore, content: bytes, cause: Cause = TOLD) -> Digest:
    digest = Digest.of(content)
    expectation = await store.links.expect(digest)
    assert await store.links.link(NAME, digest, expectation, size_bytes=len(content), cause=cause)
    return digest


class TestWithTheChange:
    async def test_a_push_is_told_of_for_each_tag_and_each_endpoint(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "b", "a", cause=BOTH)
        for endpoint in ("first", "second"):
            found = await waiting(sql, endpoint)
            assert [target(each.payload)["tag"] for each in found] == ["b", "a"]
            assert {each.lane for each in found} == {NAME.text}
        first, second = await waiting(sql, "first"), await waiting(sql, "second")
        assert [each.event_id for each in first] == [each.event_id for each in second]

    async def test_a_push_that_is_refused_tells_nothing(self, sql: SqlStore) -> None:
        content = image(0).manifest
        stored = StoredManifest(Digest.of(content.body), content.media_type, content.body)
        manifest = parse(content.body, content.media_type)
        with pytest.raises(ReferencesUnknown):
            await sql.manifests.put(NAME, stored, manifest, tags=[], cause=TOLD, required=[ABSENT])
        assert await told(sql) == []

    async def test_a_push_that_changes_nothing_is_told_of(self, sql: SqlStore) -> None:
        for _ in range(2):
            await push(sql, image(0).manifest, "v1", cause=TOLD)
        assert await told(sql) == [("push", NAME.text, "v1")] * 2

    async def test_blobs_are_told_of(self, sql: SqlStore) -> None:
        digest = await link(sql, b"layer")
        assert await sql.links.mount(OTHER, digest, source=NAME, size_bytes=5, cause=TOLD)
        await sql.links.unlink(NAME, digest, cause=TOLD)
        pushed, mounted, deleted = [target(each.payload) for each in await waiting(sql)]
        assert (pushed["size"], pushed["length"], pushed["digest"]) == (5, 5, str(digest))
        assert (mounted["repository"], mounted["fromRepository"]) == (OTHER.text, NAME.text)
        assert deleted == {"digest": str(digest), "repository": NAME.text}

    async def test_what_is_not_done_is_not_told_of(self, sql: SqlStore) -> None:
        assert not await sql.links.mount(OTHER, ABSENT, source=NAME, cause=TOLD)
        with pytest.raises(BlobUnknown):
            await sql.links.unlink(NAME, ABSENT, cause=TOLD)
        await push(sql, image(0).manifest)
        with pytest.raises(ManifestUnknown):
            await sql.manifests.untag(NAME, Tag("v1"), cause=TOLD)
        with pytest.raises(ManifestUnknown):
            await sql.manifests.delete(NAME, ABSENT, cause=TOLD)
        assert await told(sql) == []

    async def test_a_manifest_that_goes_tells_of_its_tags_first(self, sql: SqlStore) -> None:
        digest = await push(sql, image(0).manifest, "b", "a")
        await sql.manifests.delete(NAME, digest, cause=TOLD)
        assert await told(sql) == [("delete", NAME.text, tag) for tag in ("a", "b", None)]

    async def test_tags_that_go_together_are_each_told_of(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "a", "b")
        tags = [Tag(text) for text in ("b", "a", "none")]
        history = SqlHistory(sql.database)
        await history.delete_tags(NAME, tags, cause=TOLD, dry_run=True)
        assert await told(sql) == []
        await history.delete_tags(NAME, tags, cause=TOLD)
        assert await told(sql) == [("delete", NAME.text, "a"), ("delete", NAME.text, "b")]

    async def test_an_undo_tells_what_it_amounts_to(self, sql: SqlStore) -> None:
        first = await push_image(sql, image(0), "v1")
        await push_image(sql, image(1), "v1")
        await sql.manifests.delete(NAME, first, cause=Cause())
        await SqlHistory(sql.database).undo_tag(NAME, Tag("v1"), UndoSteps(1), expected=None, cause=TOLD, dry_run=False)
        assert await told(sql) == [("push", NAME.text, None), ("push", NAME.text, "v1")]
        again = target((await waiting(sql))[1].payload)
        assert (again["digest"], again["mediaType"]) == (str(first), image(0).manifest.media_type)

    async def test_a_rename_comes_after_what_waits_and_before_what_follows(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "before", cause=TOLD)
        await push(sql, image(0).manifest, "below", name=OTHER, cause=TOLD)
        new = RepositoryName("group/new")
        await SqlRenames(sql.database).rename(NAME, new, limit=10, cause=TOLD)
        await push(sql, image(0).manifest, "after", name=new, cause=TOLD)
        found = await waiting(sql)
        assert [each.lane for each in found] == [new.text, f"{new}/other", new.text, new.text]
        assert [target(each.payload).get("tag", each.action) for each in found] == [
            "before",
            "below",
            "rename",
            "after",
        ]


async def test_nobody_who_is_told_costs_nothing(sql: SqlStore) -> None:
    await push_image(sql, image(0), "v1")
    assert await sql.rows("SELECT * FROM notification_queue") == []


class TestWhatWaits:
    async def test_is_found_in_order_without_lanes_that_are_held(self, sql: SqlStore) -> None:
        for name in (NAME, OTHER):
            await push(sql, image(0).manifest, "v1", name=name, cause=TOLD)
        assert [each.lane for each in await waiting(sql)] == [NAME.text, OTHER.text]
        assert [each.lane for each in await waiting(sql, without=[NAME.text])] == [OTHER.text]
        assert await waiting(sql, "another") == []

    async def test_is_forgotten_once_it_has_arrived(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "a", "b", cause=TOLD)
        first, second = await waiting(sql)
        outbox = SqlOutbox(sql.database)
        await outbox.delivered([first.id])
        assert [each.id for each in await waiting(sql)] == [second.id]
        assert await outbox.payload(first.id) is None

    async def test_is_tried_until_it_has_failed_for_good_and_then_again_on_command(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "a", "b", cause=TOLD)
        first, second = await waiting(sql)
        outbox, at = SqlOutbox(sql.database), datetime.now(UTC)
        await outbox.missed(first.id, error="no", at=at, is_final=False)
        assert [(each.tries, each.error) for each in await waiting(sql)] == [(1, "no"), (0, None)]
        await outbox.missed(first.id, error="never", at=at, is_final=True)
        assert [each.id for each in await waiting(sql)] == [second.id]
        (failed,) = await outbox.listed(NoticeChoice(), after=0, limit=10)
        assert (failed.id, failed.tries, failed.error, failed.failed_at) == (first.id, 2, "never", at)
        (queue,) = await outbox.queues()
        assert (queue.endpoint, queue.waiting, queue.failed, queue.error) == ("told", 1, 1, "never")
        assert await outbox.retry(NoticeChoice(endpoint="another")) == 0
        assert await outbox.retry(NoticeChoice(ids=[second.id])) == 0
        assert await outbox.retry(NoticeChoice(endpoint="told")) == 1
        assert [(each.id, each.tries) for each in await waiting(sql)] == [(first.id, 0), (second.id, 0)]

    async def test_is_dropped_on_command(self, sql: SqlStore) -> None:
        await push(sql, image(0).manifest, "a", "b", "c", cause=TOLD)
        outbox = SqlOutbox(sql.database)
        first, second, _ = await waiting(sql)
        await outbox.missed(first.id, error="no", at=datetime.now(UTC), is_final=True)
        assert await outbox.drop(NoticeChoice(ids=[second.id])) == 0
        assert await outbox.drop(NoticeChoice(ids=[second.id], waits=True)) == 1
        assert await outbox.drop(NoticeChoice(endpoint="told")) == 1
        assert [target(each.payload)["tag"] for each in await waiting(sql)] == ["c"]
        assert await outbox.listed(NoticeChoice(), after=0, limit=10) == []

    async def test_a_large_event_is_read_only_to_be_sent(self, sql: SqlStore) -> None:
        made = announcer(includes_references=True)
        await push(sql, image(0, layers=600).manifest, "v1", cause=Cause(announcer=made))
        (found,) = await waiting(sql)
        assert found.payload is None
        payload = await SqlOutbox(sql.database).payload(found.id)
        assert payload is not None
        assert len(json.loads(payload)["target"]["references"]) == 601


async def test_pulls_and_refusals_wait_up_to_a_limit_and_changes_always(sql: SqlStore) -> None:
    outbox, made = SqlOutbox(sql.database), announcer()
    pulls = [notice for _ in range(2) for notice in made.blob_pulled(NAME, ABSENT, 1, is_redirected=False)]
    refused = [replace(pulls[0], action="refuse")]
    assert await outbox.add([*pulls[:1], *refused], limits={"told": 2}) == []
    assert await outbox.add(pulls[1:], limits={"told": 2}) == pulls[1:]
    await push(sql, image(0).manifest, "v1", cause=TOLD)
    assert [each.action for each in await waiting(sql)] == ["pull", "refuse", "push"]


async def test_what_another_process_tells_comes_after_what_it_could_have_seen(
    sql: SqlStore, other_sql: SqlStore
) -> None:
    for number in range(20):
        await push(other_sql if number % 2 else sql, image(number).manifest, "v1", cause=TOLD)
    digests = [target(each.payload)["digest"] for each in await waiting(sql)]
    assert digests == [str(Digest.of(image(number).manifest.body)) for number in range(20)]


async def test_a_blob_that_is_pushed_is_told_of_by_its_size(sql: SqlStore) -> None:
    await push_blob(sql, b"untold")
    await link(sql, b"12345678")
    (found,) = await waiting(sql)
    assert (found.artifact, target(found.payload)["size"]) == ("blob", 8)


async def test_behind_very_much_that_is_held_the_first_of_each_other_lane_is_found(
    sql: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_OLDEST", 2)
    monkeypatch.setattr(outbox, "_PORTION", 2)
    first, second, third = (RepositoryName(f"other/app{number}") for number in range(3))
    for name in (NAME, NAME, NAME, third, first, second, first):
        await push(sql, image(0).manifest, "v1", name=name, cause=TOLD)
    assert [each.lane for each in await waiting(sql, without=[NAME.text])] == [third.text, first.text, second.text]
    assert [each.lane for each in await waiting(sql, without=[NAME.text, third.text])] == [first.text, second.text]
    assert await waiting(sql, without=[NAME.text, first.text, second.text, third.text]) == []
    # All of them, though one statement drops two.
    assert await SqlOutbox(sql.database).drop(NoticeChoice(waits=True)) == 7
    assert await waiting(sql) == []
