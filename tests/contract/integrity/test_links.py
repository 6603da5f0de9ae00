"""Each kind of difference where metadata is in link files is found, named, and never made worse by a repair."""

from pathlib import Path

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import ABSENT, NAME, NOBODY, OTHER, push_blob, push_image
from moorage.errors import ManifestUnknown
from moorage.integrity.findings import FindingKind, Note
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from support.images import image
from support.odd_files import ODD_FILES, put_odd_file

CONTENT = IMAGE.blobs[1].body
FLIPPED = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]


@pytest.fixture(autouse=True)
async def _full(layout: Registry) -> None:
    await fill(layout)


async def test_damaged_bytes_are_found_by_reading_quarantined_and_healed_by_a_push(layout: Registry) -> None:
    await layout.damage(LAYER, FLIPPED)
    assert (await layout.check(verifies=False)).kinds == {}
    assert (await layout.check()).pairs == {(FindingKind.DIGEST_DIFFERS, str(LAYER))}
    assert await layout.storage.get(paths.blob(LAYER)) == FLIPPED
    found = await layout.check(repairs=True)
    assert found.tally.differences[FindingKind.DIGEST_DIFFERS].repaired == 1
    assert await layout.quarantined(LAYER) == [FLIPPED]
    assert not await layout.storage.exists(paths.blob(LAYER))
    await push_blob(layout.store, CONTENT)
    assert (await layout.check()).kinds == {}


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], CONTENT + b"x"])
@pytest.mark.parametrize("which", [0, 1])
async def test_a_blob_whose_size_is_not_what_its_manifest_says_is_found_without_reading_it(
    which: int, content: bytes, layout: Registry
) -> None:
    digest = Digest.of(IMAGE.blobs[which].body)
    await layout.damage(digest, content)
    found = await layout.check(verifies=False)
    assert found.pairs == {(FindingKind.SIZE_DIFFERS, str(digest))}
    assert str(MANIFEST) in found.findings[0].detail


async def test_lost_bytes_are_found_in_every_repository_that_links_to_them(layout: Registry) -> None:
    await layout.lose(LAYER)
    found = await layout.check(verifies=False)
    assert found.pairs == {(FindingKind.LAYER_DANGLING, str(LAYER))}
    assert {finding.repository for finding in found.findings} == {NAME.text, OTHER.text, "mounted"}
    repaired = await layout.check(repairs=True)
    assert repaired.tally.differences[FindingKind.LAYER_DANGLING].repaired == 0
    await push_blob(layout.store, CONTENT)
    assert (await layout.check()).kinds == {}


async def test_a_manifest_whose_bytes_are_damaged_is_found_without_reading_layers(layout: Registry) -> None:
    damaged = IMAGE.manifest.body.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    assert damaged != IMAGE.manifest.body
    await layout.damage(MANIFEST, damaged)
    found = await layout.check(verifies=False, repairs=True)
    assert (FindingKind.MANIFEST_DAMAGED, str(MANIFEST)) in found.pairs
    assert await layout.quarantined(MANIFEST) == [damaged]
    with pytest.raises(ManifestUnknown):
        await layout.store.manifests.find(NAME, MANIFEST)
    await push_image(layout.store, IMAGE, "1", "latest")
    await push_image(layout.store, IMAGE, "1", name=OTHER)
    assert (await layout.check()).kinds == {}


async def test_a_manifest_whose_bytes_are_lost_and_a_tag_without_its_manifest(layout: Registry) -> None:
    lost = image("lost")
    digest = Digest.parse(lost.digest)
    await push_image(layout.store, lost, "lost")
    await layout.lose(digest)
    assert (await layout.check()).pairs == {(FindingKind.REVISION_DANGLING, str(digest))}
    await layout.storage.delete(paths.revision_link(NAME, digest))
    assert (await layout.check(repairs=True)).pairs == {(FindingKind.TAG_DANGLING, "lost")}
    await layout.store.manifests.untag(NAME, Tag("lost"), cause=NOBODY)
    assert (await layout.check()).kinds == {}


@pytest.mark.parametrize("content", [b"", b"sha256:", b"\xff\xfe", b"sha256:" + b"0" * 64])
async def test_a_link_that_does_not_hold_its_digest_is_named_by_its_path(content: bytes, layout: Registry) -> None:
    path = paths.revision_link(NAME, MANIFEST)
    await layout.storage.put(path, content)
    for repairs in (False, True):
        found = await layout.check(verifies=False, repairs=repairs)
        assert found.pairs == {(FindingKind.LINK_INVALID, path)}
    assert await layout.storage.get(path) == content


