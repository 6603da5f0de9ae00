"""Lists of tags: sorted four ways, filtered, and paged both ways."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.metadata_details.rows import START, Rows, at, digest
from moorage.errors import NameUnknown
from moorage.gitlab_errors import TagUnknown
from moorage.metadata.details import Order, TagEntry, TagPage, TagPosition, TagSelection, Times
from moorage.metadata.sql.details import SqlDetails
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database

APP = RepositoryName("group/app")
SORTS = [(order, descending) for order in Order for descending in (False, True)]
HOSTILE = ["0", "A", "A.b", "Ab", "_", "__", "a", "a-", "a-b", "a.", "a_b", "ab", "b", "v1", "v1.0", "v10", "z" * 128]

Made = tuple[str, int]
"""A tag and the second it was published in."""


@pytest.fixture
def details(database: Database) -> SqlDetails:
    return SqlDetails(database)


async def fill(rows: Rows, tags: Sequence[Made], path: str = "group/app") -> None:
    repository = await rows.repository(path)
    manifest = await rows.manifest(repository, "1")
    for name, published in tags:
        await rows.tag(repository, name, manifest, created=-1, updated=published)


def names(page: TagPage) -> list[str]:
    return [entry.name for entry in page.items]


def in_order(tags: Sequence[Made], order: Order, *, descending: bool) -> list[str]:
    """What a list must be, without a database."""
    by_name = sorted(tags, reverse=descending)
    if order is Order.PUBLISHED_AT:
        by_name = sorted(tags, key=lambda tag: (tag[1], tag[0]), reverse=descending)
    return [name for name, _ in by_name]


def place(entry: TagEntry) -> TagPosition:
    return TagPosition(entry.name, entry.times.published_at)


async def forward(details: SqlDetails, selection: TagSelection, name: RepositoryName) -> list[list[str]]:
    """Every page by ``after``; that each says rightly what is around it."""
    pages: list[list[str]] = []
    after: TagPosition | None = None
    while True:
        page = await details.tags(name, replace(selection, after=after))
        assert page.has_before is bool(pages)
        pages.append(names(page))
        if not page.has_after:
            return pages
        after = place(page.items[-1])


async def backward(details: SqlDetails, selection: TagSelection, name: RepositoryName) -> list[list[str]]:
    """Every page by ``before``, from the last tag on; the last tag itself makes a page of its own."""
    turned = TagSelection(limit=1, order=selection.order, descending=not selection.descending)
    last = await details.tags(name, replace(turned, containing=selection.containing))
    if not last.items:
        return []
    pages = [names(last)]
    before = place(last.items[0])
    while True:
        page = await details.tags(name, replace(selection, before=before))
        assert page.has_after is bool(page.items)
        pages.insert(0, names(page))
        if not page.has_before:
            return pages
        before = place(page.items[0])


def replace(
    selection: TagSelection,
    *,
    after: TagPosition | None = None,
    before: TagPosition | None = None,
    containing: str | None = None,
) -> TagSelection:
    return TagSelection(
        limit=selection.limit,
        order=selection.order,
        descending=selection.descending,
        containing=selection.containing if containing is None else containing,
        after=after,
        before=before,
    )


async def test_an_unknown_repository_is_said_to_be_unknown(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group")
    with pytest.raises(NameUnknown):
        await details.tags(APP, TagSelection(limit=1))
    with pytest.raises(NameUnknown):
        await details.tag_entry(APP, "a")


async def test_a_repository_without_tags_has_an_empty_list(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group/app")
    assert await details.tags(APP, TagSelection(limit=1)) == TagPage([], has_before=False, has_after=False)
    assert await details.tag_entry(APP, "a") is None


async def test_an_entry_has_what_a_list_shows(rows: Rows, details: SqlDetails) -> None:
    app = await rows.repository("group/app")
    config = await rows.blob("config", 5)
    manifest = await rows.manifest(app, "1", total_size=1234, config_blob_id=config, media_type="a/image")
    bare = await rows.manifest(app, "2", total_size=9, media_type="a/thing")
    await rows.tag(app, "moved", manifest, created=0, updated=60.5)
    await rows.tag(app, "new", bare)
    moved = TagEntry("moved", digest("1"), "a/image", digest("config"), 1234, Times(START, at(60.5), at(60.5)))
    new = TagEntry("new", digest("2"), "a/thing", None, 9, Times(START, None, START))
    assert (await details.tags(APP, TagSelection(limit=5))).items == [moved, new]
    assert await details.tag_entry(APP, "moved") == moved


async def test_tags_of_other_repositories_are_not_listed(rows: Rows, details: SqlDetails) -> None:
    await fill(rows, [("a", 1), ("b", 2)])
    await fill(rows, [("c", 1)], "group/app/below")
    await fill(rows, [("d", 1)], "group/app-x")
    assert names(await details.tags(APP, TagSelection(limit=9))) == ["a", "b"]


@pytest.mark.parametrize(("order", "descending"), SORTS, ids=str)
async def test_walking_forward_and_backward_meets_every_tag_once(
    rows: Rows, details: SqlDetails, order: Order, *, descending: bool
) -> None:
    random_ = random.Random(7)
    tags = [(name, random_.choice([1, 2, 2, 3])) for name in random_.sample(HOSTILE, len(HOSTILE))]
    await fill(rows, tags)
    expected = in_order(tags, order, descending=descending)
    for limit in range(1, len(tags) + 2):
        selection = TagSelection(limit=limit, order=order, descending=descending)
        pages = await forward(details, selection, APP)
        assert [name for page in pages for name in page] == expected
        assert all(len(page) == limit for page in pages[:-1])
        pages = await backward(details, selection, APP)
        assert [name for page in pages for name in page] == expected
        assert all(len(page) == limit for page in pages[1:-1])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tags=st.dictionaries(
        st.from_regex(r"[A-Za-c_][A-Za-c._-]{0,3}", fullmatch=True), st.integers(0, 2), min_size=1, max_size=12
    ),
    selection=st.builds(
        TagSelection,
        limit=st.integers(1, 13),
        order=st.sampled_from(Order),
        descending=st.booleans(),
        containing=st.sampled_from(["", "_", ".", "-", "a", "A", "a_", "%"]),
    ),
)
async def test_pages_of_any_tags_and_sizes_make_the_whole_list(
    rows: Rows, details: SqlDetails, tags: dict[str, int], selection: TagSelection
) -> None:
    path = f"any/r{len(await rows.paths())}"
    await fill(rows, list(tags.items()), path)
    fitting = [tag for tag in tags.items() if selection.containing in tag[0]]
    expected = in_order(fitting, selection.order, descending=selection.descending)
    for walk in (forward, backward):
        pages = await walk(details, selection, RepositoryName(path))
        assert [name for page in pages for name in page] == expected


@pytest.mark.parametrize(
    ("before", "limit", "descending", "expected"),
    [
        ("c", 100, False, ["a", "b"]),
        ("c", 100, True, ["f", "e", "d"]),
        ("d", 2, False, ["b", "c"]),
        ("d", 2, True, ["f", "e"]),
        ("bb", 1, False, ["b"]),
        ("A", 9, False, []),
        ("zzz", 2, False, ["e", "f"]),
    ],
)
async def test_before_gives_the_tags_right_before_it_in_list_order(
    rows: Rows, details: SqlDetails, before: str, limit: int, *, descending: bool, expected: list[str]
) -> None:
    await fill(rows, [(name, 0) for name in "abcdef"])
    page = await details.tags(APP, TagSelection(limit=limit, descending=descending, before=TagPosition(before)))
    assert names(page) == expected


async def test_a_place_of_a_tag_that_went_meanwhile_is_still_a_place(rows: Rows, details: SqlDetails) -> None:
    await fill(rows, [("a", 5), ("c", 5), ("b", 7)])
    gone = TagPosition("b", at(5))
    selection = TagSelection(limit=9, order=Order.PUBLISHED_AT, after=gone)
    assert names(await details.tags(APP, selection)) == ["c", "b"]
    selection = TagSelection(limit=9, order=Order.PUBLISHED_AT, before=gone)
    assert names(await details.tags(APP, selection)) == ["a"]


async def test_a_list_by_time_may_go_on_from_a_tag_without_its_moment(rows: Rows, details: SqlDetails) -> None:
    await fill(rows, [("a", 9), ("b", 1), ("c", 5)])
    selection = TagSelection(limit=9, order=Order.PUBLISHED_AT, after=TagPosition("c"))
    assert names(await details.tags(APP, selection)) == ["a"]
    with pytest.raises(TagUnknown):
        await details.tags(APP, TagSelection(limit=9, order=Order.PUBLISHED_AT, after=TagPosition("never")))
    nowhere = RepositoryName("never/seen")
    with pytest.raises(NameUnknown):
        await details.tags(nowhere, TagSelection(limit=9, order=Order.PUBLISHED_AT, after=TagPosition("never")))


@pytest.mark.parametrize(
    ("containing", "expected"),
    [
        ("_", ["_", "__", "a_b"]),
        ("%", []),
        ("A", ["A", "A.b", "Ab"]),
        ("b", ["A.b", "Ab", "a-b", "a_b", "ab", "b"]),
        ("\\", []),
        ("v1", ["v1", "v1.0", "v10"]),
        (".", ["A.b", "a.", "v1.0"]),
    ],
)
async def test_a_filter_is_taken_letter_for_letter(
    rows: Rows, details: SqlDetails, containing: str, expected: list[str]
) -> None:
    await fill(rows, [(name, 0) for name in HOSTILE])
    assert names(await details.tags(APP, TagSelection(limit=99, containing=containing))) == expected


@pytest.mark.parametrize(
    "moment", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
)
@pytest.mark.parametrize("name", ["", "a", "b\U0001f600", "~~", "%_'\"\\"])
async def test_a_place_may_be_any_moment_and_any_text(
    rows: Rows, details: SqlDetails, moment: datetime, name: str
) -> None:
    await fill(rows, [("a", 1), ("b", 2)])
    page = await details.tags(APP, TagSelection(limit=9, order=Order.PUBLISHED_AT, after=TagPosition(name, moment)))
    assert names(page) == (["a", "b"] if moment.year == 1 else [])
    page = await details.tags(APP, TagSelection(limit=9, after=TagPosition(name)))
    assert names(page) == [tag for tag in "ab" if tag > name]
