"""What is odd in link files and still fine, and what changes while it is looked at."""

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, NOBODY, OTHER, push_image
from moorage.integrity.findings import FindingKind, Note
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths

PAYLOAD = IMAGE.manifest.body


@pytest.fixture(autouse=True)
async def _full(layout: Registry) -> None:
    await fill(layout)


async def test_nothing_that_points_is_removed_by_a_repair(layout: Registry) -> None:
    await layout.lose(LAYER)
    await layout.lose(MANIFEST)
    links = [paths.layer_link(NAME, LAYER), paths.revision_link(NAME, MANIFEST), paths.tag_link(NAME, Tag("1"))]
    assert len((await layout.check(repairs=True)).kinds) == 2
    for link in links:
        assert await layout.storage.exists(link)


async def test_a_folder_that_is_named_by_no_digest_is_found(layout: Registry) -> None:
    folder = f"{paths.repository(NAME)}/_layers/sha256/short"
    await layout.storage.put(f"{folder}/link", b"sha256:short")
    assert (await layout.check()).pairs == {(FindingKind.LINK_INVALID, folder)}


async def test_a_tag_without_a_link_is_no_tag_and_no_difference(layout: Registry) -> None:
    await layout.storage.delete(paths.tag_link(NAME, Tag("latest")))
    assert (await layout.check()).kinds == {}


async def test_a_manifest_of_an_old_format_is_fine_and_what_it_names_is_referred_to(layout: Registry) -> None:
    before = (await layout.check()).notes[Note.UNREFERENCED]
    digest = Digest.of(b"not in any image")
    old = f'{{"schemaVersion": 1, "name": "x", "fsLayers": [{{"blobSum": "{digest}"}}]}}'.encode()
    await layout.damage(Digest.of(old), old)
    await layout.storage.put(paths.revision_link(NAME, Digest.of(old)), str(Digest.of(old)).encode())
    found = await layout.check()
    assert found.kinds == {}
    assert found.notes[Note.UNREFERENCED] == (before[0] - 1, before[1] - len(b"not in any image"))


async def test_what_garbage_collection_would_free_is_what_the_last_manifest_needed(layout: Registry) -> None:
    number, size_bytes = (await layout.check()).notes[Note.UNREFERENCED]
    await layout.store.manifests.delete(NAME, MANIFEST, cause=NOBODY)
    assert (await layout.check()).notes[Note.UNREFERENCED] == (number, size_bytes), "the other repository has it too"
    await layout.store.manifests.delete(OTHER, MANIFEST, cause=NOBODY)
    freed = sum(len(blob.body) for blob in IMAGE.blobs) + len(PAYLOAD)
    found = await layout.check()
    assert found.notes[Note.UNREFERENCED] == (number + 1 + len(IMAGE.blobs), size_bytes + freed)
    assert found.kinds == {}


async def test_links_that_change_between_two_looks_are_no_difference(layout: Registry) -> None:
    storage = WatchedStorage(layout.storage)
    calls = 0

    async def disturb(call: str, path: str) -> None:
        """Before anything of it is read, the image goes, or comes back."""
        nonlocal calls
        if path.startswith(paths.BLOBS) or call == "list":
            return
        calls += 1
        if calls % 3 == 0:
            await push_image(layout.store, IMAGE, "1")
        elif calls % 3 == 1 and await layout.store.manifests.has(NAME, MANIFEST):
            await layout.store.manifests.delete(NAME, MANIFEST, cause=NOBODY)

    storage.before = disturb
    assert (await layout.check(storage=storage)).kinds == {}
    assert calls > 20


async def test_a_layer_that_is_taken_out_with_its_bytes_between_two_looks_is_no_difference(layout: Registry) -> None:
    storage = WatchedStorage(layout.storage)
    link, walked = paths.layer_link(NAME, LAYER), False

    async def remove(call: str, path: str) -> None:
        nonlocal walked
        if (call, path) == ("get", link):
            walked = True
        if walked and (call, path) == ("stat", paths.blob(LAYER)) and await layout.storage.exists(link):
            for name in (NAME, OTHER, RepositoryName("mounted")):
                await layout.store.links.unlink(name, LAYER, cause=NOBODY)
            await layout.lose(LAYER)

    storage.before = remove
    assert (await layout.check(storage=storage)).kinds == {}
    assert not await layout.storage.exists(link)


async def test_a_tag_that_goes_with_its_manifest_between_two_looks_is_no_difference(layout: Registry) -> None:
    storage = WatchedStorage(layout.storage)
    tag, walked = paths.tag_link(NAME, Tag("1")), False

    async def remove(call: str, path: str) -> None:
        nonlocal walked
        if walked and path == paths.revision_link(NAME, MANIFEST) and await layout.storage.exists(tag):
            await layout.store.manifests.delete(NAME, MANIFEST, cause=NOBODY)
        walked = walked or (call, path) == ("get", tag)

    storage.before = remove
    assert (await layout.check(storage=storage)).kinds == {}
    assert not await layout.storage.exists(tag)
