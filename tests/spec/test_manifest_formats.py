"""§ Pushing Manifests: what a manifest may be, and what its Content-Type says of it."""

import json
from collections.abc import Mapping

import pytest

from spec.expect import refused
from support import images
from support.images import Content
from support.registry_client import RegistryClient, Response

UNKNOWN_TYPE = "application/vnd.example.thing.v1+json"
NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "half": b'{"schemaVersion": 2, "mediaType"',
    "trailing": b'{"schemaVersion": 2} {}',
    "utf16": '{"schemaVersion": 2}'.encode("utf-16"),
    "bad-utf8": b'{"schemaVersion": 2, "x": "\xff\xfe"}',
    "nan": b'{"schemaVersion": 2, "x": NaN}',
    "infinity": b'{"schemaVersion": 2, "x": -Infinity}',
    "single-quotes": b"{'schemaVersion': 2}",
    "control": b'{"schemaVersion": 2, "x": "\x00"}',
}
NOT_OBJECTS = {"list": b"[]", "string": b'"manifest"', "number": b"2", "null": b"null", "true": b"true"}


def put(registry: RegistryClient, repository: str, manifest: Content) -> Response:
    return registry.put_manifest(repository, "latest", manifest.body, manifest.media_type)


def with_changes(manifest: Content, **fields: object) -> Content:
    """*manifest* with *fields* set, each to any JSON value."""
    return images.encode({**json.loads(manifest.body), **fields}, manifest.media_type)


class TestContentType:
    """If a manifest includes a `mediaType` field, clients MUST set the `Content-Type` header to the value specified
    by the `mediaType` field.
    """

    @pytest.mark.parametrize(
        "content_type", [images.OCI_INDEX, images.DOCKER_MANIFEST, UNKNOWN_TYPE], ids=["0", "1", "2"]
    )
    def test_another_content_type_is_refused(
        self, registry: RegistryClient, repository: str, content_type: str
    ) -> None:
        pushed = images.push_image(registry, repository)
        refused(put(registry, repository, pushed.manifest.as_type(content_type)), 400, "MANIFEST_INVALID")

    @pytest.mark.parametrize("content_type", [images.OCI_MANIFEST, images.DOCKER_MANIFEST], ids=["oci", "docker"])
    def test_a_manifest_without_media_type_is_what_the_content_type_says(
        self, registry: RegistryClient, repository: str, content_type: str
    ) -> None:
        made = images.image("no media type", mediaType=None)
        images.push_blobs(registry, repository, made.blobs)
        images.push_manifest(registry, repository, made.manifest.as_type(content_type), "latest")
        headers = {"Accept": images.ALL_MANIFEST_TYPES}
        response = registry.get_manifest(repository, "latest", headers=headers)
        assert response.headers["Content-Type"] == content_type

    @pytest.mark.parametrize("content_type", ["", "application/json"], ids=["none", "json"])
    def test_a_client_that_does_not_say_is_taken_at_the_manifests_word(
        self, registry: RegistryClient, repository: str, content_type: str
    ) -> None:
        pushed = images.push_image(registry, repository)
        images.push_manifest(registry, repository, pushed.manifest.as_type(content_type), "latest")
        assert registry.get_manifest(repository, "latest").headers["Content-Type"] == images.OCI_MANIFEST


NO_MANIFESTS = [
    "text/plain",
    "text/html",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "image/svg+xml",
    "application/xhtml+xml",
    "",
]
"""What clients send of their own accord, and what a browser would run."""


