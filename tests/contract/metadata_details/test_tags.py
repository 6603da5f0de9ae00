"""Everything about one tag, and what refers to tagged manifests."""

import threading

import pytest

from contract.metadata_details.rows import CONFIG_TYPE, START, Rows, at, digest
from moorage.errors import NameUnknown
from moorage.gitlab_errors import TagUnknown
from moorage.metadata.details import Configuration, Image, Platform, Referrer, TagDetails, Times, platform_of
from moorage.metadata.sql import details as module
from moorage.metadata.sql.details import SqlDetails
from moorage.metadata.sql.digest_keys import digest_key
from moorage.oci import mediatypes
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database

APP = RepositoryName("group/app")
LATEST = Tag("latest")
ARM = b'{"architecture": "arm64", "os": "linux", "rootfs": {}}'


@pytest.fixture
def details(database: Database) -> SqlDetails:
    return SqlDetails(database)


async def image(rows: Rows, repository: int, seed: str, payload: bytes | None = ARM) -> int:
    """An image with a configuration."""
    config = await rows.blob(f"config of {seed}", 5)
    return await rows.manifest(
        repository,
        seed,
        total_size=100,
        config_blob_id=config,
        config_media_type=CONFIG_TYPE,
        config_payload=payload,
    )


def shown(seed: str, platform: Platform | None) -> Image:
    """How :func:`image` is to be told."""
    configuration = Configuration(digest(f"config of {seed}"), CONFIG_TYPE, platform)
    return Image(digest(seed), mediatypes.OCI_MANIFEST, 100, configuration)


async def test_a_repository_or_a_tag_that_is_not_there_is_said_not_to_be(rows: Rows, details: SqlDetails) -> None:
    with pytest.raises(NameUnknown):
        await details.tag(APP, LATEST)
    await rows.repository("group/app")
    with pytest.raises(TagUnknown) as raised:
        await details.tag(APP, LATEST)
    assert raised.value.detail == {"tagName": "latest"}


async def test_an_image_is_told_with_its_configuration_and_platform(rows: Rows, details: SqlDetails) -> None:
    app = await rows.repository("group/app")
    await rows.tag(app, "latest", await image(rows, app, "1"), created=1, updated=2)
    expected = TagDetails(LATEST, shown("1", Platform("arm64", "linux")), Times(at(1), at(2), at(2)))
    assert await details.tag(APP, LATEST) == expected


async def test_a_manifest_without_a_configuration_has_none(rows: Rows, details: SqlDetails) -> None:
    app = await rows.repository("group/app")
    await rows.tag(app, "latest", await rows.manifest(app, "1", media_type="a/thing", total_size=7))
    expected = TagDetails(LATEST, Image(digest("1"), "a/thing", 7, None), Times(START, None, START))
    assert await details.tag(APP, LATEST) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (None, None),
        (b"", None),
        (b"not JSON", None),
        (b"\xff", None),
        (b"[1]", None),
        (b"[" * 100_000, None),
        (b"{}", Platform("", "")),
        (b'{"os": 1, "architecture": "riscv64"}', Platform("riscv64", "")),
    ],
    ids=repr,
)
async def test_a_configuration_that_says_no_platform_has_none(
    rows: Rows, details: SqlDetails, payload: bytes | None, expected: Platform | None
) -> None:
    app = await rows.repository("group/app")
    await rows.tag(app, "latest", await image(rows, app, "1", payload))
    assert (await details.tag(APP, LATEST)).image == shown("1", expected)


