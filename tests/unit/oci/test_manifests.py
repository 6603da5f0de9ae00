import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.errors import ManifestInvalid
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import ManifestKind, media_type_of, parse

DIGEST = str(Digest.of(b"x"))


def descriptor(media_type: str = "application/x", **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": DIGEST, "size": 1, **more}


def image(**more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": descriptor(), "layers": [], **more}


def index(**more: object) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [], **more}


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def test_an_image_refers_to_its_config_and_layers_as_blobs() -> None:
    manifest = parse(dump(image(layers=[descriptor("application/l"), descriptor("application/m")])))
    assert [ref.kind for ref in manifest.references] == [ManifestKind.BLOB] * 3
    assert [ref.descriptor.media_type for ref in manifest.references] == [
        "application/x",
        "application/l",
        "application/m",
    ]


def test_nondistributable_layers_need_not_be_here() -> None:
    kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    assert len(parse(dump(image(layers=[descriptor(kind, urls=["https://example.com/x"])]))).references) == 1
    for nowhere in (descriptor(kind), descriptor(kind, urls=[])):
        assert len(parse(dump(image(layers=[nowhere]))).references) == 2


def test_an_index_refers_to_manifests_and_to_what_its_type_does_not_tell() -> None:
    manifest = parse(dump(index(manifests=[descriptor(mediatypes.OCI_MANIFEST), descriptor("application/layer")])))
    assert [ref.kind for ref in manifest.references] == [ManifestKind.MANIFEST, ManifestKind.EITHER]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (image(artifactType="a/b"), "a/b"),
        (image(), "application/x"),
        (index(artifactType="a/b"), "a/b"),
        (index(), ""),
    ],
)
def test_the_artifact_type_is_the_field_or_for_images_the_config(value: dict[str, Any], expected: str) -> None:
    assert parse(dump(value)).artifact_type == expected


def test_a_subject_is_read_and_is_no_reference() -> None:
    manifest = parse(dump(image(subject=descriptor(mediatypes.OCI_MANIFEST))))
    assert manifest.subject is not None
    assert len(manifest.references) == 1


def test_the_type_comes_from_the_header_then_the_field_then_the_shape() -> None:
    bare = {key: value for key, value in index().items() if key != "mediaType"}
    assert parse(dump(bare), "application/x.custom").media_type == "application/x.custom"
    assert parse(dump(index()), "application/json").media_type == mediatypes.OCI_INDEX
    assert parse(dump(bare)).media_type == mediatypes.OCI_INDEX
    assert media_type_of({"config": {}, "layers": []}) == mediatypes.OCI_MANIFEST
    assert media_type_of({}) is None


@pytest.mark.parametrize(
    ("payload", "content_type", "says"),
    [
        (b"", "", "not JSON"),
        (b"{", "", "not JSON"),
        (b"\xff", "", "not JSON"),
        (b"[]", "", "JSON object"),
        (b"{}", "", "send its media type"),
        (b'{"a":NaN}', "a/b", "NaN is not JSON"),
        (b'{"a":' + b"9" * 5000 + b"}", "a/b", "not JSON"),
        (b"[" * 100_000, "a/b", "nested too deep"),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "a/b", "nested too deep: 100 lists and objects in each other"),
        (dump(image(schemaVersion=3)), "", "schemaVersion"),
        (dump(image(config=None)), "", "config: a descriptor"),
        (dump(image(layers={})), "", "layers: a list"),
        (dump(image(layers=[1])), "", r"layers\[0\]: a descriptor"),
        (dump(image(config=descriptor(size=-1))), "", "config.size"),
        (dump(image(config=descriptor(size=True))), "", "config.size"),
        (dump(image(config=descriptor(size="1"))), "", "config.size"),
        (dump(image(config=descriptor(digest="md5:0"))), "", "config.digest"),
        (dump(image(config=descriptor(digest=1))), "", "config.digest"),
        (dump(image(config=descriptor(7))), "", "config.mediaType"),  # type: ignore[arg-type] # it is wrong
        (b"{}", "text/plain", "send its media type"),
        (b'{"mediaType":"text/html"}', "text/html", "no manifest is of that media type"),
        (b'{"mediaType":"image/svg+xml"}', "", "no manifest is of that media type"),
        (dump(image(annotations={"a": 1})), "", "annotations"),
        (dump(image(artifactType=1)), "", "artifactType"),
        (dump(image(subject=1)), "", "subject"),
        (dump(image(manifests=[descriptor()])), "", "no 'manifests'"),
        (dump(index(layers=[descriptor()])), "", "no 'layers'"),
        (dump(image()), mediatypes.OCI_INDEX, "not the Content-Type"),
        (b'{"schemaVersion":1}', "", "schema 1"),
        (b'{"schemaVersion":1}', mediatypes.DOCKER_SCHEMA1_SIGNED, "schema 1"),
    ],
)
def test_what_is_no_manifest_is_refused_and_told_why(payload: bytes, content_type: str, says: str) -> None:
    with pytest.raises(ManifestInvalid, match=says):
        parse(payload, content_type)


