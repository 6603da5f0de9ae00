"""Metadata as link files: what Distribution, a crash, or another registry may have left, and what is made of it."""

import gc
import json
import tracemalloc

import pytest
import structlog

from moorage.errors import BlobUnknown, ManifestUnknown, NameUnknown
from moorage.metadata import layout
from moorage.metadata.base import Cause, Expectation
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.layout_pointers import LayoutPointers, payload_of
from moorage.metadata.payloads import PayloadCache
from moorage.notifications.events import Notice
from moorage.oci import mediatypes
from moorage.oci.digests import Algorithm, Digest
from moorage.oci.manifests import Descriptor, StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver
from support.announcing import announcer, target

NAME = RepositoryName("group/app")
NOBODY = Cause()
LATEST = Tag("latest")
SUBJECT = Digest.of(b"a subject that need not be here")


class CountedReads(MemoryDriver):
    """Counts how often links of tags are read."""

    tags = 0

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        self.tags += "/_manifests/tags/" in path
        return await super().get(path, limit_bytes=limit_bytes)


@pytest.fixture
def storage() -> MemoryDriver:
    return MemoryDriver()


@pytest.fixture
def manifests(storage: MemoryDriver) -> LayoutManifests:
    return LayoutManifests(storage, PayloadCache())


def image(number: int, *, subject: Digest | None = None, **more: object) -> bytes:
    """The payload of an artifact, another for each *number*."""
    empty = {"mediaType": mediatypes.OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2}
    value = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": empty, "layers": [], **more}
    if subject is not None:
        value["subject"] = {"mediaType": mediatypes.OCI_MANIFEST, "digest": str(subject), "size": 1}
    value["annotations"] = {"number": str(number), **(value.get("annotations") or {})}  # type: ignore[dict-item] # JSON
    return json.dumps({key: item for key, item in value.items() if item is not None}).encode()


async def push(
    manifests: LayoutManifests, payload: bytes, *tags: Tag, content_type: str = "", algorithm: Algorithm = "sha256"
) -> Digest:
    """Store a manifest as the service would."""
    manifest = parse(payload, content_type)
    stored = StoredManifest(Digest.of(payload, algorithm), manifest.media_type, payload)
    await manifests.put(NAME, stored, manifest, tags=tags, cause=NOBODY)
    return stored.digest


async def referring(
    manifests: LayoutManifests, *, artifact_type: str | None = None, limit: int = 1000
) -> list[list[Descriptor]]:
    """Every page of the referrers of SUBJECT."""
    pages: list[list[Descriptor]] = []
    after = ""
    while True:
        page = await manifests.referrers(NAME, SUBJECT, artifact_type=artifact_type, after=after, limit=limit)
        pages.append(page.items)
        if not page.more:
            return pages
        after = str(page.items[-1].digest)


