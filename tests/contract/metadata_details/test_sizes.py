"""How much repositories need: layers of tagged manifests, each once."""

import pytest

from contract.metadata_details.rows import Rows, at
from moorage.core.sizes import Sizes
from moorage.metadata.base import Cause
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.sizes import SqlSizes
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database

APP = RepositoryName("group/app")
GROUP = RepositoryName("group")


@pytest.fixture
def sizes(database: Database) -> SqlSizes:
    return SqlSizes(database)


async def of(sizes: SqlSizes, name: RepositoryName = APP) -> tuple[int, int]:
    """The size of a repository alone, and with all below it."""
    return (await sizes.measure(name, with_descendants=False), await sizes.measure(name, with_descendants=True))


async def test_what_is_not_there_needs_nothing(sizes: SqlSizes) -> None:
    assert await of(sizes) == (0, 0)
    assert await sizes.estimate(APP) == 0


async def test_a_layer_counts_once_however_many_manifests_and_tags_need_it(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    shared, own = await rows.blob("shared", 1000), await rows.blob("own", 10)
    first = await rows.manifest(app, "1", layers=[shared])
    second = await rows.manifest(app, "2", layers=[shared, own])
    for name, manifest in (("a", first), ("b", second), ("c", second)):
        await rows.tag(app, name, manifest)
    assert await of(sizes) == (1010, 1010)


async def test_configurations_and_manifests_do_not_count(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    config, layer = await rows.blob("config", 500), await rows.blob("layer", 7)
    manifest = await rows.manifest(app, "1", layers=[layer], config_blob_id=config, total_size=10_000)
    await rows.tag(app, "a", manifest)
    assert await of(sizes) == (7, 7)


async def test_what_no_tag_leads_to_does_not_count(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    await rows.manifest(app, "untagged", layers=[await rows.blob("1", 100)])
    await rows.link(app, await rows.blob("2", 10))
    assert await of(sizes) == (0, 0)


async def test_an_index_counts_with_the_indexes_in_it(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    deep = await rows.manifest(app, "deep", layers=[await rows.blob("1", 1), await rows.blob("2", 20)])
    inner = await rows.index(app, "inner", deep)
    near = await rows.manifest(app, "near", layers=[await rows.blob("3", 300)])
    await rows.tag(app, "a", await rows.index(app, "outer", inner, near))
    assert await of(sizes) == (321, 321)


async def test_a_referrer_of_a_tagged_manifest_does_not_count(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    manifest = await rows.manifest(app, "1", layers=[await rows.blob("1", 1)])
    await rows.tag(app, "a", manifest)
    await rows.manifest(app, "sbom", layers=[await rows.blob("2", 50)], subject_digest=b"\x01" + bytes(32))
    assert await of(sizes) == (1, 1)


async def test_deleted_manifests_do_not_count_and_hide_what_only_they_lead_to(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    leaf = await rows.manifest(app, "leaf", layers=[await rows.blob("1", 1)])
    inner = await rows.index(app, "inner", leaf)
    kept = await rows.manifest(app, "kept", layers=[await rows.blob("2", 20)])
    await rows.tag(app, "a", await rows.index(app, "outer", inner, kept))
    await rows.delete_manifest(inner)
    assert await of(sizes) == (20, 20)
    await rows.delete_manifest(kept)
    assert await of(sizes) == (0, 0)


async def test_descendants_are_those_below_not_those_beside(rows: Rows, sizes: SqlSizes) -> None:
    shared = await rows.blob("shared", 1)
    paths = ("group/app", "group/app/x", "group/app/x/y", "group/app-x", "group/app.x", "group/app0", "group/ap")
    for number, path in enumerate(paths):
        repository = await rows.repository(path)
        layer = await rows.blob(path, 10 ** (number + 1))
        await rows.tag(repository, "a", await rows.manifest(repository, path, layers=[shared, layer]))
    assert await of(sizes) == (11, 1111)
    assert await of(sizes, GROUP) == (0, 11_111_111)


async def test_a_path_without_a_repository_has_the_size_of_those_below(rows: Rows, sizes: SqlSizes) -> None:
    below = await rows.repository("group/app/x")
    await rows.tag(below, "a", await rows.manifest(below, "1", layers=[await rows.blob("1", 5)]))
    assert await of(sizes) == (0, 5)


async def test_an_estimate_counts_every_blob_that_is_there_once(rows: Rows, sizes: SqlSizes) -> None:
    group, app = await rows.repository("group"), await rows.repository("group/app")
    both, own, gone = await rows.blob("both", 1), await rows.blob("own", 20), await rows.blob("gone", 300)
    for repository in (group, app):
        await rows.link(repository, both)
    await rows.link(app, own)
    await rows.link(app, gone, deleted_at=at(1))
    beside = await rows.repository("group-2")
    await rows.link(beside, await rows.blob("beside", 4000))
    assert await sizes.estimate(GROUP) == 21


async def test_a_sum_may_be_larger_than_four_bytes_hold(rows: Rows, sizes: SqlSizes) -> None:
    app = await rows.repository("group/app")
    layers = [await rows.blob(str(number), 1 << 50) for number in range(3)]
    await rows.tag(app, "a", await rows.manifest(app, "1", layers=layers))
    assert await of(sizes) == (3 << 50, 3 << 50)


async def test_every_change_in_a_repository_shows(rows: Rows, sizes: SqlSizes) -> None:
    app, below = await rows.repository("group/app"), await rows.repository("group/app/x")
    beside = await rows.repository("group/app-x")

    async def seen() -> tuple[int, int]:
        last = sizes.last_change
        return (await last(APP, with_descendants=False), await last(APP, with_descendants=True))

    before = await seen()
    assert before[0] == 0
    await rows.journal(app)
    first = await seen()
    assert first[0] > 0
    assert first[1] != before[1]
    await rows.journal(beside)
    assert await seen() == first
    await rows.journal(below)
    second = await seen()
    assert second[0] == first[0]
    assert second[1] != first[1]


async def test_what_goes_to_another_name_or_comes_to_one_below_shows_although_nothing_in_it_changed(
    rows: Rows, database: Database
) -> None:
    """What is remembered of a size would count it for minutes where it is not any more."""
    below = await rows.repository("group/app/x")
    await rows.tag(below, "1", await rows.manifest(below, "1", layers=[await rows.blob("1", 100)]))
    app = await rows.repository("group/app")
    await rows.journal(app)
    sizes, renames = Sizes(SqlSizes(database)), SqlRenames(database)

    async def size_bytes() -> int:
        return (await sizes.of(APP, with_descendants=True)).size_bytes

    assert await size_bytes() == 100
    await renames.rename(RepositoryName("group/app/x"), RepositoryName("group/x"), limit=9, cause=Cause())
    assert await size_bytes() == 0
    await renames.rename(RepositoryName("group/x"), RepositoryName("group/app/y"), limit=9, cause=Cause())
    assert await size_bytes() == 100
