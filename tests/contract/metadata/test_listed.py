"""What a manifest of the repository needs is not deleted before it, whoever is quicker."""

import asyncio

import pytest

from contract.metadata.pushing import NAME, NOBODY, OTHER, push, push_blob, push_image
from contract.metadata.stores import SqlStore
from moorage.errors import BlobReferenced, ManifestReferenced, ReferencesUnknown
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from support.images import Content, blob, config, image, image_manifest, index


def child_of(seed: object) -> Content:
    return image_manifest(config(seed), [])


async def push_whole(store: SqlStore, content: Content) -> None:
    """Push an index as the services do that ask for what it lists."""
    manifest = parse(content.body, content.media_type)
    stored = StoredManifest(Digest.of(content.body), manifest.media_type, content.body)
    required = [ref.descriptor.digest for ref in manifest.references]
    await store.manifests.put(NAME, stored, manifest, tags=[], cause=NOBODY, required=required)


async def test_a_manifest_that_an_index_lists_is_not_deleted_before_it(sql: SqlStore) -> None:
    child = child_of("listed")
    digest = await push(sql, child, "v1")
    parent = await push(sql, index([child]))
    with pytest.raises(ManifestReferenced) as caught:
        await sql.manifests.delete(NAME, digest, cause=NOBODY)
    assert caught.value.detail["indexes"] == [str(parent)]
    assert (await sql.manifests.find(NAME, digest)).digest == digest
    await sql.manifests.delete(NAME, parent, cause=NOBODY)
    await sql.manifests.delete(NAME, digest, cause=NOBODY)
    assert await sql.manifests.missing(NAME, [digest]) == {digest}


async def test_a_manifest_that_came_after_the_index_which_names_it_is_listed_too(sql: SqlStore) -> None:
    child = child_of("late")
    await push(sql, index([child]))
    digest = await push(sql, child)
    with pytest.raises(ManifestReferenced):
        await sql.manifests.delete(NAME, digest, cause=NOBODY)


async def test_an_index_of_another_repository_is_not_in_the_way(sql: SqlStore) -> None:
    child = child_of("elsewhere")
    digest = await push(sql, child)
    await push(sql, child, name=OTHER)
    await push(sql, index([child]), name=OTHER)
    await sql.manifests.delete(NAME, digest, cause=NOBODY)


async def test_of_many_indexes_the_first_are_named_and_all_counted(sql: SqlStore) -> None:
    child = child_of("popular")
    digest = await push(sql, child)
    for number in range(25):
        await push(sql, index([child], annotations={"n": str(number)}))
    with pytest.raises(ManifestReferenced) as caught:
        await sql.manifests.delete(NAME, digest, cause=NOBODY)
    indexes = caught.value.detail["indexes"]
    assert isinstance(indexes, list)
    assert (len(indexes), caught.value.detail["count"]) == (20, 25)


async def test_a_delete_at_the_same_time_as_the_push_of_an_index_leaves_no_index_without_its_child(
    sql: SqlStore, other_sql: SqlStore
) -> None:
    for number in range(20):
        child = child_of(f"raced {number}")
        digest = await push(sql, child)
        parent = index([child])
        found = await asyncio.gather(
            sql.manifests.delete(NAME, digest, cause=NOBODY), push_whole(other_sql, parent), return_exceptions=True
        )
        refused = [type(each) for each in found if each is not None]
        assert refused in ([ManifestReferenced], [ReferencesUnknown]), found
        is_listed = await sql.manifests.has(NAME, Digest.parse(parent.digest))
        assert await sql.manifests.has(NAME, digest) is is_listed


@pytest.mark.parametrize("number", [0, 1])
async def test_a_blob_that_an_image_needs_is_not_taken_out_before_it(sql: SqlStore, number: int) -> None:
    made = image("whole")
    needed = Digest.parse(made.blobs[number].digest)
    digest = await push_image(sql, made, "v1")
    with pytest.raises(BlobReferenced) as caught:
        await sql.links.unlink(NAME, needed, cause=NOBODY)
    assert caught.value.detail["manifests"] == [str(digest)]
    assert await sql.links.has(NAME, needed)
    await sql.manifests.delete(NAME, digest, cause=NOBODY)
    await sql.links.unlink(NAME, needed, cause=NOBODY)
    assert not await sql.links.has(NAME, needed)


async def test_a_blob_that_came_after_the_image_that_names_it_is_needed_too(sql: SqlStore) -> None:
    made = image("sparse")
    await push(sql, made.manifest)
    digest = await push_blob(sql, made.blobs[1].body)
    with pytest.raises(BlobReferenced):
        await sql.links.unlink(NAME, digest, cause=NOBODY)


async def test_an_image_of_another_repository_is_not_in_the_way(sql: SqlStore) -> None:
    made = image("mounted")
    for name in (NAME, OTHER):
        await push_blob(sql, made.blobs[1].body, name=name)
    await push(sql, made.manifest, name=OTHER)
    await sql.links.unlink(NAME, Digest.parse(made.blobs[1].digest), cause=NOBODY)


async def test_a_blob_that_very_many_images_of_others_need_is_needed_by_the_last(sql: SqlStore) -> None:
    base = blob("base", 20)
    for name in (OTHER, NAME):
        await push_blob(sql, base.body, name=name)
    for number in range(600):
        await push(sql, image_manifest(config(number), [base]), name=OTHER)
    last = await push(sql, image_manifest(config("last"), [base]))
    with pytest.raises(BlobReferenced) as caught:
        await sql.links.unlink(NAME, Digest.parse(base.digest), cause=NOBODY)
    assert caught.value.detail["manifests"] == [str(last)]


async def test_of_a_push_and_a_delete_of_a_blob_at_once_no_image_is_left_without_it(
    sql: SqlStore, other_sql: SqlStore
) -> None:
    for number in range(20):
        layer = blob(f"raced {number}", 20)
        digest = await push_blob(sql, layer.body)
        await push_blob(sql, (settings := config(number)).body)
        made = image_manifest(settings, [layer])
        found = await asyncio.gather(
            sql.links.unlink(NAME, digest, cause=NOBODY), push_whole(other_sql, made), return_exceptions=True
        )
        refused = [type(each) for each in found if each is not None]
        assert refused in ([BlobReferenced], [ReferencesUnknown]), found
        assert await sql.links.has(NAME, digest) is await sql.manifests.has(NAME, Digest.parse(made.digest))