async def test_files_that_nothing_refers_to_are_a_note_with_their_bytes(layout: Registry) -> None:
    number, size_bytes = (await layout.check()).notes[Note.UNREFERENCED]
    await layout.damage(Digest.of(b"stray"), b"stray")
    found = await layout.check(repairs=True)
    assert found.kinds == {}
    assert found.notes[Note.UNREFERENCED] == (number + 1, size_bytes + len(b"stray"))
    assert await layout.storage.exists(paths.blob(Digest.of(b"stray")))


async def test_right_bytes_that_come_just_before_the_damaged_ones_are_moved_are_put_back(layout: Registry) -> None:
    await layout.damage(LAYER, FLIPPED)
    storage = WatchedStorage(layout.storage)

    async def push(call: str, path: str) -> None:
        if (call, path) == ("move", paths.blob(LAYER)):
            await push_blob(layout.store, CONTENT)

    storage.before = push
    found = await layout.check(storage=storage, repairs=True)
    assert found.findings[0].repair == ""
    assert await layout.storage.get(paths.blob(LAYER)) == CONTENT
    assert await layout.quarantined(LAYER) == []
    assert (await layout.check()).kinds == {}


async def test_a_blob_that_cannot_be_read_is_no_mismatch_and_the_check_goes_on(layout: Registry) -> None:
    await layout.damage(Digest.parse(IMAGE.blobs[0].digest), b"damaged")
    storage = WatchedStorage(layout.storage)
    storage.broken = {("open", paths.blob(LAYER))}
    found = await layout.check(storage=storage, repairs=True)
    assert (FindingKind.UNREADABLE, str(LAYER)) in found.pairs
    assert (FindingKind.DIGEST_DIFFERS, IMAGE.blobs[0].digest) in found.pairs
    assert await layout.storage.get(paths.blob(LAYER)) == CONTENT


@pytest.mark.parametrize(
    "path", [paths.tag_link(NAME, Tag("1")), paths.layer_link(NAME, LAYER), paths.revision_link(NAME, MANIFEST)]
)
async def test_a_link_that_cannot_be_read_is_named_and_the_check_goes_on(layout: Registry, path: str) -> None:
    await layout.lose(Digest.parse(IMAGE.blobs[0].digest))
    storage = WatchedStorage(layout.storage)
    storage.broken = {("get", path)}
    found = await layout.check(storage=storage, verifies=False)
    assert (FindingKind.UNREADABLE, path) in found.pairs
    assert (FindingKind.LAYER_DANGLING, IMAGE.blobs[0].digest) in found.pairs


@pytest.mark.parametrize("odd", ["Team/app", "a copy (2)", "new\nline", "\udcff\udcfe"])
async def test_a_repository_or_tag_of_an_odd_name_is_looked_at_and_stops_nothing_else(
    layout: Registry, odd: str
) -> None:
    name = RepositoryName(odd)
    await layout.storage.put(paths.layer_link(name, ABSENT), str(ABSENT).encode())
    await layout.storage.put(paths.tag_link(NAME, Tag("-odd")), str(ABSENT).encode())
    await layout.storage.put(paths.tag_link(NAME, Tag("\udcff")), str(MANIFEST).encode())
    await layout.lose(LAYER)
    found = await layout.check(verifies=False)
    assert {(finding.kind, finding.repository) for finding in found.findings} >= {
        (FindingKind.LAYER_DANGLING, odd),
        (FindingKind.LAYER_DANGLING, OTHER.text),
        (FindingKind.TAG_DANGLING, NAME.text),
        (FindingKind.LINK_INVALID, NAME.text),
    }


@pytest.mark.parametrize("kind", ODD_FILES)
@pytest.mark.parametrize("layout", ["filesystem"], indirect=True)
async def test_what_lies_in_the_place_of_a_link_and_is_no_file_is_reported_and_hides_no_other_tag(
    kind: str, layout: Registry, folder: Path
) -> None:
    links = [paths.tag_link(NAME, Tag("1")), paths.layer_link(NAME, LAYER), paths.revision_link(OTHER, MANIFEST)]
    before = await layout.store.catalogue.tags(NAME, after="", limit=None)
    for path in links:
        put_odd_file(kind, folder / "storage" / path[1:])
    assert {(FindingKind.UNREADABLE, path) for path in links} <= (await layout.check(verifies=False)).pairs
    listed = await layout.store.catalogue.tags(NAME, after="", limit=None)
    assert [tag.text for tag in listed.items] == [tag.text for tag in before.items if tag.text != "1"]
