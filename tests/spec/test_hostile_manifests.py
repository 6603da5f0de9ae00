"""Manifests that try to exhaust or to confuse a reader of JSON."""

import json
from collections.abc import Iterator

import pytest

from spec.expect import refused
from support import images
from support.daemon import Daemon
from support.registry_client import RegistryClient

PATIENCE_S = 60.0

TYPED = f'"schemaVersion": 2, "mediaType": "{images.OCI_INDEX}", "manifests": []'.encode()

BOMBS: dict[str, bytes] = {
    "arrays": b"{" + TYPED + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects": b"{" + TYPED + b', "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "arrays-unclosed": b"{" + TYPED + b', "x": ' + b"[" * 1_000_000,
    "arrays-only": b"[" * 2_000_000,
    "annotations": b"{" + TYPED + b', "annotations": ' + b'{"a":' * 100_000 + b'""' + b"}" * 100_000 + b"}",
    "huge-integer": b"{" + TYPED + b', "x": ' + b"9" * 5000 + b"}",
    "huge-integers": b"{" + TYPED + b', "x": [' + b",".join([b"9" * 4400] * 200) + b"]}",
    "huge-negative": b"{" + TYPED + b', "x": -' + b"9" * 1_000_000 + b"}",
    "nan": b"{" + TYPED + b', "x": NaN}',
    "infinity": b"{" + TYPED + b', "x": Infinity}',
    "not-utf8": b"{" + TYPED + b', "x": "\xff\xfe\x00"}',
    "utf8-surrogate": b"{" + TYPED + b', "x": "\xed\xa0\x80"}',
    "utf16": ("{" + TYPED.decode() + "}").encode("utf-16"),
    "byte-order-mark": b"\xef\xbb\xbf{" + TYPED + b"}",
    "nul-bytes": b"\x00" * 100_000,
    "spaces": b" " * 4_000_000,
    "backslashes": b'{"x": "' + b"\\" * 3_999_999 + b"}",
    "quotes": b'"' * 4_000_000,
    "half-escape": b"{" + TYPED + b', "x": "\\ud8"}',
    "comment": b"{/* */" + TYPED + b"}",
    "trailing-comma": b"{" + TYPED + b",}",
}

TWICE: dict[str, bytes] = {
    "media-type": b'{"mediaType": "application/vnd.example.a", ' + TYPED + b"}",
    "manifests": b"{" + TYPED + b', "manifests": [{"mediaType": "x"}], "manifests": []}',
    "subject": b"{" + TYPED + b', "subject": {}, "subject": null}',
}


@pytest.fixture(autouse=True)
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The shared daemon; it survives each test, and its log has no new traceback."""
    before = shared_daemon.log.count("Traceback")
    yield shared_daemon
    with RegistryClient(shared_daemon.address, timeout_s=PATIENCE_S) as client:
        assert client.base().status == 200
    assert shared_daemon.log.count("Traceback") == before, shared_daemon.log[-4000:]


class TestBombs:
    """code-6, `MANIFEST_INVALID`: manifest invalid."""

    @pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
    @pytest.mark.parametrize(
        "media_type", [images.OCI_INDEX, "application/vnd.example.thing", ""], ids=["oci", "other", "none"]
    )
    def test_they_are_refused_quickly(
        self, registry: RegistryClient, repository: str, body: bytes, media_type: str
    ) -> None:
        refused(registry.put_manifest(repository, "bomb", body, media_type), 400, "MANIFEST_INVALID")
        assert registry.head_manifest(repository, "bomb").status == 404

    @pytest.mark.parametrize("body", TWICE.values(), ids=TWICE)
    def test_a_key_twice_that_readers_would_take_differently_is_refused(
        self, registry: RegistryClient, repository: str, body: bytes
    ) -> None:
        """RFC 8259 § 4: "When the names within an object are not unique, the behavior of software that receives such an
        object is unpredictable".
        """
        refused(registry.put_manifest(repository, "twice", body, images.OCI_INDEX), 400, "MANIFEST_INVALID")


class TestLoneSurrogates:
    r"""RFC 8259 § 8.2: `"\uDEAD"` is allowed by the grammar; what readers make of it is unpredictable."""

    @pytest.mark.parametrize("where", ["annotation", "annotation-name", "artifact-type", "unknown-field", "child"])
    def test_they_are_refused_or_do_no_harm_to_the_list_of_referrers(
        self, registry: RegistryClient, repository: str, where: str
    ) -> None:
        subject = images.push_image(registry, repository, "subject").manifest
        lone = "\ud800"
        child = {**subject.descriptor(), "artifactType": lone, "platform": {"os": lone}}
        fields: dict[str, dict[str, object]] = {
            "annotation": {"annotations": {"a": lone}},
            "annotation-name": {"annotations": {lone: "a"}},
            "artifact-type": {"artifactType": lone},
            "unknown-field": {lone: lone},
            "child": {"manifests": [child]},
        }
        plain = json.loads(images.index([], subject=subject.descriptor()).body)
        manifest = images.encode({**plain, **fields[where]}, images.OCI_INDEX)
        response = registry.put_manifest(repository, "lone", manifest.body, manifest.media_type)
        if response.status != 201:
            refused(response, 400, "MANIFEST_INVALID")
            return
        assert registry.get_manifest(repository, "lone").body == manifest.body
        for artifact_type in (None, "application/vnd.example"):
            assert registry.list_referrers(repository, subject.digest, artifact_type=artifact_type).status == 200


class TestLargeAndManifold:
    """Large documents within 4 MiB are read in reasonable time."""

    def test_an_index_of_ten_thousand_missing_manifests_is_refused_quickly(
        self, registry: RegistryClient, repository: str
    ) -> None:
        entry = images.image("missing").manifest.descriptor()
        entries = [{**entry, "digest": images.missing_digest(str(number))} for number in range(10_000)]
        index = images.index([], manifests=entries)
        response = registry.put_manifest(repository, "large", index.body, index.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")

    def test_an_index_of_ten_thousand_times_the_same_manifest_is_served_or_refused(
        self, registry: RegistryClient, repository: str
    ) -> None:
        child = images.push_image(registry, repository).manifest
        index = images.index([child] * 10_000)
        response = registry.put_manifest(repository, "large", index.body, index.media_type)
        assert response.status in {201, 400}

    def test_a_hundred_thousand_annotations_are_kept(self, registry: RegistryClient, repository: str) -> None:
        index = images.index([], annotations={f"key-{number}": "" for number in range(100_000)})
        images.push_manifest(registry, repository, index, "annotated")
        assert registry.get_manifest(repository, "annotated").body == index.body
