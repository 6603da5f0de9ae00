"""Lists: all pages together are the list, whatever the names, the page size, and where one begins."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moorage.metadata import layout
from moorage.metadata.base import Page
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver

NEIGHBOURS = ["a", "a-b", "a/b", "a.b", "a_b", "a__b", "a0", "a/b-c", "a/b/c", "a--b", "a0/b", "a-b/c", "ab", "0"]
"""Names around the slash in byte order: ``-`` and ``.`` before it, digits and ``_`` after."""

PART = st.from_regex(r"[ab0]{1,2}(?:(?:\.|_|__|-|--)[ab0]){0,2}", fullmatch=True)
REPOSITORY = st.one_of(st.sampled_from(NEIGHBOURS), st.lists(PART, min_size=1, max_size=3).map("/".join))
TAG = st.from_regex(r"[AZaz09_][AZaz09._-]{0,3}", fullmatch=True)
PAGE_SIZE = st.integers(1, 8)
ANYTHING = st.one_of(REPOSITORY, TAG, st.text(max_size=6), st.sampled_from(["", "/", "a/", "a0/", "~", "_", "\udcff"]))

SOME = Digest.of(b"x")


async def pages_of(load: Callable[[str], Awaitable[Page[RepositoryName] | Page[Tag]]], after: str) -> list[list[str]]:
    """The names on each page from *after* on."""
    pages: list[list[str]] = []
    while True:
        page = await load(after)
        pages.append([item.text for item in page.items])
        if not page.more:
            return pages
        after = pages[-1][-1]


def check(pages: Sequence[Sequence[str]], names: set[str], after: str, size: int) -> None:
    """Byte order, nothing twice, nothing missing, only the last page shorter."""
    assert [name for page in pages for name in page] == sorted(name for name in names if name > after)
    assert all(len(page) == size for page in pages[:-1])
    assert len(pages[-1]) <= size


@given(names=st.sets(REPOSITORY, max_size=16), size=PAGE_SIZE, after=ANYTHING)
@example(names=set(NEIGHBOURS), size=1, after="")
@example(names=set(NEIGHBOURS), size=3, after="a/")
@example(names=set(NEIGHBOURS), size=3, after="a/a")
@example(names=set(NEIGHBOURS), size=2, after="a.")
def test_pages_of_repositories_are_the_whole_list(names: set[str], size: int, after: str) -> None:
    async def run() -> None:
        storage = MemoryDriver()
        for name in names:
            await storage.put(f"{paths.manifests(RepositoryName.parse(name))}/x", b"")
        catalogue = LayoutCatalogue(storage)
        check(await pages_of(lambda last: catalogue.repositories(after=last, limit=size), after), names, after, size)

    asyncio.run(run())


@given(
    names=st.sets(TAG, max_size=20), halves=st.sets(TAG, max_size=6), size=PAGE_SIZE, after=ANYTHING, batch=PAGE_SIZE
)
def test_pages_of_tags_are_the_whole_list(
    *, names: set[str], halves: set[str], size: int, after: str, batch: int
) -> None:
    async def run() -> None:
        storage = MemoryDriver()
        repository = RepositoryName("a")
        await storage.put(f"{paths.manifests(repository)}/x", b"")
        for name in names:
            await storage.put(paths.tag_link(repository, Tag.parse(name)), str(SOME).encode())
        for name in halves - names:
            await storage.put(paths.tag_index_link(repository, Tag.parse(name), SOME), str(SOME).encode())
        catalogue = LayoutCatalogue(storage)
        pages = await pages_of(lambda last: catalogue.tags(repository, after=last, limit=size), after)
        check(pages, names, after, size)
        whole = await catalogue.tags(repository, after=after, limit=None)
        assert ([tag.text for tag in whole.items], whole.more) == (sorted(n for n in names if n > after), False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "_BATCH", batch)
        asyncio.run(run())