class TestContentTypeOfNoManifest:
    """Not of the specification: such a type does not make an image something that need not be whole."""

    @pytest.mark.parametrize("content_type", NO_MANIFESTS)
    @pytest.mark.parametrize("declared", [images.OCI_MANIFEST, None], ids=["declared", "bare"])
    def test_an_image_is_held_to_the_checks_of_images_and_served_as_one(
        self, registry: RegistryClient, repository: str, content_type: str, declared: str | None
    ) -> None:
        made = images.image(f"sent as {content_type}, {declared}", mediaType=declared)
        manifest = made.manifest.as_type(content_type)
        refused(put(registry, repository, manifest), 400, "MANIFEST_BLOB_UNKNOWN")
        images.push_blobs(registry, repository, made.blobs)
        images.push_manifest(registry, repository, manifest, "latest")
        assert registry.get_manifest(repository, "latest").headers["Content-Type"] == images.OCI_MANIFEST

    def test_an_image_that_spells_its_type_in_capitals_is_held_to_them_too(
        self, registry: RegistryClient, repository: str
    ) -> None:
        made = images.image("in capitals", mediaType=images.OCI_MANIFEST.upper())
        manifest = made.manifest.as_type("application/json")
        refused(put(registry, repository, manifest), 400, "MANIFEST_BLOB_UNKNOWN")
        images.push_blobs(registry, repository, made.blobs)
        images.push_manifest(registry, repository, manifest, "latest")
        assert registry.get_manifest(repository, "latest").headers["Content-Type"] == images.OCI_MANIFEST

    @pytest.mark.parametrize("content_type", NO_MANIFESTS)
    def test_so_is_an_index(self, registry: RegistryClient, repository: str, content_type: str) -> None:
        child = images.image("a child that nobody pushed").manifest
        index = images.index([child], mediaType=None).as_type(content_type)
        refused(put(registry, repository, index), 400, "MANIFEST_BLOB_UNKNOWN")

    @pytest.mark.parametrize("content_type", NO_MANIFESTS)
    @pytest.mark.parametrize("value", [{}, {"mediaType": "text/html"}, {"a": "<script>"}], ids=["0", "1", "2"])
    def test_what_is_no_manifest_by_its_fields_either_is_refused(
        self, registry: RegistryClient, repository: str, content_type: str, value: Mapping[str, object]
    ) -> None:
        refused(put(registry, repository, images.encode(value, content_type)), 400, "MANIFEST_INVALID")


class TestLeftOut:
    """Not of the specification: docker's libraries leave out what is zero or empty; other registries take it so."""

    @pytest.mark.parametrize("absent", [["size"], ["mediaType"], ["size", "mediaType"]], ids=["size", "type", "both"])
    def test_a_descriptor_without_them_is_taken_and_kept_as_it_is(
        self, registry: RegistryClient, repository: str, absent: list[str]
    ) -> None:
        made = images.image(f"without {absent}")
        images.push_blobs(registry, repository, made.blobs)
        cut = [{k: v for k, v in blob.descriptor().items() if k not in absent} for blob in made.blobs]
        manifest = with_changes(made.manifest, config=cut[0], layers=cut[1:])
        images.push_manifest(registry, repository, manifest, "latest")
        assert registry.get_manifest(repository, "latest").body == manifest.body

    def test_so_are_the_entries_of_an_index_and_a_subject(self, registry: RegistryClient, repository: str) -> None:
        child: dict[str, object] = {"digest": images.push_image(registry, repository).digest}
        for index in (images.index([child]), images.index([], subject=child)):
            images.push_manifest(registry, repository, index, "latest")
            assert registry.get_manifest(repository, "latest").body == index.body


class TestContentTypeParameters:
    """The registry SHOULD ignore parameters on the `Content-Type` header."""

    @pytest.mark.parametrize(
        "parameters", ["; charset=utf-8", ";charset=utf-8;x=y", ' ; a="b;c"', ";"], ids=["0", "1", "2", "3"]
    )
    def test_they_change_nothing(self, registry: RegistryClient, repository: str, parameters: str) -> None:
        pushed = images.push_image(registry, repository)
        images.push_manifest(registry, repository, pushed.manifest.as_type(images.OCI_MANIFEST + parameters), "latest")
        assert registry.get_manifest(repository, "latest").headers["Content-Type"] == images.OCI_MANIFEST


class TestUnknownMediaType:
    """The specification is designed to be agnostic of content types."""

    @pytest.mark.parametrize(
        "value",
        [{}, {"mediaType": UNKNOWN_TYPE}, {"schemaVersion": 7, "anything": [1, {"a": None}]}, {"layers": "none"}],
        ids=["empty", "typed", "other-fields", "odd-fields"],
    )
    def test_it_is_stored_byte_for_byte_with_its_content_type(
        self, registry: RegistryClient, repository: str, value: Mapping[str, object]
    ) -> None:
        manifest = Content(UNKNOWN_TYPE, json.dumps(value, indent=1).encode())
        images.push_manifest(registry, repository, manifest, "thing")
        for reference in ("thing", manifest.digest):
            response = registry.get_manifest(repository, reference)
            assert (response.status, response.body) == (200, manifest.body)
            assert response.headers["Content-Type"] == UNKNOWN_TYPE