class TestHalfWrittenTags:
    """Distribution writes a tag in place: a crash may leave a folder without a link, or an empty link."""

    @pytest.mark.parametrize("content", [None, b""], ids=["no link", "an empty link"])
    async def test_they_are_neither_listed_nor_found(
        self, content: bytes | None, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        digest = await push(manifests, image(1), LATEST)
        half = Tag("half")
        await storage.put(paths.tag_index_link(NAME, half, digest), str(digest).encode())
        if content is not None:
            await storage.put(paths.tag_link(NAME, half), content)
        assert (await LayoutCatalogue(storage).tags(NAME, after="", limit=None)).items == [LATEST]
        with pytest.raises(ManifestUnknown, match="no such tag"):
            await manifests.find(NAME, half)
        with pytest.raises(ManifestUnknown, match="no such tag"):
            await manifests.untag(NAME, half, cause=NOBODY)

    @pytest.mark.parametrize("content", [b"sha256:short", b"\xff", b"latest", b"sha256:" + b"A" * 64])
    async def test_a_link_with_nonsense_leads_nowhere(
        self, content: bytes, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        await push(manifests, image(1), LATEST)
        await storage.put(paths.tag_link(NAME, LATEST), content)
        with pytest.raises(ManifestUnknown):
            await manifests.find(NAME, LATEST)

    async def test_a_link_with_a_newline_is_read(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        digest = await push(manifests, image(1), LATEST)
        await storage.put(paths.tag_link(NAME, LATEST), f"{digest}\n".encode())
        assert (await manifests.find(NAME, LATEST)).digest == digest

    async def test_they_do_not_shorten_a_page(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        await push(manifests, image(1), Tag("a"), Tag("d"), Tag("f"))
        for text in ("b", "c", "e"):
            await storage.put(f"{paths.tag(NAME, Tag(text))}/index/x", b"")
        page = await LayoutCatalogue(storage).tags(NAME, after="", limit=2)
        assert ([tag.text for tag in page.items], page.more) == (["a", "d"], True)
        page = await LayoutCatalogue(storage).tags(NAME, after="d", limit=2)
        assert ([tag.text for tag in page.items], page.more) == (["f"], False)


class TestRemovedByDistribution:
    """Distribution deletes a manifest by its revision link alone, and knows nothing of our files."""

    async def test_it_is_gone_under_its_digest_and_its_tags(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        digest = await push(manifests, image(1), LATEST)
        await manifests.find(NAME, LATEST)
        await storage.delete(paths.revision(NAME, digest))
        for reference in (digest, LATEST):
            with pytest.raises(ManifestUnknown):
                await manifests.find(NAME, reference)
        with pytest.raises(ManifestUnknown):
            await manifests.delete(NAME, digest, cause=NOBODY)

    async def test_it_is_no_referrer_any_more(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        kept, gone = [await push(manifests, image(n, subject=SUBJECT)) for n in range(2)]
        await storage.delete(paths.revision(NAME, gone))
        assert [item.digest for item in (await referring(manifests))[0]] == [kept]

    async def test_a_manifest_whose_bytes_are_gone_is_unknown(self, storage: MemoryDriver) -> None:
        digest = await push(LayoutManifests(storage, PayloadCache()), image(1), LATEST)
        await storage.delete(paths.blob(digest))
        with pytest.raises(ManifestUnknown):
            await LayoutManifests(storage, PayloadCache()).find(NAME, LATEST)


class TestReferrers:
    async def test_they_come_in_the_order_of_their_digests(self, manifests: LayoutManifests) -> None:
        made = [await push(manifests, image(n, subject=SUBJECT)) for n in range(9)]
        made += [await push(manifests, image(n, subject=SUBJECT), algorithm="sha512") for n in range(3)]
        assert [item.digest for item in (await referring(manifests))[0]] == sorted(made)

    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
    async def test_pages_by_number_are_the_whole(self, limit: int, manifests: LayoutManifests) -> None:
        made = sorted([await push(manifests, image(n, subject=SUBJECT)) for n in range(7)])
        pages = await referring(manifests, limit=limit)
        assert [item.digest for page in pages for item in page] == made
        assert {len(page) for page in pages[:-1]} <= {limit}
        assert 0 < len(pages[-1]) <= limit

    async def test_a_filter_holds_across_pages(self, manifests: LayoutManifests) -> None:
        made = [
            await push(manifests, image(n, subject=SUBJECT, artifactType="a/sbom" if n % 3 else "a/signature"))
            for n in range(9)
        ]
        pages = await referring(manifests, artifact_type="a/signature", limit=2)
        assert [item.digest for page in pages for item in page] == sorted(made[::3])
        assert await referring(manifests, artifact_type="a/other", limit=2) == [[]]

    async def test_a_page_is_cut_before_it_is_larger_than_a_manifest(
        self, manifests: LayoutManifests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(layout, "REFERRERS_PAGE_BYTES", 3000)
        made = [await push(manifests, image(n, subject=SUBJECT, annotations={"text": "x" * 900})) for n in range(7)]
        pages = await referring(manifests)
        assert [len(page) for page in pages] == [2, 2, 2, 1]
        assert [item.digest for page in pages for item in page] == sorted(made)
        assert all(len(json.dumps([item.to_json() for item in page])) <= 3000 for page in pages)

    async def test_one_that_is_larger_than_a_page_is_a_page(
        self, manifests: LayoutManifests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(layout, "REFERRERS_PAGE_BYTES", 500)
        for number in range(3):
            await push(manifests, image(number, subject=SUBJECT, annotations={"text": "x" * 900}))
        assert [len(page) for page in await referring(manifests)] == [1, 1, 1]

    async def test_one_that_is_listed_twice_is_shown_once(self, manifests: LayoutManifests) -> None:
        payload = image(1, subject=SUBJECT)
        digest = await push(manifests, payload)
        child = {"mediaType": mediatypes.OCI_MANIFEST, "digest": str(digest), "size": len(payload)}
        other = {**child, "digest": str(await push(manifests, image(2)))}
        index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [child, other]}
        await push(manifests, json.dumps(index).encode(), Tag(str(SUBJECT).replace(":", "-")))
        assert [item.digest for item in (await referring(manifests))[0]] == [digest]

    async def test_a_descriptor_says_what_the_manifest_says(self, manifests: LayoutManifests) -> None:
        payload = image(1, subject=SUBJECT, artifactType="a/sbom")
        digest = await push(manifests, payload)
        expected = Descriptor(mediatypes.OCI_MANIFEST, digest, len(payload), "a/sbom", {"number": "1"})
        assert await referring(manifests) == [[expected]]

    async def test_a_deleted_one_is_gone_and_its_subject_may_be_pushed_later(self, manifests: LayoutManifests) -> None:
        digest = await push(manifests, image(1, subject=SUBJECT))
        await manifests.delete(NAME, digest, cause=NOBODY)
        assert await referring(manifests) == [[]]

    async def test_where_a_description_cannot_be_read_the_manifest_itself_tells(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        kept, odd = [await push(manifests, image(n, subject=SUBJECT)) for n in range(2)]
        await storage.put(paths.referrer(NAME, SUBJECT, odd), b"{")
        assert {item.digest for item in (await referring(manifests))[0]} == {kept, odd}

    async def test_what_is_no_referrer_or_just_went_hides_no_other(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        kept, lost = [await push(manifests, image(n, subject=SUBJECT)) for n in range(2)]
        await storage.put(paths.referrer(NAME, SUBJECT, kept).replace(kept.encoded, "README"), b"not ours")
        # Listed, and not there when it is read: somebody has deleted it in between, or left a folder.
        await storage.delete(paths.referrer(NAME, SUBJECT, lost))
        await storage.put(f"{paths.referrer(NAME, SUBJECT, lost)}/oddity", b"")
        assert [item.digest for item in (await referring(manifests))[0]] == [kept]


class TestContentType:
    """A payload without ``mediaType`` is given back as what it was pushed as."""

    async def test_it_is_kept(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        payload = image(1, mediaType=None)
        digest = await push(manifests, payload, content_type=mediatypes.DOCKER_MANIFEST)
        fresh = LayoutManifests(storage, PayloadCache())
        assert (await fresh.find(NAME, digest)).media_type == mediatypes.DOCKER_MANIFEST

    async def test_the_second_push_decides(self, manifests: LayoutManifests) -> None:
        payload = image(1, mediaType=None)
        digest = await push(manifests, payload, content_type=mediatypes.DOCKER_MANIFEST)
        await manifests.find(NAME, digest)
        await push(manifests, payload, content_type=mediatypes.OCI_MANIFEST)
        assert (await manifests.find(NAME, digest)).media_type == mediatypes.OCI_MANIFEST

    async def test_each_repository_has_its_own(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        payload = image(1, mediaType=None)
        digest = await push(manifests, payload, content_type=mediatypes.DOCKER_MANIFEST)
        other = RepositoryName("other")
        await storage.put(paths.revision_link(other, digest), str(digest).encode())  # As Distribution writes it.
        assert (await manifests.find(other, digest)).media_type == mediatypes.OCI_MANIFEST
        assert (await manifests.find(NAME, digest)).media_type == mediatypes.DOCKER_MANIFEST

    async def test_a_declared_one_needs_no_file(self, storage: MemoryDriver, manifests: LayoutManifests) -> None:
        digest = await push(manifests, image(1))
        assert [entry.name for entry in await storage.list(paths.revision(NAME, digest))] == ["link"]


class TestDelete:
    async def test_a_manifest_takes_its_tags_with_it_and_no_others(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        first = await push(manifests, image(1), Tag("a"), Tag("b"))
        second = await push(manifests, image(2), Tag("b"), Tag("c"))
        await manifests.delete(NAME, first, cause=NOBODY)
        assert [tag.text for tag in (await LayoutCatalogue(storage).tags(NAME, after="", limit=None)).items] == [
            "b",
            "c",
        ]
        assert (await manifests.find(NAME, Tag("b"))).digest == second

    async def test_more_tags_than_are_read_at_once_all_go(
        self, storage: MemoryDriver, manifests: LayoutManifests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(layout, "_BATCH", 4)
        digest = await push(manifests, image(1), *(Tag(f"t{n}") for n in range(13)))
        await manifests.delete(NAME, digest, cause=NOBODY)
        assert (await LayoutCatalogue(storage).tags(NAME, after="", limit=None)).items == []

    async def test_each_tag_is_read_twice_and_those_that_go_are_told_of(self) -> None:
        storage, tells = CountedReads(), list[Notice]()
        manifests = LayoutManifests(storage, PayloadCache())
        await push(manifests, image(1), *(Tag(f"kept{n}") for n in range(9)))
        digest = await push(manifests, image(2), Tag("gone"))
        storage.tags = 0
        await manifests.delete(NAME, digest, cause=Cause(announcer=announcer(tells=tells)))
        assert storage.tags == 2 * 9 + 3  # The one that goes is read again before it does, and noted.
        assert [target(notice.payload).get("tag") for notice in tells] == ["gone", None]

    async def test_a_repository_without_manifests_stays_one(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        digest = await push(manifests, image(1), LATEST)
        await manifests.delete(NAME, digest, cause=NOBODY)
        assert (await LayoutCatalogue(storage).repositories(after="", limit=10)).items == [NAME]
        with pytest.raises(ManifestUnknown):
            await manifests.find(NAME, digest)

    async def test_what_was_never_there_says_which_is_missing(
        self, storage: MemoryDriver, manifests: LayoutManifests
    ) -> None:
        with pytest.raises(NameUnknown):
            await manifests.delete(NAME, SUBJECT, cause=NOBODY)
        with pytest.raises(NameUnknown):
            await LayoutCatalogue(storage).tags(NAME, after="", limit=None)
        await LayoutLinks(storage).link(NAME, SUBJECT, Expectation(), size_bytes=1)
        with pytest.raises(NameUnknown):  # Blobs alone do not make a repository.
            await manifests.untag(NAME, LATEST, cause=NOBODY)
        await push(manifests, image(1))
        with pytest.raises(ManifestUnknown):
            await manifests.untag(NAME, LATEST, cause=NOBODY)


async def test_a_link_is_there_until_it_is_taken_out(storage: MemoryDriver) -> None:
    links = LayoutLinks(storage)
    assert not await links.has(NAME, SUBJECT)
    await links.link(NAME, SUBJECT, Expectation(), size_bytes=1)
    await links.link(NAME, SUBJECT, Expectation(), size_bytes=1)
    assert await links.has(NAME, SUBJECT)
    assert not await links.has(RepositoryName("group"), SUBJECT)
    await links.unlink(NAME, SUBJECT, cause=NOBODY)
    with pytest.raises(BlobUnknown):
        await links.unlink(NAME, SUBJECT, cause=NOBODY)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_whose_bytes_were_damaged_is_unknown_and_the_log_says_so(
    algorithm: Algorithm, storage: MemoryDriver, manifests: LayoutManifests
) -> None:
    digest = await push(manifests, image(1), LATEST, algorithm=algorithm)
    await storage.put(paths.blob(digest), image(2))
    fresh = LayoutManifests(storage, PayloadCache())
    for reference in (digest, LATEST):
        with structlog.testing.capture_logs() as logged, pytest.raises(ManifestUnknown):
            await fresh.find(NAME, reference)
        assert [(line["log_level"], line["digest"]) for line in logged] == [("error", str(digest))]
    assert await fresh.missing(NAME, [digest]) == {digest}
    await push(fresh, image(1), algorithm=algorithm)
    assert (await fresh.find(NAME, digest)).payload == image(1)


async def test_a_manifest_that_was_collected_is_unknown_to_who_has_it_in_memory(
    storage: MemoryDriver, manifests: LayoutManifests
) -> None:
    digest = await push(manifests, image(1))
    assert (await manifests.find(NAME, digest)).payload == image(1)
    await storage.delete(paths.revision(NAME, digest))
    await storage.delete(paths.blob(digest))
    with pytest.raises(ManifestUnknown):
        await manifests.find(NAME, digest)


async def test_a_deleted_manifest_is_not_kept_in_memory(storage: MemoryDriver) -> None:
    pointers = LayoutPointers(storage)
    tracemalloc.start()
    try:
        for number in range(8):
            payload = payload_of(image(number, annotations={"large": "x" * (1 << 20)}))
            await pointers.remove(NAME, Digest.of(payload.content), payload)
        gc.collect()  # What is in cycles goes when the collector comes by.
        held_bytes = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held_bytes < 3 << 20
