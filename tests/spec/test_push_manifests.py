"""§ Pushing Manifests: end-7a, end-7b. What a manifest may say has a file of its own, test_manifest_formats.py."""

import json
from collections.abc import Callable

import pytest

from spec.expect import errors_of, refused
from support import images
from support.images import Content
from support.registry_client import RegistryClient

LIMIT_BYTES = 4 << 20


class TestAccepted:
    """Upon a successful upload, the registry MUST return response code `201 Created`, and MUST have the following
    header: `Location: <location>`. The `<location>` is a pullable manifest URL.
    """

    def test_by_tag_the_location_gives_the_manifest(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("by tag")
        images.push_blobs(registry, repository, made.blobs)
        response = registry.put_manifest(repository, "latest", made.manifest.body, made.manifest.media_type)
        assert response.status == 201
        assert response.headers["Docker-Content-Digest"] == made.digest
        assert registry.request("GET", response.location).body == made.manifest.body

    def test_by_digest_the_location_gives_the_manifest(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("by digest")
        images.push_blobs(registry, repository, made.blobs)
        response = registry.put_manifest(repository, made.digest, made.manifest.body, made.manifest.media_type)
        assert response.status == 201
        assert registry.request("GET", response.location).body == made.manifest.body

    def test_the_same_manifest_can_be_pushed_again(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "again")
        images.push_manifest(registry, repository, pushed.manifest, "again")
        images.push_manifest(registry, repository, pushed.manifest)
        assert registry.get_manifest(repository, "again").body == pushed.manifest.body

    def test_a_body_in_chunked_transfer_coding_is_taken(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("chunked coding")
        images.push_blobs(registry, repository, made.blobs)
        response = registry.put_manifest(repository, "latest", iter([made.manifest.body]), made.manifest.media_type)
        assert response.status == 201


class TestExactBytes:
    """The registry MUST store the manifest in the exact byte representation provided by the client."""

    @pytest.mark.parametrize(
        "form",
        [
            lambda value: json.dumps(value, indent=3),
            lambda value: json.dumps(value, separators=(",", ":")),
            lambda value: f"\n\t {json.dumps(value, sort_keys=True)} \r\n\n",
            lambda value: json.dumps(dict(reversed(value.items()))),
            lambda value: json.dumps({**value, "annotations": {"é": "\u2028 <&> \U0001f6f3"}}, ensure_ascii=False),
            lambda value: json.dumps({**value, "annotations": {"é": "\u2028 <&> \U0001f6f3"}}, ensure_ascii=True),
            lambda value: json.dumps({**value, "x": 12345678901234567890123}).replace("123}", "1.0000e+2}"),
        ],
        ids=["indented", "compact", "surrounded", "reversed", "utf8", "escaped", "number"],
    )
    def test_whatever_the_form_of_the_json(
        self, registry: RegistryClient, repository: str, form: Callable[[dict[str, object]], str]
    ) -> None:
        made = images.image("exact bytes")
        images.push_blobs(registry, repository, made.blobs)
        manifest = Content(images.OCI_MANIFEST, form(json.loads(made.manifest.body)).encode())
        images.push_manifest(registry, repository, manifest, "latest")
        for reference in ("latest", manifest.digest):
            assert registry.get_manifest(repository, reference).body == manifest.body


class TestDigest:
    """The Docker-Content-Digest header returns the digest of the uploaded blob, and MUST be equal to the client
    provided digest.
    """

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_it_is_the_clients(self, registry: RegistryClient, repository: str, algorithm: str) -> None:
        made = images.image(f"digest {algorithm}")
        images.push_blobs(registry, repository, made.blobs)
        digest = images.digest_of(made.manifest.body, algorithm)
        response = registry.put_manifest(repository, digest, made.manifest.body, made.manifest.media_type)
        assert response.status == 201
        assert response.headers["Docker-Content-Digest"] == digest
        for fetched in (registry.get_manifest(repository, digest), registry.request("GET", response.location)):
            assert fetched.body == made.manifest.body
        assert registry.head_manifest(repository, digest).headers["Docker-Content-Digest"] == digest

    def test_one_that_is_not_the_contents_is_refused(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("wrong digest")
        images.push_blobs(registry, repository, made.blobs)
        for wrong in (images.missing_digest("manifest"), images.digest_of(b"other", "sha512")):
            response = registry.put_manifest(repository, wrong, made.manifest.body, made.manifest.media_type)
            refused(response, 400, "DIGEST_INVALID")
            assert registry.head_manifest(repository, wrong).status == 404

    @pytest.mark.parametrize(
        "digest",
        ["md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:abc", "sha256:" + "A" * 64],
        ids=["md5", "short", "upper"],
    )
    def test_one_that_is_none_is_refused(self, registry: RegistryClient, repository: str, digest: str) -> None:
        made = images.image("no digest")
        images.push_blobs(registry, repository, made.blobs)
        response = registry.put_manifest(repository, digest, made.manifest.body, made.manifest.media_type)
        refused(response, 400, "DIGEST_INVALID")


class TestTagParameters:
    """When pushing a manifest by digest, the registry MAY support the pushing of tags specified by addition of `tag`
    query parameters. If a registry supports this, it: SHOULD support pushing at least 10 tags per request; MUST include
    an `OCI-Tag` response header for each accepted tag.
    """

    def test_twenty_tags_are_made_at_once_and_named(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository)
        tags = [f"v1.{number}" for number in range(20)]
        manifest = pushed.manifest
        response = registry.put_manifest(repository, pushed.digest, manifest.body, manifest.media_type, tags=tags)
        assert response.status == 201
        assert sorted(response.headers.tokens("OCI-Tag")) == sorted(tags)
        assert registry.list_tags(repository).json()["tags"] == sorted(tags)
        assert registry.get_manifest(repository, "v1.19").headers["Docker-Content-Digest"] == pushed.digest

    def test_without_any_there_is_no_header_and_no_tag(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository)
        response = registry.put_manifest(repository, pushed.digest, pushed.manifest.body, images.OCI_MANIFEST)
        assert "OCI-Tag" not in response.headers
        assert registry.head_manifest(repository, "latest").status == 404

    def test_a_tag_twice_is_one_tag(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository)
        body = pushed.manifest.body
        response = registry.put_manifest(repository, pushed.digest, body, images.OCI_MANIFEST, tags=["a", "a"])
        assert response.status == 201
        assert set(response.headers.tokens("OCI-Tag")) == {"a"}

    def test_a_tag_outside_the_grammar_is_refused_and_none_is_made(
        self, registry: RegistryClient, repository: str
    ) -> None:
        pushed = images.push_image(registry, repository, "before")
        for bad in ("-bad", "b/ad", "", "x" * 129, "../up"):
            body = pushed.manifest.body
            tags = ["good", bad]
            refused(registry.put_manifest(repository, pushed.digest, body, images.OCI_MANIFEST, tags=tags), 400)
            assert registry.list_tags(repository).json()["tags"] == ["before"]

    def test_they_move_tags_that_exist(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "moving", images.image("before"))
        after = images.push_image(registry, repository, None, images.image("after"))
        images_type = after.manifest.media_type
        registry.put_manifest(repository, after.digest, after.manifest.body, images_type, tags=["moving"])
        assert registry.get_manifest(repository, "moving").body == after.manifest.body

    def test_too_many_are_accepted_or_refused_whole(self, registry: RegistryClient, repository: str) -> None:
        """MAY return a `414 Request-URI Too Long` status if too many tags are included in the request."""
        pushed = images.push_image(registry, repository, "before")
        tags = [f"many-{number}" for number in range(400)]
        response = registry.put_manifest(
            repository, pushed.digest, pushed.manifest.body, images.OCI_MANIFEST, tags=tags
        )
        assert response.status in {201, 400, 414, 431}
        found = registry.list_tags(repository).json()["tags"]
        assert found == (sorted(["before", *tags]) if response.status == 201 else ["before"])


class TestSize:
    """A registry SHOULD enforce some limit on the maximum manifest size that it can accept. A registry that enforces
    this limit SHOULD respond to a request to push a manifest over this limit with a response code `413 Payload Too
    Large`. Client and registry implementations SHOULD expect to be able to support manifest pushes of at least 4
    megabytes.
    """

    def test_exactly_4_mib_are_accepted_and_come_back(self, registry: RegistryClient, repository: str) -> None:
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        manifest = images.padded_manifest(images.EMPTY, LIMIT_BYTES)
        images.push_manifest(registry, repository, manifest, "large")
        assert registry.get_manifest(repository, "large").body == manifest.body

    @pytest.mark.parametrize("more_bytes", [1, 1 << 20])
    @pytest.mark.parametrize("coded", [False, True], ids=["content-length", "chunked"])
    def test_more_is_413(self, registry: RegistryClient, repository: str, more_bytes: int, *, coded: bool) -> None:
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        manifest = images.padded_manifest(images.EMPTY, LIMIT_BYTES + more_bytes)
        body = iter([manifest.body]) if coded else manifest.body
        response = registry.put_manifest(repository, "large", body, manifest.media_type)
        refused(response, 413, {"MANIFEST_INVALID", "SIZE_INVALID"})
        assert registry.head_manifest(repository, "large").status == 404


class TestMissingReferences:
    """A registry MAY reject a manifest uploaded to the manifest endpoint with descriptors in other fields that
    reference a manifest or blob that does not exist in the registry. When a manifest is rejected for this reason, it
    MUST result in one or more `MANIFEST_BLOB_UNKNOWN` errors.
    """

    def test_each_missing_blob_is_an_error_that_names_it(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("missing", layers=4)
        missing = {made.blobs[0].digest, made.blobs[2].digest, made.blobs[4].digest}
        images.push_blobs(registry, repository, (blob for blob in made.blobs if blob.digest not in missing))
        response = registry.put_manifest(repository, "latest", made.manifest.body, made.manifest.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")
        errors = errors_of(response)
        assert len(errors) == len(missing)
        for digest in missing:
            assert sum(digest in json.dumps(error["detail"]) for error in errors) == 1, digest
        assert registry.head_manifest(repository, "latest").status == 404

    def test_a_blob_named_twice_is_one_error(self, registry: RegistryClient, repository: str) -> None:
        layer = images.blob("named twice")
        registry.push_blob(repository, images.EMPTY.body, images.EMPTY.digest)
        manifest = images.image_manifest(images.EMPTY, [layer, layer, layer])
        response = registry.put_manifest(repository, "latest", manifest.body, manifest.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")
        assert len(errors_of(response)) == 1

    def test_a_blob_that_only_another_repository_has_is_missing(
        self, registry: RegistryClient, repository: str
    ) -> None:
        elsewhere = images.push_image(registry, f"{repository}/elsewhere", "latest")
        manifest = elsewhere.manifest
        response = registry.put_manifest(repository, "latest", manifest.body, manifest.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")

    def test_a_missing_child_of_an_index_is_an_error_that_names_it(
        self, registry: RegistryClient, repository: str
    ) -> None:
        present = images.push_image(registry, repository, None, images.image("present"))
        absent = [images.image(f"absent {number}") for number in range(2)]
        index = images.index([present.manifest, *(made.manifest for made in absent)])
        response = registry.put_manifest(repository, "latest", index.body, index.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")
        named = json.dumps([error["detail"] for error in errors_of(response)])
        assert [made.digest in named for made in (present, *absent)] == [False, True, True]

    def test_a_docker_manifest_is_held_to_the_same(self, registry: RegistryClient, repository: str) -> None:
        made = images.docker_image("missing docker")
        response = registry.put_manifest(repository, "latest", made.manifest.body, made.manifest.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")
        assert len(errors_of(response)) == 2


class TestMissingSubject:
    """A registry MUST initially accept an otherwise valid manifest with a `subject` field that references a manifest
    that does not exist in the repository, allowing clients to push a manifest and referrers to that manifest in
    either order.
    """

    def test_a_manifest_and_its_subject_can_come_in_either_order(
        self, registry: RegistryClient, repository: str
    ) -> None:
        subject = images.image("later")
        made = images.artifact("earlier", subject.manifest, artifact_type="application/vnd.example.sbom")
        images.push_image(registry, repository, "artifact", made)
        images.push_image(registry, repository, "subject", subject)
        assert registry.get_manifest(repository, "artifact").body == made.manifest.body
        assert registry.get_manifest(repository, "subject").body == subject.manifest.body


class TestSubjectHeader:
    """When processing a request for an image manifest with the `subject` field, a registry implementation that supports
    the referrers API MUST respond with the response header `OCI-Subject: <subject digest>`.
    """

    @pytest.mark.parametrize("kind", ["image", "index"])
    def test_it_names_the_subject(self, registry: RegistryClient, repository: str, kind: str) -> None:
        subject = images.image("subject header").manifest
        if kind == "image":
            made = images.artifact("with subject", subject, artifact_type="application/vnd.example.sbom")
            images.push_blobs(registry, repository, made.blobs)
            manifest = made.manifest
        else:
            manifest = images.index([], subject=subject.descriptor())
        for reference in ("latest", manifest.digest):
            response = registry.put_manifest(repository, reference, manifest.body, manifest.media_type)
            assert response.status == 201
            assert response.headers["OCI-Subject"] == subject.digest

    def test_without_a_subject_there_is_none(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository)
        response = registry.put_manifest(repository, "latest", pushed.manifest.body, pushed.manifest.media_type)
        assert "OCI-Subject" not in response.headers
