"""Lists: all pages together are the list, whatever the names, the page size, and where one begins."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import pytest

from contract.metadata.pushing import NAME, NEVER, NOBODY, push, push_blob, tag_names
from contract.metadata.stores import Store
from moorage.errors import NameUnknown
from moorage.metadata.base import Page
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage.remote.remote_driver import RemoteDriver
from support.images import image

REPOSITORIES = ["a", "a-b", "a/b", "a.b", "a_b", "a__b", "a0", "a/b-c", "a/b/c", "a--b", "a0/b", "a-b/c", "ab", "0"]
"""Names around the slash in byte order: ``-`` and ``.`` before it, digits and ``_`` after."""

TAGS = [
    "0",
    "00",
    "1.10",
    "1.9",
    "1.9-rc",
    "A",
    "AA",
    "Aa",
    "Z",
    "_",
    "__",
    "_a",
    "a",
    "a-",
    "a.",
    "a_",
    "aA",
    "aa",
    "z",
]

NOWHERE = [
    "",
    " ",
    "!",
    "/",
    "a/",
    "A~",
    "Z",
    "[",
    "_",
    "`",
    "~",
    "%",
    "a%",
    "\0",
    "a\0",
    "\udcff",
    "é",
    "🐳",
    "x" * 9999,
]
"""Where a list may be asked to begin that is no name at all."""

Load = Callable[[str, int], Awaitable[Page[RepositoryName] | Page[Tag]]]


async def check(load: Load, names: Sequence[str], after: str, size: int) -> None:
    """Byte order, nothing twice, nothing missing, only the last page shorter."""
    pages: list[list[str]] = []
    last, more = after, True
    while more:
        page = await load(last, size)
        pages.append([item.text for item in page.items])
        more = page.more
        assert not more or pages[-1], "an empty page has nothing that the next could follow"
        last = pages[-1][-1] if more else ""
    assert [name for page in pages for name in page] == sorted(name for name in names if name > after)
    assert all(len(page) == size for page in pages[:-1])
    assert len(pages[-1]) <= size


async def repositories(store: Store, after: str, limit: int) -> Page[RepositoryName]:
    return await store.catalogue.repositories(after=after, limit=limit)


async def tags(store: Store, after: str, limit: int) -> Page[Tag]:
    return await store.catalogue.tags(NAME, after=after, limit=limit)


async def fill(store: Store) -> None:
    for name in REPOSITORIES:
        await push(store, image("a").manifest, name=RepositoryName.parse(name))


def some_of(store: Store, names: Sequence[str]) -> Sequence[str]:
    """All of them, but of a bucket behind HTTP: how it pages is tried with the driver, and each page is a request."""
    return names[::7] if isinstance(store.storage, RemoteDriver) else names


class TestCatalogue:
    async def test_pages_are_the_whole_list(self, store: Store) -> None:
        await fill(store)
        for after in some_of(store, ["", *REPOSITORIES, *(f"{name}/" for name in REPOSITORIES), *NOWHERE]):
            for size in (1, 3, len(REPOSITORIES) - 1, len(REPOSITORIES), len(REPOSITORIES) + 1):
                await check(partial(repositories, store), REPOSITORIES, after, size)

    async def test_repositories_that_have_or_had_a_manifest_are_listed(self, store: Store) -> None:
        await push_blob(store, b"x", name=RepositoryName("only/blobs"))
        digest = await push(store, image("a").manifest, "v1", name=RepositoryName("had/one"))
        await push(store, image("a").manifest, name=RepositoryName("has/one"))
        await store.manifests.delete(RepositoryName("had/one"), digest, cause=NOBODY)
        page = await store.catalogue.repositories(after="", limit=10)
        assert ([name.text for name in page.items], page.more) == (["had/one", "has/one"], False)

    async def test_an_empty_registry_has_none(self, store: Store) -> None:
        page = await store.catalogue.repositories(after="", limit=10)
        assert (page.items, page.more) == ([], False)


class TestTags:
    async def test_pages_are_the_whole_list(self, store: Store) -> None:
        await push(store, image("a").manifest, *TAGS)
        for after in some_of(store, ["", *TAGS, *NOWHERE]):
            for size in (1, 3, len(TAGS) - 1, len(TAGS), len(TAGS) + 1, sys.maxsize):
                await check(partial(tags, store), TAGS, after, size)

    async def test_without_a_limit_they_come_all_at_once(self, store: Store) -> None:
        names = [f"t{n:04}" for n in range(250)]
        await push(store, image("a").manifest, *names)
        assert await tag_names(store) == names
        page = await store.catalogue.tags(NAME, after="t0099", limit=None)
        assert ([tag.text for tag in page.items], page.more) == (names[100:], False)

    async def test_a_page_of_none_has_none(self, store: Store) -> None:
        await push(store, image("a").manifest, *TAGS)
        assert (await store.catalogue.tags(NAME, after="", limit=0)).items == []

    async def test_removed_ones_do_not_shorten_a_page(self, store: Store) -> None:
        for name in TAGS:
            await push(store, image(name).manifest, name)
        for name in TAGS[::3]:
            await store.manifests.untag(NAME, Tag(name), cause=NOBODY)
        for name in TAGS[1::3]:
            await store.manifests.delete(NAME, Digest.of(image(name).manifest.body), cause=NOBODY)
        for size in (1, 2, 3):
            await check(partial(tags, store), TAGS[2::3], "", size)

    async def test_each_repository_has_its_own(self, store: Store) -> None:
        neighbours = [RepositoryName(name) for name in ("a", "a/b", "ab", "a-b")]
        for name in neighbours:
            await push(store, image("a").manifest, name.text.replace("/", "."), name=name)
        for name in neighbours:
            assert await tag_names(store, name) == [name.text.replace("/", ".")]

    async def test_a_repository_without_tags_has_none(self, store: Store) -> None:
        await push(store, image("a").manifest)
        page = await store.catalogue.tags(NAME, after="", limit=10)
        assert (page.items, page.more) == ([], False)

    @pytest.mark.parametrize("limit", [None, 0, 1, 100])
    async def test_a_repository_that_is_not_there_is_unknown(self, limit: int | None, store: Store) -> None:
        await push(store, image("a").manifest, "v1")
        for after in ("", "zzz"):
            with pytest.raises(NameUnknown) as raised:
                await store.catalogue.tags(NEVER, after=after, limit=limit)
            assert raised.value.detail == {"name": "never/seen"}
