"""What the SQL stores keep for others to read: sizes, references, configurations, and the queues of collection."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import ABSENT, NAME, NOBODY, OTHER, push, push_blob, push_image, referrer
from contract.metadata.stores import SqlStore, query
from moorage.metadata.base import Cause
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import moment
from support.images import OCI_NONDISTRIBUTABLE, Content, blob, config, image, image_manifest, index

DAY = timedelta(days=1)

_MANIFEST = """
SELECT m.size, m.total_size, m.config_media_type, m.config_payload, m.subject_digest, m.artifact_type
FROM manifests m WHERE m.digest = $1
"""
_LAYERS = """
SELECT b.digest FROM manifests m JOIN layers l ON l.manifest_id = m.id JOIN blobs b ON b.id = l.blob_id
WHERE m.digest = $1
"""
_CONFIG = "SELECT b.digest FROM manifests m JOIN blobs b ON b.id = m.config_blob_id WHERE m.digest = $1"
_CHILDREN = """
SELECT c.digest FROM manifests m JOIN manifest_references r ON r.parent_id = m.id JOIN manifests c ON c.id = r.child_id
WHERE m.digest = $1
"""
_MANIFEST_REVIEW = """
SELECT q.event, q.review_after FROM gc_manifest_review_queue q JOIN manifests m ON m.id = q.manifest_id
WHERE m.digest = $1
"""
_BLOB_REVIEW = "SELECT event, review_after FROM gc_blob_review_queue WHERE digest = $1"


async def digests(store: SqlStore, text: str, digest: Digest) -> set[Digest]:
    return {digest_of(bytes(key)) for (key,) in await store.rows(text, digest_key(digest))}


def of(contents: Sequence[Content]) -> set[Digest]:
    return {Digest.parse(content.digest) for content in contents}


class TestManifests:
    async def test_an_image_names_its_configuration_and_layers(self, sql: SqlStore) -> None:
        made = image("a", layers=3)
        digest = await push_image(sql, made)
        assert await digests(sql, _CONFIG, digest) == of(made.blobs[:1])
        assert await digests(sql, _LAYERS, digest) == of(made.blobs[1:])

    async def test_sizes_are_those_of_the_payload_and_of_all(self, sql: SqlStore) -> None:
        made = image("a", layers=3)
        digest = await push_image(sql, made)
        ((size, total, *_),) = await sql.rows(_MANIFEST, digest_key(digest))
        assert size == len(made.manifest.body)
        assert total == size + sum(len(part.body) for part in made.blobs)

    async def test_a_layer_named_twice_is_one_reference(self, sql: SqlStore) -> None:
        layer = blob("layer")
        content = image_manifest(config("a"), [layer, layer, config("a")])
        for part in (layer, config("a")):
            await push_blob(sql, part.body)
        digest = await push(sql, content)
        assert await digests(sql, _LAYERS, digest) >= of([layer])
        assert await digests(sql, _CONFIG, digest) == of([config("a")])

    async def test_an_index_names_its_children_and_the_layers_that_it_lists(self, sql: SqlStore) -> None:
        children, layer = [image("a"), image("b")], blob("cached layer")
        for child in children:
            await push_image(sql, child)
        await push_blob(sql, layer.body)
        digest = await push(sql, index([*(child.manifest for child in children), layer]))
        assert await digests(sql, _CHILDREN, digest) == of([child.manifest for child in children])
        assert await digests(sql, _LAYERS, digest) == of([layer])

    async def test_an_index_of_an_index_names_it(self, sql: SqlStore) -> None:
        inner = index([])
        inside = await push(sql, inner)
        digest = await push(sql, index([inner]))
        assert await digests(sql, _CHILDREN, digest) == {inside}

    async def test_layers_elsewhere_are_not_asked_for(self, sql: SqlStore) -> None:
        foreign = blob("windows", media_type=OCI_NONDISTRIBUTABLE)
        await push_blob(sql, config("a").body)
        digest = await push(sql, image_manifest(config("a"), [foreign]))
        assert await digests(sql, _LAYERS, digest) == set()

    async def test_a_subject_is_noted_and_the_type_of_the_artifact(self, sql: SqlStore) -> None:
        digest = await push(sql, referrer("a", ABSENT, artifact_type="a/sbom"))
        ((*_, subject, artifact_type),) = await sql.rows(_MANIFEST, digest_key(digest))
        assert (digest_of(bytes(subject)), artifact_type) == (ABSENT, "a/sbom")

    async def test_a_configuration_that_was_given_is_kept(self, sql: SqlStore) -> None:
        assert sql.manifests.keeps_configurations
        made = image("a")
        for part in made.blobs:
            await push_blob(sql, part.body)
        manifest = parse(made.manifest.body, made.manifest.media_type)
        stored = StoredManifest(Digest.of(made.manifest.body), manifest.media_type, made.manifest.body)
        for configuration in (made.blobs[0].body, None):
            await sql.manifests.put(NAME, stored, manifest, tags=[Tag("v1")], cause=NOBODY, configuration=configuration)
            ((_, _, media_type, payload, *_),) = await sql.rows(_MANIFEST, digest_key(stored.digest))
            assert (media_type, bytes(payload)) == (made.blobs[0].media_type, made.blobs[0].body)

    async def test_thousands_of_layers_are_kept(self, sql: SqlStore) -> None:
        layers = [Content("application/x", str(n).encode()) for n in range(3000)]
        for layer in layers[::10]:
            await push_blob(sql, layer.body)
        await push_blob(sql, config("a").body)
        digest = await push(sql, image_manifest(config("a"), layers))
        assert await digests(sql, _LAYERS, digest) == of(layers[::10])


class TestReview:
    """Garbage collection looks a day after an event at what it concerns; each event puts a row there."""

    async def due(self, store: SqlStore, text: str, digest: Digest) -> str | None:
        """The event that a review waits for; None if none does."""
        rows = await store.rows(text, digest_key(digest))
        if not rows:
            return None
        ((event, after),) = rows
        assert abs(moment(after) - datetime.now(UTC) - DAY) < timedelta(minutes=5), f"{event}: not in a day"
        assert isinstance(event, str)
        return event

    async def forget(self, store: SqlStore) -> None:
        """As if collection had looked at everything."""
        async with store.database.transaction() as session:
            await session.all(query("DELETE FROM gc_manifest_review_queue"))
            await session.all(query("DELETE FROM gc_blob_review_queue"))

    async def test_an_expected_blob_is_reviewed_before_anything_else_knows_of_it(self, sql: SqlStore) -> None:
        await sql.links.expect(ABSENT)
        assert await self.due(sql, _BLOB_REVIEW, ABSENT) == "blob_upload"
        await sql.links.expect(ABSENT)
        assert await self.due(sql, _BLOB_REVIEW, ABSENT) == "blob_upload"

    async def test_a_pushed_manifest_is_reviewed(self, sql: SqlStore) -> None:
        digest = await push(sql, image("a").manifest, "v1")
        assert await self.due(sql, _MANIFEST_REVIEW, digest) == "manifest_upload"

    async def test_what_a_tag_left_is_reviewed(self, sql: SqlStore) -> None:
        first = await push(sql, image("a").manifest, "v1")
        await self.forget(sql)
        second = await push(sql, image("b").manifest, "v1")
        assert await self.due(sql, _MANIFEST_REVIEW, first) == "tag_switch"
        await self.forget(sql)
        await sql.manifests.untag(NAME, Tag("v1"), cause=NOBODY)
        assert await self.due(sql, _MANIFEST_REVIEW, second) == "tag_delete"
        assert await self.due(sql, _MANIFEST_REVIEW, first) is None

    async def test_a_deleted_manifest_is_reviewed_and_one_that_came_back_again(self, sql: SqlStore) -> None:
        digest = await push(sql, image("a").manifest, "v1")
        await self.forget(sql)
        await sql.manifests.delete(NAME, digest, cause=NOBODY)
        assert await self.due(sql, _MANIFEST_REVIEW, digest) in {"manifest_delete", "tag_delete"}
        await self.forget(sql)
        await push(sql, image("a").manifest)
        assert await self.due(sql, _MANIFEST_REVIEW, digest) == "manifest_upload"

    async def test_a_blob_taken_out_is_reviewed(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        await self.forget(sql)
        await sql.links.unlink(NAME, digest, cause=NOBODY)
        assert await self.due(sql, _BLOB_REVIEW, digest) == "blob_delete"


class TestSoftDeletion:
    """What was deleted is kept until collection takes it: only so can it come back."""

    async def test_a_deleted_manifest_keeps_its_row_its_payload_and_its_references(self, sql: SqlStore) -> None:
        made = image("a")
        digest = await push_image(sql, made, "v1")
        await sql.manifests.delete(NAME, digest, cause=Cause("somebody", "r1"))
        rows = await sql.rows("SELECT payload, deleted_at FROM manifests WHERE digest = $1", digest_key(digest))
        ((payload, deleted_at),) = rows
        assert bytes(payload) == made.manifest.body
        assert abs(moment(deleted_at) - datetime.now(UTC)) < timedelta(minutes=1)
        assert await digests(sql, _LAYERS, digest) == of(made.blobs[1:])

    async def test_the_same_row_comes_back(self, sql: SqlStore) -> None:
        made = image("a")
        digest = await push_image(sql, made, "v1")
        text = "SELECT id, created_at FROM manifests WHERE digest = $1"
        before = await sql.rows(text, digest_key(digest))
        await sql.manifests.delete(NAME, digest, cause=NOBODY)
        await push(sql, made.manifest, "v1")
        assert await sql.rows(text, digest_key(digest)) == before
        deleted = await sql.rows("SELECT deleted_at FROM manifests WHERE digest = $1", digest_key(digest))
        assert [row[0] for row in deleted] == [None]
        assert await digests(sql, _LAYERS, digest) == of(made.blobs[1:])

    async def test_a_deleted_index_keeps_what_it_says_of_a_deleted_child(self, sql: SqlStore) -> None:
        child = image("a")
        inside = await push_image(sql, child)
        digest = await push(sql, index([child.manifest]))
        for deleted in (digest, inside):
            await sql.manifests.delete(NAME, deleted, cause=NOBODY)
        assert await digests(sql, _CHILDREN, digest) == {inside}

    async def test_a_blob_taken_out_keeps_its_row(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        await push_blob(sql, b"x", name=OTHER)
        await sql.links.unlink(NAME, digest, cause=NOBODY)
        rows = await sql.rows(
            "SELECT r.path, rb.deleted_at FROM repository_blobs rb JOIN repositories r ON r.id = rb.repository_id"
            " ORDER BY r.path"
        )
        assert [(path, at is None) for path, at in rows] == [(NAME.text, False), (OTHER.text, True)]


class TestRepositories:
    async def test_a_push_fills_in_when_it_was(self, sql: SqlStore) -> None:
        text = "SELECT populated_at, last_published_at FROM repositories WHERE path = $1"
        await push_blob(sql, b"x")
        ((populated, published),) = await sql.rows(text, NAME.text)
        assert (populated, published) == (None, None)
        await push(sql, image("a").manifest, "v1")
        ((populated, published),) = await sql.rows(text, NAME.text)
        assert abs(moment(populated) - datetime.now(UTC)) < timedelta(minutes=1)
        assert abs(moment(published) - datetime.now(UTC)) < timedelta(minutes=1)
        await push(sql, image("b").manifest, "v1")
        ((still, again),) = await sql.rows(text, NAME.text)
        assert still == populated
        assert moment(again) >= moment(published)

    @pytest.mark.parametrize(("path", "first"), [("group/app", "group"), ("top", "top"), ("a/b/c/d", "a")])
    async def test_the_first_part_of_a_name_is_its_namespace(self, path: str, first: str, sql: SqlStore) -> None:
        await push(sql, image("a").manifest, name=RepositoryName(path))
        rows = await sql.rows(
            "SELECT n.name FROM top_level_namespaces n JOIN repositories r ON r.top_level_namespace_id = n.id"
        )
        assert [name for (name,) in rows] == [first]

    async def test_tags_tell_when_they_were_made_and_when_they_moved(self, sql: SqlStore) -> None:
        text = "SELECT created_at, updated_at, published_at FROM tags WHERE name = 'v1'"
        await push(sql, image("a").manifest, "v1")
        ((created, updated, published),) = await sql.rows(text)
        assert updated is None
        assert created == published
        await push(sql, image("b").manifest, "v1")
        ((still, moved, again),) = await sql.rows(text)
        assert still == created
        assert moment(moved) == moment(again) > moment(created)