class TestMalformed:
    """**Manifest**: a JSON document uploaded via the manifests endpoint. (code-6, `MANIFEST_INVALID`: manifest
    invalid)
    """

    @pytest.mark.parametrize("body", [*NOT_JSON.values(), *NOT_OBJECTS.values()], ids=[*NOT_JSON, *NOT_OBJECTS])
    @pytest.mark.parametrize("media_type", [images.OCI_MANIFEST, UNKNOWN_TYPE, ""], ids=["oci", "unknown", "none"])
    def test_what_is_no_json_object_is_refused(
        self, registry: RegistryClient, repository: str, body: bytes, media_type: str
    ) -> None:
        refused(put(registry, repository, Content(media_type, body)), 400, "MANIFEST_INVALID")

    @pytest.mark.parametrize(
        "fields",
        [
            {"schemaVersion": 1},
            {"schemaVersion": "2"},
            {"config": None},
            {"config": []},
            {"config": {}},
            {"layers": {}},
            {"layers": "none"},
            {"layers": [None]},
            {"layers": [[]]},
            {"annotations": {"a": 1}},
            {"annotations": []},
            {"subject": "sha256"},
            {"subject": {}},
            {"artifactType": 7},
            {"mediaType": 7},
        ],
        ids=str,
    )
    def test_an_image_manifest_with_fields_of_wrong_kinds_is_refused(
        self, registry: RegistryClient, repository: str, fields: Mapping[str, object]
    ) -> None:
        pushed = images.push_image(registry, repository)
        refused(put(registry, repository, with_changes(pushed.manifest, **fields)), 400, "MANIFEST_INVALID")

    @pytest.mark.parametrize(
        "fields",
        [
            {"size": -1},
            {"size": 1.5},
            {"size": "10"},
            {"size": True},
            {"size": 1 << 63},
            {"size": 10**400},
            {"digest": "sha256:abc"},
            {"digest": "md5:d41d8cd98f00b204e9800998ecf8427e"},
            {"digest": "../../../etc/passwd"},
            {"digest": 7},
            {"digest": None},
            {"mediaType": 7},
        ],
        ids=[str(number) for number in range(12)],
    )
    def test_a_descriptor_with_fields_of_wrong_kinds_is_refused(
        self, registry: RegistryClient, repository: str, fields: Mapping[str, object]
    ) -> None:
        pushed = images.push_image(registry, repository)
        layer = {**pushed.blobs[1].descriptor(), **fields}
        refused(put(registry, repository, with_changes(pushed.manifest, layers=[layer])), 400, "MANIFEST_INVALID")

    def test_an_index_with_fields_of_wrong_kinds_is_refused(self, registry: RegistryClient, repository: str) -> None:
        index = images.index([])
        wrong: list[dict[str, object]] = [
            {"manifests": {}},
            {"manifests": [1]},
            {"manifests": [{}]},
            {"schemaVersion": 3},
        ]
        for fields in wrong:
            refused(put(registry, repository, with_changes(index, **fields)), 400, "MANIFEST_INVALID")

    def test_one_document_that_is_an_image_and_an_index_is_refused(
        self, registry: RegistryClient, repository: str
    ) -> None:
        """CVE-2021-41190: what it is would depend on who reads it."""
        pushed = images.push_image(registry, repository)
        children = [pushed.manifest.descriptor()]
        both = with_changes(pushed.manifest, manifests=children)
        refused(put(registry, repository, both), 400, "MANIFEST_INVALID")
        untyped = images.encode({**json.loads(both.body), "mediaType": ""}, images.OCI_INDEX)
        refused(put(registry, repository, untyped), 400, "MANIFEST_INVALID")


class TestSchema1:
    """Not of the specification: Docker's schema 1 has no content addresses (V2M-006)."""

    @pytest.mark.parametrize(
        "media_type", [images.DOCKER_SCHEMA1, images.DOCKER_SCHEMA1_SIGNED, ""], ids=["0", "1", "2"]
    )
    def test_it_is_refused_with_a_clear_message(
        self, registry: RegistryClient, repository: str, media_type: str
    ) -> None:
        value = {"schemaVersion": 1, "name": repository, "tag": "latest", "fsLayers": [], "history": []}
        response = put(registry, repository, images.encode(value, media_type))
        refused(response, 400, "MANIFEST_INVALID")
        assert "schema 1" in response.body.decode().lower()


