"""Nothing that is fine is a difference."""

import pytest

from contract.integrity.content import IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, NOBODY, push_image
from moorage.errors import StorageUnavailable
from moorage.integrity.findings import Note
from moorage.metadata.sql.reviews import SqlBlobReviews
from moorage.oci.digests import Digest
from moorage.storage import paths


async def test_nothing_is_found_in_an_empty_registry(registry: Registry) -> None:
    found = await registry.check()
    assert (found.kinds, found.notes, found.tally.blobs) == ({}, {}, 0)


async def test_nothing_is_found_in_a_registry_with_all_that_clients_do(registry: Registry) -> None:
    await fill(registry)
    found = await registry.check()
    assert found.kinds == {}
    assert found.notes == {}
    assert found.tally.blobs > 15
    assert found.tally.manifests > 9
    assert found.tally.hashed_bytes == found.tally.stored_bytes > 1000


async def test_a_repair_of_what_is_fine_changes_nothing(registry: Registry) -> None:
    await fill(registry)
    await registry.run("DELETE FROM gc_blob_review_queue WHERE event <> 'nothing'")
    before = await registry.check(repairs=True)
    assert {finding.repair for finding in before.findings} == {
        "put before garbage collection, which removes it after its usual delay"
    }, "only what nothing refers to had to be put back into the queue"
    assert (await registry.check(repairs=True)).kinds == {}


async def test_bytes_that_a_push_is_about_to_link_are_expected(registry: Registry) -> None:
    content = b"on its way"
    digest = Digest.of(content)
    expectation = await registry.store.links.expect(digest)
    await registry.storage.put(paths.blob(digest), content)
    found = await registry.check()
    assert (found.kinds, found.notes) == ({}, {Note.AWAITING_REVIEW: (1, len(content))})
    assert await registry.store.links.link(NAME, digest, expectation, size_bytes=len(content))
    assert (await registry.check()).notes == {}


async def test_manifests_that_an_import_has_left_in_storage_are_expected_and_stay(registry: Registry) -> None:
    content = IMAGE.manifest.body
    await push_image(registry.store, IMAGE, "1")
    await registry.storage.put(paths.blob(MANIFEST), content)
    for _ in range(2):  # A repair has left it alone: else it would wait for its collection at the second look.
        found = await registry.check(repairs=True)
        assert (found.kinds, found.notes) == ({}, {Note.PAYLOAD: (1, len(content))})


async def test_bytes_that_are_being_collected_are_expected(registry: Registry) -> None:
    await push_image(registry.store, IMAGE, "1")
    await registry.store.manifests.delete(NAME, MANIFEST, cause=NOBODY)
    await registry.run("DELETE FROM manifests WHERE deleted_at IS NOT NULL")
    await registry.run("UPDATE gc_blob_review_queue SET review_after = created_at")
    assert registry.database is not None
    reviews = SqlBlobReviews(registry.database)
    claimed = [review.digest for review in await reviews.claim(limit=100)]
    judged = await reviews.judge(claimed)
    assert len(judged.unneeded) == len(IMAGE.blobs)
    found = await registry.check(repairs=True)
    assert found.kinds == {}
    assert found.notes[Note.AWAITING_REVIEW][0] == len(IMAGE.blobs)


async def test_an_empty_folder_of_a_blob_is_nothing(registry: Registry) -> None:
    await push_image(registry.store, IMAGE, "1")
    other = Digest.of(b"long gone")
    await registry.storage.put(paths.blob(other), b"x")
    await registry.storage.delete(paths.blob(other))
    assert (await registry.check()).kinds == {}


async def test_a_storage_without_any_blobs_is_refused_and_not_taken_for_a_disaster(registry: Registry) -> None:
    await push_image(registry.store, IMAGE, "1")
    await registry.storage.delete(paths.BLOBS)
    with pytest.raises(StorageUnavailable, match="is it the right storage"):
        await registry.check(repairs=True)
    assert await registry.store.links.has(NAME, LAYER), "nothing was marked as missing"


async def test_nothing_is_found_in_link_files_with_all_that_clients_do(layout: Registry) -> None:
    assert (await layout.check()).kinds == {}
    await fill(layout)
    found = await layout.check()
    assert found.kinds == {}
    assert found.tally.manifests > 8
    assert found.notes[Note.UNREFERENCED][0] > 3, "those of no image, and those of deleted ones"
    assert found.tally.hashed_bytes == found.tally.stored_bytes