async def test_large_configurations_are_read_beside_the_event_loop(
    rows: Rows, details: SqlDetails, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await rows.repository("group/app")
    large = b'{"os": "linux", "history": [' + b"0," * 40_000 + b"0]}"
    await rows.tag(app, "latest", await rows.index(app, "outer", await image(rows, app, "1", large), total_size=40))
    await rows.tag(app, "small", await image(rows, app, "2"))
    readers: list[bool] = []

    def noting(payload: bytes | None) -> Platform | None:
        readers.append(threading.current_thread() is threading.main_thread())
        return platform_of(payload)

    monkeypatch.setattr(module, "platform_of", noting)
    assert (await details.tag(APP, LATEST)).image.references == (shown("1", Platform("", "linux")),)
    assert (await details.tag(APP, Tag("small"))).image == shown("2", Platform("arm64", "linux"))
    assert readers == [False, True]


async def test_an_index_is_told_with_all_it_refers_to(rows: Rows, details: SqlDetails) -> None:
    app = await rows.repository("group/app")
    first, second = await image(rows, app, "1"), await image(rows, app, "2", b"{}")
    inner = await rows.index(app, "inner", second, total_size=30)
    await rows.tag(app, "latest", await rows.index(app, "outer", first, inner, total_size=40))
    found = (await details.tag(APP, LATEST)).image
    leaf = shown("2", Platform("", ""))
    nested = Image(digest("inner"), mediatypes.OCI_INDEX, 30, None, (leaf,))
    references = (shown("1", Platform("arm64", "linux")), nested)
    assert found == Image(digest("outer"), mediatypes.OCI_INDEX, 40, None, references)


async def test_deleted_manifests_are_left_out_of_an_index(rows: Rows, details: SqlDetails) -> None:
    app = await rows.repository("group/app")
    first, second = await image(rows, app, "1"), await image(rows, app, "2")
    await rows.tag(app, "latest", await rows.index(app, "outer", first, second))
    await rows.delete_manifest(first)
    assert [child.digest for child in (await details.tag(APP, LATEST)).image.references] == [digest("2")]


async def test_indexes_that_name_the_same_ones_again_and_again_have_an_end(
    rows: Rows, details: SqlDetails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IMAGES_LIMIT", 50)
    app = await rows.repository("group/app")
    left, right = await image(rows, app, "left"), await image(rows, app, "right")
    for depth in range(12):  # 4,096 ways from the top to the bottom.
        left, right = (
            await rows.index(app, f"left {depth}", left, right),
            await rows.index(app, f"right {depth}", left, right),
        )
    await rows.tag(app, "latest", left)

    def count(image: Image) -> int:
        return 1 + sum(count(child) for child in image.references)

    found = (await details.tag(APP, LATEST)).image
    assert count(found) == 50
    assert len(found.references) == 2


async def test_referrers_are_found_for_many_subjects_at_once(rows: Rows, details: SqlDetails) -> None:
    app, beside = await rows.repository("group/app"), await rows.repository("group/beside")
    for seed, subject, kind, repository in (
        ("sbom", "1", "a/sbom", app),
        ("signature", "1", "A/Signature", app),
        ("of another", "2", "a/sbom", app),
        ("elsewhere", "1", "a/sbom", beside),
    ):
        subject_digest = digest_key(digest(subject))
        await rows.manifest(repository, seed, subject_digest=subject_digest, artifact_type=kind)
    gone = await rows.manifest(app, "gone", subject_digest=digest_key(digest("1")), artifact_type="a/sbom")
    await rows.delete_manifest(gone)

    async def found(*subjects: str, types: tuple[str, ...] = ()) -> dict[str, set[Referrer]]:
        digests = [digest(subject) for subject in subjects]
        answer = await details.referrers(APP, digests, artifact_types=types)
        return {subject: set(answer.get(digest(subject), ())) for subject in subjects}

    sbom, signature = Referrer("a/sbom", digest("sbom")), Referrer("A/Signature", digest("signature"))
    another = Referrer("a/sbom", digest("of another"))
    assert await found("1", "2", "1", "3") == {"1": {sbom, signature}, "2": {another}, "3": set()}
    assert await found("1", "2", types=("a/signature",)) == {"1": {signature}, "2": set()}
    assert await found("1", types=("a/signature", "a/sbom")) == {"1": {sbom, signature}}
    assert await found("1", types=("a/s",)) == {"1": set()}
    assert await found() == {}
