"""What is known of one repository, and which repositories are at a path and below it."""

import pytest

from contract.metadata_details.rows import START, Rows, at
from moorage.errors import NameUnknown
from moorage.metadata.details import RepositoryDetails
from moorage.metadata.sql.details import SqlDetails
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database

APP = RepositoryName("group/app")


@pytest.fixture
def details(database: Database) -> SqlDetails:
    return SqlDetails(database)


async def tagged(rows: Rows, *paths: str) -> None:
    """Repositories with a tag."""
    for path in paths:
        repository = await rows.repository(path)
        await rows.tag(repository, "a", await rows.manifest(repository, path))


async def listed(details: SqlDetails, under: str = "group/app", *, after: str = "", limit: int = 100) -> list[str]:
    page = await details.repositories(RepositoryName(under), after=after, limit=limit)
    return [item.name.text for item in page.items]


async def test_a_repository_that_is_not_there_is_said_not_to_be(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group/app/below")
    with pytest.raises(NameUnknown):
        await details.repository(APP)


async def test_a_repository_has_its_moments_to_the_microsecond(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group/app", updated_at=at(1), last_published_at=at(2))
    await rows.repository("group/new")
    assert await details.repository(APP) == RepositoryDetails(APP, START, at(1), at(2))
    new = RepositoryName("group/new")
    assert await details.repository(new) == RepositoryDetails(new, START, None, None)


async def test_a_namespace_is_the_first_part_of_a_name(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group/app")
    for name, is_there in (("group", True), ("group/other", True), ("grou", False), ("group-x/app", False)):
        assert await details.has_namespace(RepositoryName(name)) is is_there, name


async def test_repositories_at_a_path_are_itself_and_those_below_in_byte_order(rows: Rows, details: SqlDetails) -> None:
    inside = ["group/app", "group/app/a", "group/app/a-b", "group/app/a/b", "group/app/b"]
    await tagged(rows, *reversed(inside), "group/app-x", "group/app.x/y", "group/app0", "group/ap", "group", "zz")
    assert await listed(details) == sorted(inside)


async def test_repositories_without_a_tag_are_not_listed(rows: Rows, details: SqlDetails) -> None:
    await rows.repository("group/app")
    untagged = await rows.repository("group/app/untagged")
    await rows.manifest(untagged, "1")
    await tagged(rows, "group/app/tagged")
    assert await listed(details) == ["group/app/tagged"]


async def test_pages_of_every_size_make_the_whole_list(rows: Rows, details: SqlDetails) -> None:
    paths = ["group/app", *(f"group/app/{name}" for name in ("a", "a-b", "a.b", "a/b", "a0", "b", "b/c/d"))]
    await tagged(rows, *paths)
    for limit in range(1, len(paths) + 2):
        found: list[str] = []
        while True:
            page = await details.repositories(APP, after=found[-1] if found else "", limit=limit)
            found += [item.name.text for item in page.items]
            if not page.more:
                break
            assert len(page.items) == limit
        assert found == sorted(paths), limit


async def test_a_list_goes_on_after_names_that_are_not_in_it(rows: Rows, details: SqlDetails) -> None:
    await tagged(rows, "group/app", "group/app/b")
    for after, expected in (
        ("a", ["group/app", "group/app/b"]),
        ("group/app-zz", ["group/app/b"]),
        ("group/app/azz", ["group/app/b"]),
        ("group/app/b", []),
        ("zz", []),
        ("100%_", ["group/app", "group/app/b"]),
    ):
        assert await listed(details, after=after) == expected, after