def test_an_unknown_type_is_searched_for_what_it_refers_to_and_never_judged() -> None:
    value = {"config": descriptor(), "layers": [descriptor(), 1, {"digest": "x"}], "blobs": {"a": 1}, "manifests": None}
    manifest = parse(dump(value), "application/vnd.acme+json")
    assert [ref.kind for ref in manifest.references] == [ManifestKind.EITHER, ManifestKind.EITHER]
    assert manifest.media_type == "application/vnd.acme+json"


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "a/b",
        "application/json",
        "application/octet-stream",
        "application/vnd.acme+xml",
        "application/x-www-form-urlencoded",
        "application/xhtml+xml",
        "image/svg+xml",
        "multipart/form-data",
        "nonsense",
        "text/html",
        "text/plain",
    ],
)
def test_a_content_type_that_no_manifest_has_says_nothing_and_the_fields_tell(content_type: str) -> None:
    bare = {key: value for key, value in image().items() if key != "mediaType"}
    for value in (bare, image()):
        manifest = parse(dump(value), content_type)
        assert (manifest.media_type, len(manifest.references)) == (mediatypes.OCI_MANIFEST, 1)


@pytest.mark.parametrize(
    "content_type",
    ["application/vnd.acme", "application/vnd.acme.v1+json", "application/prs.me", "application/acme+json"],
)
def test_a_type_that_a_manifest_may_have_is_kept(content_type: str) -> None:
    assert parse(b"{}", content_type).media_type == content_type


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", mediatypes.DOCKER_MANIFEST])
@pytest.mark.parametrize("spelled", [str.upper, str.title])
def test_an_image_that_spells_its_type_in_capitals_is_an_image(
    spelled: Callable[[str], str], content_type: str
) -> None:
    manifest = parse(dump(image(mediaType=spelled(mediatypes.DOCKER_MANIFEST))), content_type)
    assert (manifest.media_type, len(manifest.references)) == (mediatypes.DOCKER_MANIFEST, 1)
    assert manifest.references[0].kind is ManifestKind.BLOB


def test_an_entry_of_an_index_that_spells_its_type_in_capitals_has_to_be_a_manifest() -> None:
    listed = {**descriptor(), "mediaType": mediatypes.OCI_MANIFEST.upper()}
    manifest = parse(dump(index(mediaType=mediatypes.OCI_INDEX.upper(), manifests=[listed])))
    assert manifest.media_type == mediatypes.OCI_INDEX
    assert manifest.references[0].kind is ManifestKind.MANIFEST


@pytest.mark.parametrize("declared", [f" {mediatypes.OCI_MANIFEST}", f"{mediatypes.OCI_MANIFEST}; a=b", "\t", 7, False])
@pytest.mark.parametrize("content_type", ["", "application/json", mediatypes.OCI_MANIFEST])
def test_a_type_with_anything_around_it_is_none(declared: object, content_type: str) -> None:
    with pytest.raises(ManifestInvalid):
        parse(dump(image(mediaType=declared)), content_type)


def test_what_docker_leaves_out_when_it_is_zero_need_not_be_said() -> None:
    bare = {"digest": DIGEST}
    manifest = parse(dump(image(config=bare, layers=[bare, {**bare, "size": None, "mediaType": ""}], subject=bare)))
    assert {(ref.descriptor.media_type, ref.descriptor.size_bytes) for ref in manifest.references} == {("", 0)}
    assert parse(dump(index(manifests=[bare]))).references[0].kind is ManifestKind.EITHER


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "artifactType", "annotations"]


@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values),
    st.sampled_from(["", *mediatypes.IMAGES, *mediatypes.INDEXES]),
)
def test_any_json_object_is_read_or_refused(value: dict[str, Any], content_type: str) -> None:
    try:
        parse(dump(value), content_type)
    except ManifestInvalid as exc:
        assert exc.message