class TestBlobList:
    """The uploaded manifest MUST reference any blobs that make up the object. However, the list of blobs MAY be
    empty.
    """

    @pytest.mark.parametrize("layers", [[], None], ids=["empty", "null"])
    def test_an_image_without_layers_is_accepted(
        self, registry: RegistryClient, repository: str, layers: list[object] | None
    ) -> None:
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        manifest = with_changes(images.image_manifest(images.EMPTY, []), layers=layers)
        images.push_manifest(registry, repository, manifest, "latest")
        assert registry.get_manifest(repository, "latest").body == manifest.body

    def test_an_index_without_manifests_is_accepted(self, registry: RegistryClient, repository: str) -> None:
        images.push_manifest(registry, repository, images.index([]), "latest")

    def test_the_same_layer_may_stand_twice(self, registry: RegistryClient, repository: str) -> None:
        layer = images.blob("twice")
        images.push_blobs(registry, repository, [images.EMPTY, layer])
        images.push_manifest(registry, repository, images.image_manifest(images.EMPTY, [layer, layer]), "latest")

    def test_a_config_of_any_type_is_accepted(self, registry: RegistryClient, repository: str) -> None:
        config = Content("application/vnd.example.config", b"not json at all")
        images.push_blobs(registry, repository, [config])
        images.push_manifest(registry, repository, images.image_manifest(config, []), "latest")


class TestNondistributable:
    """image-spec § Non-Distributable Layers: "implementations SHOULD NOT upload layers tagged with this media type",
    so a registry takes a manifest without them.
    """

    @pytest.mark.parametrize(
        "media_type", [images.OCI_NONDISTRIBUTABLE, images.DOCKER_FOREIGN_LAYER], ids=["oci", "docker"]
    )
    def test_they_may_be_absent_if_they_are_elsewhere(
        self, registry: RegistryClient, repository: str, media_type: str
    ) -> None:
        foreign = images.blob(f"foreign {media_type}", media_type=media_type)
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        layer = foreign.descriptor(urls=["https://example.com/layer"])
        images.push_manifest(registry, repository, images.image_manifest(images.EMPTY, [layer]), "latest")

    @pytest.mark.parametrize("more", [{}, {"urls": []}, {"urls": None}], ids=["no urls", "empty", "null"])
    def test_one_that_is_nowhere_is_refused_until_it_is_here(
        self, registry: RegistryClient, repository: str, more: Mapping[str, object]
    ) -> None:
        foreign = images.blob("nowhere", media_type=images.DOCKER_FOREIGN_LAYER)
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        manifest = images.image_manifest(images.EMPTY, [foreign.descriptor(**more)])
        refused(put(registry, repository, manifest), 400, "MANIFEST_BLOB_UNKNOWN")
        registry.push_blob(repository, foreign.body, foreign.digest)
        assert put(registry, repository, manifest).status == 201


class TestCustomFields:
    """image-spec § Extensibility: "Implementations that are reading/processing manifests or image indexes MUST NOT
    generate an error if they encounter an unknown property".
    """

    def test_they_are_accepted_at_every_level_and_kept(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository)
        layers = [layer.descriptor(custom={"deep": [1, 2]}, urls=[], data="") for layer in pushed.blobs[1:]]
        manifest = with_changes(pushed.manifest, layers=layers, custom=[{"a": None}], other=1.5)
        images.push_manifest(registry, repository, manifest, "latest")
        assert registry.get_manifest(repository, "latest").body == manifest.body


class TestIndex:
    """**Image Index**: a manifest containing a list of manifests. (An index may list indexes.)"""

    def test_of_images_of_indexes_and_of_both_are_accepted(self, registry: RegistryClient, repository: str) -> None:
        child = images.push_image(registry, repository).manifest
        docker = images.push_image(registry, repository, None, images.docker_image("child")).manifest
        inner = images.index([child])
        for index in (
            inner,
            images.index([docker], media_type=images.DOCKER_LIST),
            images.index([inner, child, docker]),
            images.index([images.index([inner, child, docker])]),
            images.index([child], mediaType=None),
        ):
            images.push_manifest(registry, repository, index, "latest")
            assert registry.get_manifest(repository, index.digest).body == index.body

    def test_a_build_cache_whose_entries_are_blobs_is_accepted(self, registry: RegistryClient, repository: str) -> None:
        """BuildKit exports its cache as an index of layers (V2M-014)."""
        images.push_image(registry, repository, "cache", images.build_cache("cache"))
