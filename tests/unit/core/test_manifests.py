"""What a manifest has to keep to, and what a client gets that cannot read it (ADR 0006, row by row)."""

import json
from collections.abc import Sequence

import pytest

from moorage.auth.access import EVERYTHING
from moorage.core.blobs import Blobs
from moorage.core.manifest_rules import ManifestRules
from moorage.core.manifests import Manifests
from moorage.errors import DigestInvalid, ManifestInvalid, ManifestTooLarge, ManifestUnknown, ReferencesUnknown
from moorage.metadata.base import Cause
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.payloads import PayloadCache
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage.memory import MemoryDriver
from moorage.web.headers import Accepted

NAME = RepositoryName("group/app")
LATEST = Tag("latest")
ABSENT = Digest.of(b"never pushed")
EMPTY = {"mediaType": mediatypes.OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2}
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"


def service(rules: ManifestRules | None = None) -> Manifests:
    """Manifests over an empty memory."""
    storage = MemoryDriver()
    store = LayoutManifests(storage, PayloadCache())
    return Manifests(store, Blobs(storage, LayoutLinks(storage)), rules or ManifestRules())


def image(media_type: str = mediatypes.OCI_MANIFEST, **more: object) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": EMPTY, "layers": [], **more}).encode()


def index(media_type: str, *children: dict[str, object]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": children}).encode()


def child(digest: Digest, platform: str = "", media_type: str = mediatypes.OCI_MANIFEST) -> dict[str, object]:
    """A descriptor for an index; *platform* as in ``linux/amd64``."""
    value: dict[str, object] = {"mediaType": media_type, "digest": str(digest), "size": 1}
    if platform:
        value["platform"] = dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False))
    return value


async def push(manifests: Manifests, payload: bytes, reference: Tag | Digest = LATEST) -> Digest:
    return (await manifests.put(NAME, reference, payload, content_type="", grant=EVERYTHING, cause=Cause())).digest


OCI, DOCKER, OCI_INDEX, LIST = (
    mediatypes.OCI_MANIFEST,
    mediatypes.DOCKER_MANIFEST,
    mediatypes.OCI_INDEX,
    mediatypes.DOCKER_LIST,
)
NOTHING: list[list[str]] = [[], ["*/*"], ["application/*"], ["application/json"], ["*/*;q=0.5, application/json"], [""]]
STORED, CHILD, UNKNOWN = "as stored", "its linux/amd64 child", "404"

NEGOTIATION: list[tuple[str, str, list[str], str]] = [
    *((kind, by, [f"x/y, {kind}"], STORED) for kind in (OCI, DOCKER, OCI_INDEX, LIST) for by in ("tag", "digest")),
    *((kind, by, ["x/y", kind], STORED) for kind in (OCI, DOCKER, OCI_INDEX, LIST) for by in ("tag", "digest")),
    *((kind, "tag", ["x/y, */*;q=0.1"], STORED) for kind in (OCI, DOCKER, OCI_INDEX, LIST)),
    *((kind, "tag", ["x/y", "application/*"], STORED) for kind in (OCI, DOCKER, OCI_INDEX, LIST)),
    *((kind, "tag", none, STORED) for kind in (OCI, DOCKER, OCI_INDEX) for none in NOTHING),
    *((kind, "digest", none, STORED) for kind in (OCI, DOCKER, OCI_INDEX, LIST) for none in NOTHING),
    *((kind, by, [DOCKER], UNKNOWN) for kind in (OCI, OCI_INDEX) for by in ("tag", "digest")),
    (OCI, "tag", [OCI_INDEX], UNKNOWN),
    (OCI_INDEX, "tag", [OCI], UNKNOWN),
    (OCI_INDEX, "tag", [LIST], UNKNOWN),
    *((LIST, "tag", none, CHILD) for none in NOTHING),
    *((LIST, "tag", [other], CHILD) for other in (OCI, DOCKER, OCI_INDEX)),
    *((LIST, "digest", [other], STORED) for other in (OCI, DOCKER)),
    *((DOCKER, by, [other], STORED) for other in (OCI, LIST) for by in ("tag", "digest")),
]


@pytest.mark.parametrize(("kind", "by", "accept", "answer"), NEGOTIATION)
async def test_what_a_client_gets(kind: str, by: str, accept: Sequence[str], answer: str) -> None:
    manifests = service(ManifestRules(sparse=True))
    amd64 = image(DOCKER, annotations={"for": "amd64"})
    digest = await push(manifests, amd64, Digest.of(amd64))
    children = child(ABSENT, "linux/arm64"), child(ABSENT, "windows/amd64"), child(digest, "linux/amd64")
    payload = image(kind) if kind in mediatypes.IMAGES else index(kind, *children)
    stored = await push(manifests, payload)
    reference = LATEST if by == "tag" else stored
    accepts = Accepted.parse(accept)
    if answer == UNKNOWN:
        with pytest.raises(ManifestUnknown, match=kind.replace("+", r"\+")):
            await manifests.get(NAME, reference, accepts=accepts)
        return
    found = await manifests.get(NAME, reference, accepts=accepts)
    expected = (digest, DOCKER, amd64) if answer == CHILD else (stored, kind, payload)
    assert (found.digest, found.media_type, found.payload) == expected


