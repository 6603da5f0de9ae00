"""What garbage collection takes a manifest to name."""

import json

import pytest

from moorage.errors import ManifestInvalid
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import parse
from moorage.oci.mentions import mentions

A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))


def descriptor(digest: Digest, media_type: str = "application/x") -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(digest), "size": 1}


def said(**value: object) -> bytes:
    return json.dumps({"schemaVersion": 2, **value}).encode()


FORMATS = {
    "image": said(mediaType=mediatypes.OCI_MANIFEST, config=descriptor(A), layers=[descriptor(B), descriptor(C)]),
    "docker image": said(mediaType=mediatypes.DOCKER_MANIFEST, config=descriptor(A), layers=[descriptor(B)]),
    "index": said(mediaType=mediatypes.OCI_INDEX, manifests=[descriptor(A, mediatypes.OCI_MANIFEST), descriptor(B)]),
    "artifact": said(mediaType="application/x.artifact+json", blobs=[descriptor(A)], subject=descriptor(B)),
    "foreign layer": said(
        mediaType=mediatypes.DOCKER_MANIFEST,
        config=descriptor(A),
        layers=[descriptor(B, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")],
    ),
}


@pytest.mark.parametrize("payload", FORMATS.values(), ids=FORMATS)
def test_all_that_a_push_checks_is_named(payload: bytes) -> None:
    manifest = parse(payload)
    pushed = {reference.descriptor.digest for reference in manifest.references}
    pushed |= {descriptor.digest for descriptor in manifest.elsewhere}
    found = mentions(payload)
    assert set(found.references) == pushed
    assert found.subject == (manifest.subject.digest if manifest.subject else None)


def test_a_subject_and_annotations_are_not_needed() -> None:
    found = mentions(said(config=descriptor(A), subject=descriptor(B), annotations={"base": str(C)}))
    assert found.references == (A,)
    assert found.subject == B


def test_what_makes_no_sense_is_passed_over_and_the_rest_is_named() -> None:
    layers = [None, "text", 7, {}, {"digest": 7}, {"digest": "sha256:short"}, {"digest": "md5:00"}, {"digest": str(A)}]
    assert mentions(said(config="text", layers=layers, manifests={"digest": str(B)})).references == (A, B)


@pytest.mark.parametrize("payload", [b"", b"[]", b"7", b"null", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_cannot_be_read(payload: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        mentions(payload)
