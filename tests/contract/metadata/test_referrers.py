"""Referrers: the manifests with a subject, in the order of their digests, page by page."""

import pytest

from contract.metadata.pushing import (
    ABSENT,
    NAME,
    NEVER,
    NOBODY,
    OTHER,
    SUBJECT,
    digests_on,
    json_bytes,
    push,
    push_image,
    referrer,
    referring,
)
from contract.metadata.stores import Store
from moorage.metadata.base import REFERRERS_PAGE_BYTES
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor
from support.images import OCI_INDEX, OCI_MANIFEST, Content, image, index

COUNT = 7


async def push_some(store: Store, count: int = COUNT) -> list[Digest]:
    """Referrers of SUBJECT, two of them under sha512, in the order of their digests; others beside them."""
    await push(store, image("none").manifest)
    await push(store, referrer("another subject", ABSENT))
    await push(store, referrer("another repository"), name=OTHER)
    made = [await push(store, referrer(n)) for n in range(count - 2)]
    made += [await push(store, referrer(n), algorithm="sha512") for n in range(2)]
    return sorted(made)


async def test_a_descriptor_says_what_the_manifest_says(store: Store) -> None:
    annotations = {"org.example.text": "naïve ☃", "empty": "", "quote": '"\\'}
    content = referrer("a", artifact_type="application/vnd.example.sbom", annotations=annotations)
    digest = await push(store, content, "tagged")
    expected = Descriptor(OCI_MANIFEST, digest, len(content.body), "application/vnd.example.sbom", annotations)
    assert await referring(store) == [[expected]]


async def test_without_an_artifact_type_it_is_that_of_the_configuration(store: Store) -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": str(SUBJECT), "size": 1}
    made = image("a", subject=subject)
    digest = await push_image(store, made)
    media_type = made.blobs[0].media_type
    assert await referring(store) == [[Descriptor(OCI_MANIFEST, digest, len(made.manifest.body), media_type)]]
    assert digests_on(await referring(store, artifact_type=media_type)) == [digest]


async def test_an_index_may_refer_too_and_need_not_have_a_type(store: Store) -> None:
    content = index([], subject={"mediaType": OCI_MANIFEST, "digest": str(SUBJECT), "size": 1})
    digest = await push(store, content)
    assert await referring(store) == [[Descriptor(OCI_INDEX, digest, len(content.body))]]


async def test_they_come_in_the_order_of_their_digests_and_no_others(store: Store) -> None:
    made = await push_some(store)
    assert digests_on(await referring(store)) == made


@pytest.mark.parametrize("limit", range(1, COUNT + 2))
async def test_pages_by_number_are_the_whole(limit: int, store: Store) -> None:
    made = await push_some(store)
    pages = await referring(store, limit=limit)
    assert digests_on(pages) == made
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert 0 < len(pages[-1]) <= limit


@pytest.mark.parametrize("after", ["0", "sha256", "sha256:", "sha256:8", "sha512:", "sha512:f", "zzz", "\0", "\udcff"])
async def test_a_list_may_begin_after_any_text(after: str, store: Store) -> None:
    made = await push_some(store)
    page = await store.manifests.referrers(NAME, SUBJECT, artifact_type=None, after=after, limit=100)
    assert [item.digest for item in page.items] == [digest for digest in made if str(digest) > after]
    assert not page.more


async def test_a_list_may_begin_after_a_digest_that_is_not_on_it(store: Store) -> None:
    made = await push_some(store)
    between = Digest("sha256", made[1].encoded[:-1] + ("0" if made[1].encoded[-1] != "0" else "1"))
    page = await store.manifests.referrers(NAME, SUBJECT, artifact_type=None, after=str(between), limit=100)
    assert [item.digest for item in page.items] == [digest for digest in made if digest > between]


async def test_a_filter_holds_across_pages(store: Store) -> None:
    made = [await push(store, referrer(n, artifact_type="a/sbom" if n % 3 else "a/signature")) for n in range(9)]
    for limit in (1, 2, 3, 4):
        pages = await referring(store, artifact_type="a/signature", limit=limit)
        assert digests_on(pages) == sorted(made[::3])
    for nobodys in ("a/other", "", "A/SBOM", "a/sbom ", "a/%", "a\0b", "\ud800"):
        assert await referring(store, artifact_type=nobodys, limit=2) == [[]]


async def test_a_page_is_no_larger_than_a_manifest_may_be(store: Store) -> None:
    annotations = {"text": "x" * 900_000}
    made = [await push(store, referrer(n, annotations=annotations)) for n in range(6)]
    pages = await referring(store)
    assert digests_on(pages) == sorted(made)
    assert [len(page) for page in pages] == [4, 2]
    assert all(json_bytes(page) <= REFERRERS_PAGE_BYTES for page in pages)


async def test_a_page_is_counted_in_the_bytes_that_are_sent(store: Store) -> None:
    """Characters outside ASCII take six or twelve bytes each in the JSON of the answer."""
    annotations = {"text": "☃" * 300_000}
    made = [await push(store, referrer(n, annotations=annotations)) for n in range(4)]
    pages = await referring(store)
    assert digests_on(pages) == sorted(made)
    assert all(json_bytes(page) <= REFERRERS_PAGE_BYTES for page in pages)


async def test_one_that_is_larger_than_a_page_is_a_page(store: Store) -> None:
    """In the payload a snowman is three bytes, in the list six."""
    large = referrer("a", annotations={"text": "-"})
    body = large.body.decode().replace('"text": "-"', f'"text": "{"☃" * 750_000}"').encode()
    await push(store, Content(large.media_type, body))
    made = [await push(store, referrer(n)) for n in range(2)]
    pages = await referring(store)
    assert digests_on(pages) == sorted([Digest.of(body), *made])
    assert all(page for page in pages)


async def test_a_deleted_one_is_gone_and_comes_back_with_a_push(store: Store) -> None:
    made = await push_some(store)
    content = referrer(0)
    digest = Digest.of(content.body)
    await store.manifests.delete(NAME, digest, cause=NOBODY)
    assert digests_on(await referring(store)) == [other for other in made if other != digest]
    assert digests_on(await referring(store, limit=2)) == [other for other in made if other != digest]
    await push(store, content)
    assert digests_on(await referring(store)) == made


async def test_a_subject_may_come_later_and_go_and_its_referrers_stay(store: Store) -> None:
    subject = image("subject")
    digest = Digest.parse(subject.digest)
    made = await push(store, referrer("a", digest))
    assert digests_on(await referring(store, digest)) == [made]
    await push_image(store, subject)
    assert digests_on(await referring(store, digest)) == [made]
    await store.manifests.delete(NAME, digest, cause=NOBODY)
    assert digests_on(await referring(store, digest)) == [made]


async def test_a_referrer_of_a_referrer_is_on_the_list_of_that_one_only(store: Store) -> None:
    first = await push(store, referrer("a"))
    second = await push(store, referrer("b", first))
    assert digests_on(await referring(store)) == [first]
    assert digests_on(await referring(store, first)) == [second]


async def test_one_that_is_its_own_kind_of_subject_under_sha512_is_found(store: Store) -> None:
    subject = Digest.of(b"long", "sha512")
    made = await push(store, referrer("a", subject))
    assert digests_on(await referring(store, subject)) == [made]


async def test_an_unknown_repository_or_subject_has_none(store: Store) -> None:
    await push_some(store)
    for name, subject in ((NEVER, SUBJECT), (NAME, Digest.of(b"nobody refers to it"))):
        page = await store.manifests.referrers(name, subject, artifact_type=None, after="", limit=10)
        assert (page.items, page.more) == ([], False)
