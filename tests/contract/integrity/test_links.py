"""Each kind of difference between storage and link files is found and named; damaged bytes are moved away."""

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import CONFIG, IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, NOBODY, OTHER, push_image
from moorage.errors import ManifestUnknown
from moorage.integrity.findings import Kind, Note
from moorage.metadata.layout import LayoutManifests
from moorage.metadata.payloads import PayloadCache
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import paths

CONTENT = IMAGE.blobs[1].body
PAYLOAD = IMAGE.manifest.body


@pytest.fixture(autouse=True)
async def _full(layout: Registry) -> None:
    await fill(layout)


async def test_a_layer_whose_bytes_are_gone_is_found_in_each_repository(layout: Registry) -> None:
    await layout.lose(LAYER)
    found = await layout.check(repairs=True)
    assert found.pairs == {(Kind.LAYER_DANGLING, str(LAYER))}
    assert {finding.repository for finding in found.findings} == {NAME.text, OTHER.text, "mounted"}
    assert await layout.storage.exists(paths.layer_link(NAME, LAYER)), "a push brings the bytes back"


async def test_a_manifest_whose_bytes_are_gone_is_found(layout: Registry) -> None:
    await layout.lose(MANIFEST)
    found = await layout.check()
    assert found.pairs == {(Kind.REVISION_DANGLING, str(MANIFEST))}
    assert {finding.repository for finding in found.findings} == {NAME.text, OTHER.text}


async def test_a_tag_that_points_to_nothing_in_its_repository_is_found(layout: Registry) -> None:
    await layout.storage.delete(paths.revision(OTHER, MANIFEST))
    found = await layout.check(repairs=True)
    assert found.pairs == {(Kind.TAG_DANGLING, "1")}
    assert found.findings[0].repository == OTHER.text
    assert await layout.storage.exists(paths.tag_link(OTHER, Tag("1")))


@pytest.mark.parametrize("content", [b"", b"sha256:", b"\xff\xfe", str(CONFIG).encode()], ids=str)
async def test_links_that_are_empty_or_say_something_else_are_found(content: bytes, layout: Registry) -> None:
    links = [paths.layer_link(NAME, LAYER), paths.revision_link(NAME, MANIFEST)]
    for path in links:
        await layout.storage.put(path, content)
    tag = paths.tag_link(NAME, Tag("latest"))
    await layout.storage.put(tag, content)
    found = await layout.check()
    dangling = content == str(CONFIG).encode()
    odd_tag = (Kind.TAG_DANGLING, "latest") if dangling else (Kind.LINK_INVALID, tag)
    assert found.pairs == {*((Kind.LINK_INVALID, path) for path in links), odd_tag}


async def test_a_folder_that_is_named_by_no_digest_is_found(layout: Registry) -> None:
    folder = f"{paths.repository(NAME)}/_layers/sha256/short"
    await layout.storage.put(f"{folder}/link", b"sha256:short")
    assert (await layout.check()).pairs == {(Kind.LINK_INVALID, folder)}


async def test_a_tag_without_a_link_is_no_tag_and_no_difference(layout: Registry) -> None:
    await layout.storage.delete(paths.tag_link(NAME, Tag("latest")))
    assert (await layout.check()).kinds == {}


async def test_damaged_layers_are_found_moved_away_and_healed_by_a_push(layout: Registry) -> None:
    await layout.damage(LAYER, bytes(len(CONTENT)))
    assert (await layout.check(verifies=False)).kinds == {}
    assert (await layout.check()).pairs == {(Kind.DIGEST_DIFFERS, str(LAYER))}
    assert await layout.quarantined(LAYER) == []
    found = await layout.check(repairs=True)
    assert (Kind.DIGEST_DIFFERS, str(LAYER)) in found.pairs
    assert await layout.quarantined(LAYER) == [bytes(len(CONTENT))]
    assert await layout.store.links.missing(NAME, [LAYER, CONFIG]) == {LAYER}
    await push_image(layout.store, IMAGE, "1")
    assert (await layout.check()).kinds == {}


async def test_damaged_manifests_are_found_without_hashing_layers_and_healed_by_a_push(layout: Registry) -> None:
    damaged = PAYLOAD.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    await layout.damage(MANIFEST, damaged)
    assert (await layout.check(verifies=False)).pairs == {(Kind.MANIFEST_DAMAGED, str(MANIFEST))}
    await layout.check(verifies=False, repairs=True)
    assert await layout.quarantined(MANIFEST) == [damaged]
    fresh = LayoutManifests(layout.storage, PayloadCache())
    with pytest.raises(ManifestUnknown):
        await fresh.find(NAME, Tag("1"))
    await push_image(layout.store, IMAGE, "1")
    assert (await fresh.find(NAME, Tag("1"))).payload == PAYLOAD
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


async def test_what_garbage_collection_would_free_is_counted_and_no_difference(layout: Registry) -> None:
    number, size_bytes = (await layout.check()).notes[Note.UNREFERENCED]
    image = IMAGE
    await layout.store.manifests.delete(NAME, MANIFEST, cause=NOBODY)
    assert (await layout.check()).notes[Note.UNREFERENCED] == (number, size_bytes), "the other repository has it too"
    await layout.store.manifests.delete(OTHER, MANIFEST, cause=NOBODY)
    freed = sum(len(blob.body) for blob in image.blobs) + len(PAYLOAD)
    found = await layout.check()
    assert found.notes[Note.UNREFERENCED] == (number + 1 + len(image.blobs), size_bytes + freed)
    assert found.kinds == {}


async def test_what_cannot_be_read_is_no_mismatch_and_the_check_goes_on(layout: Registry) -> None:
    storage = WatchedStorage(layout.storage)
    storage.broken |= {("open", paths.blob(LAYER)), ("get", paths.blob(MANIFEST))}
    await layout.damage(CONFIG, b"{")
    found = await layout.check(storage=storage)
    assert found.pairs == {
        (Kind.UNREADABLE, str(LAYER)),
        (Kind.UNREADABLE, str(MANIFEST)),
        (Kind.DIGEST_DIFFERS, str(CONFIG)),
    }


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