@pytest.mark.parametrize("platforms", [[], ["linux/arm64"], ["windows/amd64"], [""]])
async def test_a_list_without_a_child_for_the_client_is_unknown_to_it(platforms: list[str]) -> None:
    manifests = service(ManifestRules(sparse=True))
    await push(manifests, index(LIST, *(child(ABSENT, platform) for platform in platforms)))
    with pytest.raises(ManifestUnknown, match="linux/amd64"):
        await manifests.get(NAME, LATEST, accepts=None)


async def test_a_list_whose_child_is_not_here_is_unknown_to_a_client_that_cannot_read_it() -> None:
    manifests = service(ManifestRules(sparse=True))
    await push(manifests, index(LIST, child(ABSENT, "linux/amd64")))
    with pytest.raises(ManifestUnknown):
        await manifests.get(NAME, LATEST, accepts=None)


PLATFORMS: list[tuple[ManifestRules, str, bool]] = [
    (ManifestRules(sparse=True), "linux/amd64", True),
    (ManifestRules(), "linux/amd64", False),
    (ManifestRules(), "", False),
    (ManifestRules(require_children=False), "linux/amd64", True),
    (ManifestRules(required_platforms=frozenset({("linux", "amd64")})), "linux/amd64", False),
    (ManifestRules(required_platforms=frozenset({("linux", "amd64")})), "linux/amd64/v3", False),
    (ManifestRules(required_platforms=frozenset({("linux", "amd64")})), "linux/arm64", True),
    (ManifestRules(required_platforms=frozenset({("linux", "amd64")})), "windows/amd64", True),
    (ManifestRules(required_platforms=frozenset({("linux", "amd64")})), "", True),
    (ManifestRules(required_platforms=frozenset({("linux", "a"), ("linux", "b")})), "linux/b", False),
    (ManifestRules(require_children=False, required_platforms=frozenset({("linux", "a")})), "linux/a", True),
]


@pytest.mark.parametrize(("rules", "platform", "is_taken"), PLATFORMS)
async def test_an_absent_child_is_missed_only_where_its_platform_is_required(
    rules: ManifestRules, platform: str, *, is_taken: bool
) -> None:
    manifests = service(rules)
    payload = index(OCI_INDEX, child(ABSENT, platform))
    if is_taken:
        await push(manifests, payload)
        return
    with pytest.raises(ReferencesUnknown) as caught:
        await push(manifests, payload)
    assert caught.value.digests == (str(ABSENT),)


@pytest.mark.parametrize("required", [True, False])
async def test_an_absent_blob_is_missed_whatever_is_said_of_children(*, required: bool) -> None:
    with pytest.raises(ReferencesUnknown):
        await push(service(ManifestRules(require_children=required)), image())
    await push(service(ManifestRules(sparse=True)), image())


async def test_every_missing_one_is_named_once() -> None:
    layer = {**EMPTY, "mediaType": "application/x", "digest": str(ABSENT)}
    with pytest.raises(ReferencesUnknown) as caught:
        await push(service(), image(layers=[layer, EMPTY, layer]))
    assert sorted(caught.value.digests) == sorted([str(ABSENT), str(EMPTY["digest"])])


@pytest.mark.parametrize(("layers", "is_taken"), [(0, True), (2, True), (3, False), (50, False)])
async def test_references_are_counted_with_the_config(layers: int, *, is_taken: bool) -> None:
    manifests = service(ManifestRules(reference_limit=3, sparse=True))
    payload = image(layers=[EMPTY] * layers)
    if is_taken:
        await push(manifests, payload)
        return
    with pytest.raises(ManifestInvalid) as caught:
        await push(manifests, payload)
    assert caught.value.detail == {"reason": "MANIFEST_REFERENCE_LIMIT", "limit": 3}


async def test_a_manifest_may_be_as_large_as_the_limit_and_no_larger() -> None:
    payload = image()
    await push(service(ManifestRules(sparse=True, size_limit_bytes=len(payload))), payload)
    with pytest.raises(ManifestTooLarge):
        await push(service(ManifestRules(sparse=True, size_limit_bytes=len(payload) - 1)), payload)


@pytest.mark.parametrize(
    ("urls", "is_taken"),
    [
        ([], True),
        (["https://ok.example/layer"], True),
        (["https://ok.example/a", "https://ok.example/b"], True),
        (["https://bad.example/layer"], False),
        (["https://ok.example/a", "https://bad.example/b"], False),
        (["ftp://ok.example/layer"], False),
        (["//ok.example/layer"], False),
        ([""], False),
    ],
)
async def test_every_url_has_to_be_allowed(urls: list[str], *, is_taken: bool) -> None:
    manifests = service(ManifestRules(sparse=True, allows_url=lambda url: "ok.example" in url))
    payload = image(layers=[{**EMPTY, "mediaType": FOREIGN, "urls": urls}])
    if is_taken:
        await push(manifests, payload)
    else:
        with pytest.raises(ManifestInvalid, match="URL"):
            await push(manifests, payload)
    await push(service(ManifestRules(sparse=True)), payload)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_under_a_digest_has_that_digest(algorithm: str) -> None:
    manifests = service(ManifestRules(sparse=True))
    digest = Digest.of(image(), "sha512" if algorithm == "sha512" else "sha256")
    assert await push(manifests, image(), digest) == digest
    with pytest.raises(DigestInvalid):
        await push(manifests, image(layers=None), digest)
