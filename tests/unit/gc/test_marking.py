"""What stays and what goes."""

import json

from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci import mediatypes
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from unit.gc.registry import APP, UNTAGGED, Writer, all_paths, collect, descriptor, digests_in

KEEPING = OfflineOptions()


async def test_a_blob_that_no_manifest_names_goes_with_its_link(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("a", tags=["1"])
    orphan = await app.blob("nobody names me")
    totals = await collect(storage, KEEPING)
    assert await digests_in(storage) == image.all
    assert await app.layers() == set(image.blobs)
    assert orphan not in await app.layers()
    assert (totals.blobs, totals.blobs_to_delete, totals.blobs_deleted, totals.layer_links_deleted) == (4, 1, 1, 1)
    assert totals.freed_bytes == totals.storage_use_estimate_bytes == len("nobody names me")


async def test_a_folder_around_repositories_is_not_counted_as_one(
    storage: StorageDriver, app: Writer, other: Writer
) -> None:
    await app.image("a", tags=["1"])  # In group/app.
    await other.image("b")
    assert (await collect(storage, KEEPING)).repositories == 2


async def test_without_delete_untagged_every_manifest_stays(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("a")
    before = await all_paths(storage)
    totals = await collect(storage, KEEPING)
    assert await all_paths(storage) == before
    assert (totals.manifests, totals.manifests_to_delete, totals.blobs_marked) == (1, 0, len(image.all))


async def test_an_untagged_manifest_goes_with_all_that_only_it_has(storage: StorageDriver, app: Writer) -> None:
    shared = await app.blob("shared")
    kept = await app.image("kept", tags=["1"], layers=[shared])
    gone = await app.image("gone", tags=["1", "2"], layers=[shared, await app.blob("own")])
    for tag in ("1", "2"):
        await storage.put(paths.tag_link(APP, Tag(tag)), str(kept.digest).encode())
    totals = await collect(storage)
    assert await digests_in(storage) == kept.all
    assert await app.layers() == set(kept.blobs)
    assert not [path for path in await all_paths(storage) if gone.digest.encoded in path]
    assert (totals.manifests, totals.manifests_to_delete, totals.manifests_deleted) == (2, 1, 1)


async def test_a_manifest_whose_type_is_beside_it_goes_with_that(storage: StorageDriver, app: Writer) -> None:
    await app.image("kept", tags=["1"])
    config = await app.blob("config")
    digest = await app.manifest({"schemaVersion": 2, "config": descriptor(config, mediatypes.OCI_CONFIG)})
    assert await storage.exists(paths.content_type(APP, digest))
    await collect(storage)
    assert not await storage.exists(paths.revision(APP, digest))


async def test_what_a_kept_index_lists_stays(storage: StorageDriver, app: Writer) -> None:
    leaf, sibling = await app.image("leaf"), await app.image("sibling")
    inner = await app.index([leaf.digest])
    outer = await app.index([inner.digest, sibling.digest], tags=["all"])
    before = await all_paths(storage)
    await collect(storage)
    assert await all_paths(storage) == before
    assert await app.has(outer.digest)


async def test_what_an_index_lists_that_goes_goes_too(storage: StorageDriver, app: Writer) -> None:
    kept, leaf = await app.image("kept", tags=["1"]), await app.image("leaf")
    await app.index([leaf.digest, kept.digest])
    totals = await collect(storage)
    assert await digests_in(storage) == kept.all
    assert totals.manifests_deleted == 2


async def test_a_referrer_stays_with_its_subject(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("image", tags=["1"])
    signature = await app.image("signature", subject=image.digest)
    of_signature = await app.image("attestation of the signature", subject=signature.digest)
    before = await all_paths(storage)
    await collect(storage)
    assert await all_paths(storage) == before
    assert await app.referrers(image.digest) == [signature.digest]
    assert await app.referrers(signature.digest) == [of_signature.digest]


async def test_a_referrer_of_a_child_of_a_kept_index_stays(storage: StorageDriver, app: Writer) -> None:
    child = await app.image("child")
    signature = await app.image("signature", subject=child.digest)
    await app.index([child.digest], tags=["all"])
    await collect(storage)
    assert await app.referrers(child.digest) == [signature.digest]


async def test_a_referrer_goes_with_its_subject(storage: StorageDriver, app: Writer) -> None:
    kept, image = await app.image("kept", tags=["1"]), await app.image("image")
    await app.image("signature", subject=image.digest)
    await collect(storage)
    assert await digests_in(storage) == kept.all
    assert not [path for path in await all_paths(storage) if "/referrers/" in path]


async def test_a_referrer_that_is_tagged_does_not_keep_its_subject(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("image")
    signature = await app.image("signature", subject=image.digest, tags=["signature"])
    await collect(storage)
    assert await digests_in(storage) == signature.all
    assert await app.has(signature.digest)
    assert await app.referrers(image.digest) == [signature.digest]


async def test_a_referrer_under_the_fallback_tag_stays(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("image", tags=["1"])
    signature = await app.image("signature")
    await app.index([signature.digest], tags=[f"sha256-{image.digest.encoded}"])
    before = await all_paths(storage)
    await collect(storage)
    assert await all_paths(storage) == before


async def test_a_referrer_of_an_image_in_another_repository_goes(
    storage: StorageDriver, app: Writer, other: Writer
) -> None:
    image = await app.image("image", tags=["1"])
    await other.image("signature", subject=image.digest)
    await collect(storage)
    assert await digests_in(storage) == image.all


async def test_a_build_cache_keeps_the_layers_that_its_index_lists(storage: StorageDriver, app: Writer) -> None:
    layer = await app.blob("cached layer")
    cache = await app.index([layer], tags=["cache"], child_type="application/vnd.oci.image.layer.v1.tar+gzip")
    await collect(storage)
    assert await digests_in(storage) == {cache.digest, layer}
    assert await app.layers() == {layer}


async def test_a_manifest_that_is_tagged_elsewhere_only_goes_here_and_stays_there(
    storage: StorageDriver, app: Writer, other: Writer
) -> None:
    image = await app.image("image", tags=["1"])
    assert await other.image("image") == image
    await collect(storage)
    assert (await app.has(image.digest), await other.has(image.digest)) == (True, False)
    assert await digests_in(storage) == image.all
    # The bytes stay for the first repository, so what the second one says of them is true.
    assert await other.layers() == set(image.blobs)


async def test_sha512_content_is_kept_and_collected_alike(storage: StorageDriver, app: Writer) -> None:
    kept = await app.image("kept", tags=["1"], algorithm="sha512")
    await app.image("gone", algorithm="sha512")
    await app.blob("orphan", algorithm="sha512")
    await collect(storage)
    assert await digests_in(storage) == kept.all


async def test_a_manifest_of_schema_1_keeps_its_layers(storage: StorageDriver, app: Writer) -> None:
    layer = await app.blob("old layer")
    value = {"schemaVersion": 1, "name": "x", "fsLayers": [{"blobSum": str(layer)}, {"blobSum": str(layer)}]}
    digest = await app.raw(json.dumps(value).encode(), tags=["old"])
    await collect(storage)
    assert await digests_in(storage) == {digest, layer}


async def test_a_manifest_that_would_be_refused_today_keeps_what_it_names(storage: StorageDriver, app: Writer) -> None:
    layer = await app.blob("layer")
    value = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "layers": [{"digest": str(layer)}, "nonsense"]}
    digest = await app.raw(json.dumps(value).encode(), tags=["odd"])
    await collect(storage)
    assert await digests_in(storage) == {digest, layer}


async def test_layers_that_may_stay_elsewhere_are_kept_where_they_are_here(storage: StorageDriver, app: Writer) -> None:
    foreign = await app.blob("windows")
    config = await app.blob("config")
    value: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": mediatypes.DOCKER_MANIFEST,
        "config": descriptor(config, "application/vnd.docker.container.image.v1+json"),
        "layers": [descriptor(foreign, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")],
    }
    digest = await app.manifest(value, tags=["1"])
    await collect(storage)
    assert await digests_in(storage) == {digest, config, foreign}


async def test_unfinished_uploads_are_left_alone(storage: StorageDriver, app: Writer) -> None:
    await app.image("a", tags=["1"])
    upload = f"{paths.upload(APP, 'some-upload')}/data"
    await storage.put(upload, b"so far")
    await collect(storage)
    assert await storage.get(upload) == b"so far"


async def test_what_is_no_blob_is_left_alone(storage: StorageDriver, app: Writer) -> None:
    await app.image("a", tags=["1"])
    strange = [
        f"{paths.BLOBS}/sha256/ab/lost+found/data",
        f"{paths.BLOBS}/sha256/ab/{'c' * 64}/data",
        f"{paths.BLOBS}/blake3/ab/{'a' * 64}/data",
        f"{paths.BLOBS}/sha256/README",
    ]
    for path in strange:
        await storage.put(path, b"not ours")
    await collect(storage)
    for path in strange:
        assert await storage.get(path) == b"not ours"


async def test_a_second_run_finds_nothing(storage: StorageDriver, app: Writer) -> None:
    image = await app.image("kept", tags=["1"])
    await app.image("gone", subject=image.digest)
    await app.image("gone too")
    await app.blob("orphan")
    await collect(storage, UNTAGGED)
    before = await all_paths(storage)
    totals = await collect(storage, UNTAGGED)
    assert await all_paths(storage) == before
    assert (totals.manifests_to_delete, totals.blobs_to_delete, totals.layer_links_deleted) == (0, 0, 0)


async def test_a_dry_run_counts_the_same_and_changes_nothing(storage: StorageDriver, app: Writer) -> None:
    await app.image("kept", tags=["1"])
    await app.image("gone")
    await app.blob("orphan")
    before = await all_paths(storage)
    dry = await collect(storage, OfflineOptions(delete_untagged=True, dry_run=True))
    assert await all_paths(storage) == before
    wet = await collect(storage)
    for name in ("manifests", "manifests_to_delete", "blobs", "blobs_to_delete", "storage_use_estimate_bytes"):
        assert getattr(dry, name) == getattr(wet, name) != 0
    assert (dry.blobs_deleted, wet.blobs_deleted) == (0, wet.blobs_to_delete)
