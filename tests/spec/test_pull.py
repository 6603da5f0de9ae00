"""§ Pull: end-2 and end-3 by GET and HEAD. Ranges, conditions and negotiation have files of their own."""

import pytest

from spec.expect import refused
from support import images
from support.registry_client import RegistryClient

VALID_NAMES = ["a", "0", "a/b/c/d", "a.b", "a_b", "a__b", "a-b", "a---b", "a0.b1/c_2__d-3", "library/ubuntu"]
INVALID_NAMES = ["A", "a/B", "-a", "a-", ".a", "a.", "_a", "a_", "a..b", "a___b", "a._b", "a-/b", "a/-b", "a+b", "a~b"]
VALID_TAGS = ["a", "_", "0", "A.b-c_d", "latest", "1.2.3-rc.1", "x" * 128, "_.-"]
INVALID_TAGS = [".a", "-a", "a+b", "a~b", "a b", "x" * 129]


def numbered(values: list[str]) -> list[str]:
    return [str(number) for number in range(len(values))]


class TestRepositoryName:
    r"""Throughout this document, `<name>` MUST match the following regular expression:

    `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
    """

    @pytest.mark.parametrize("name", VALID_NAMES, ids=numbered(VALID_NAMES))
    def test_a_name_in_the_grammar_can_be_pushed_to_and_pulled_from(self, registry: RegistryClient, name: str) -> None:
        pushed = images.push_image(registry, name, "grammar")
        assert registry.get_manifest(name, "grammar").body == pushed.manifest.body
        assert registry.get_blob(name, pushed.blobs[0].digest).body == pushed.blobs[0].body

    @pytest.mark.parametrize("name", INVALID_NAMES, ids=numbered(INVALID_NAMES))
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_a_name_outside_the_grammar_is_refused_for_manifests(
        self, registry: RegistryClient, name: str, method: str
    ) -> None:
        made = images.image("invalid name").manifest
        response = registry.request(
            method,
            registry.url(name, "manifests", "latest"),
            body=made.body if method == "PUT" else None,
            headers={"Content-Type": made.media_type},
        )
        refused(response, {400, 404}, {"NAME_INVALID", "NAME_UNKNOWN"})

    @pytest.mark.parametrize("name", INVALID_NAMES, ids=numbered(INVALID_NAMES))
    def test_a_name_outside_the_grammar_is_refused_for_blobs_uploads_tags_and_referrers(
        self, registry: RegistryClient, name: str
    ) -> None:
        codes = {"NAME_INVALID", "NAME_UNKNOWN"}
        refused(registry.get_blob(name, images.EMPTY.digest), {400, 404}, codes)
        refused(registry.start_upload(name), {400, 404}, codes)
        refused(registry.list_tags(name), {400, 404}, codes)
        refused(registry.list_referrers(name, images.EMPTY.digest), {400, 404}, codes)

    def test_a_name_of_255_characters_is_accepted_and_of_256_is_not(self, registry: RegistryClient) -> None:
        name = "l/" + "o" * 250 + "ng"
        assert registry.start_upload(f"{name}g").status == 202
        refused(registry.start_upload(f"{name}gg"), 400, "NAME_INVALID")


class TestTag:
    """`<tag-or-digest>` as a tag MUST be at most 128 characters in length and MUST match the following regular
    expression: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
    """

    @pytest.mark.parametrize("tag", VALID_TAGS, ids=numbered(VALID_TAGS))
    def test_a_tag_in_the_grammar_can_be_pushed_and_pulled(
        self, registry: RegistryClient, repository: str, tag: str
    ) -> None:
        pushed = images.push_image(registry, repository, tag)
        assert registry.get_manifest(repository, tag).body == pushed.manifest.body

    @pytest.mark.parametrize("tag", INVALID_TAGS, ids=numbered(INVALID_TAGS))
    def test_a_tag_outside_the_grammar_is_refused(self, registry: RegistryClient, repository: str, tag: str) -> None:
        pushed = images.push_image(registry, repository, "good")
        written = tag.replace(" ", "%20")
        refused(registry.get_manifest(repository, written), {400, 404}, {"MANIFEST_UNKNOWN", "MANIFEST_INVALID"})
        response = registry.put_manifest(repository, written, pushed.manifest.body, pushed.manifest.media_type)
        refused(response, {400, 404})
        refused(registry.delete_manifest(repository, written), {400, 404})

    def test_tags_that_differ_in_case_are_two(self, registry: RegistryClient, repository: str) -> None:
        lower = images.push_image(registry, repository, "case")
        upper = images.push_image(registry, repository, "CASE")
        assert registry.get_manifest(repository, "case").body == lower.manifest.body
        assert registry.get_manifest(repository, "CASE").body == upper.manifest.body


class TestManifestGet:
    """A GET request to an existing manifest URL MUST provide the expected manifest, with a response code that MUST be
    `200 OK`.
    """

    def test_by_tag_and_by_digest_the_pushed_bytes_come_back(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        for reference in ("latest", pushed.digest):
            response = registry.get_manifest(repository, reference)
            assert (response.status, response.body) == (200, pushed.manifest.body)
            assert response.headers["Content-Length"] == str(len(pushed.manifest.body))

    def test_a_tag_that_was_moved_gives_the_newer_manifest_and_the_older_stays_by_digest(
        self, registry: RegistryClient, repository: str
    ) -> None:
        older = images.push_image(registry, repository, "moved", images.image("older"))
        newer = images.push_image(registry, repository, "moved", images.image("newer"))
        assert registry.get_manifest(repository, "moved").body == newer.manifest.body
        assert registry.get_manifest(repository, older.digest).body == older.manifest.body


class TestManifestDigestHeader:
    """A successful response MUST contain the digest of the uploaded blob in the header `Docker-Content-Digest`."""

    def test_by_tag_and_by_digest_the_header_names_the_manifest(
        self, registry: RegistryClient, repository: str
    ) -> None:
        pushed = images.push_image(registry, repository, "latest")
        for reference in ("latest", pushed.digest):
            assert registry.get_manifest(repository, reference).headers["Docker-Content-Digest"] == pushed.digest


class TestManifestContentType:
    """In a successful response, the `Content-Type` header will indicate the type of the returned manifest.

    The registry SHOULD NOT include parameters on the `Content-Type` header.
    The `Content-Type` header SHOULD match what the client pushed as the manifest's `Content-Type`.
    """

    def test_it_is_what_was_pushed_without_parameters(self, registry: RegistryClient, repository: str) -> None:
        oci = images.push_image(registry, repository, "oci")
        docker = images.push_image(registry, repository, "docker", images.docker_image("content type"))
        index = images.index([oci.manifest])
        images.push_manifest(registry, repository, index, "index")
        for tag, manifest in (("oci", oci.manifest), ("docker", docker.manifest), ("index", index)):
            for response in (registry.get_manifest(repository, tag), registry.head_manifest(repository, tag)):
                assert response.headers["Content-Type"] == manifest.media_type


class TestManifestNotFound:
    """If the manifest is not found in the repository, the response code MUST be `404 Not Found`."""

    def test_an_unknown_tag_or_digest_is_404(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "known")
        for reference in ("unknown", images.missing_digest("manifest")):
            refused(registry.get_manifest(repository, reference), 404, "MANIFEST_UNKNOWN")
            assert registry.head_manifest(repository, reference).status == 404

    def test_the_manifest_of_another_repository_is_404(self, registry: RegistryClient, repository: str) -> None:
        elsewhere = images.push_image(registry, f"{repository}/elsewhere", "latest")
        images.push_image(registry, repository, "mine", images.image("mine"))
        refused(registry.get_manifest(repository, elsewhere.digest), 404, "MANIFEST_UNKNOWN")

    def test_a_blob_is_no_manifest(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        refused(registry.get_manifest(repository, pushed.blobs[0].digest), 404, "MANIFEST_UNKNOWN")

    def test_a_digest_of_an_unknown_algorithm_is_refused(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "latest")
        refused(registry.get_manifest(repository, "md5:d41d8cd98f00b204e9800998ecf8427e"), {400, 404})


class TestUnknownRepository:
    """An attempt to pull a nonexistent repository MUST return response code `404 Not Found`."""

    def test_manifests_blobs_and_tags_of_it_are_404(self, registry: RegistryClient, repository: str) -> None:
        refused(registry.get_manifest(repository, "latest"), 404, {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"})
        refused(registry.get_manifest(repository, images.EMPTY.digest), 404, {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"})
        refused(registry.get_blob(repository, images.EMPTY.digest), 404, {"NAME_UNKNOWN", "BLOB_UNKNOWN"})
        refused(registry.list_tags(repository), 404, "NAME_UNKNOWN")


class TestBlobGet:
    """A GET request to an existing blob URL MUST provide the expected blob, with a response code that MUST be
    `200 OK`.
    """

    @pytest.mark.parametrize("size_bytes", [0, 1, 1000, 1 << 16, (3 << 20) + 1])
    def test_the_pushed_bytes_come_back(self, registry: RegistryClient, repository: str, size_bytes: int) -> None:
        content = images.blob("get", size_bytes)
        registry.push_blob(repository, content.body, content.digest)
        response = registry.get_blob(repository, content.digest)
        assert response.status == 200
        assert response.body == content.body
        assert response.headers["Content-Length"] == str(size_bytes)
        assert response.headers["Content-Type"] == "application/octet-stream"

    def test_it_may_be_cached_for_ever(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("cached")
        registry.push_blob(repository, content.body, content.digest)
        assert "max-age=31536000" in registry.get_blob(repository, content.digest).headers["Cache-Control"]


class TestBlobDigestHeader:
    """A successful response MUST contain the digest of the uploaded blob in the header `Docker-Content-Digest`. If
    present, the value of this header MUST be a digest matching that of the response body.
    """

    def test_get_and_head_name_the_blob(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("digest header")
        registry.push_blob(repository, content.body, content.digest)
        assert registry.get_blob(repository, content.digest).headers["Docker-Content-Digest"] == content.digest
        assert registry.head_blob(repository, content.digest).headers["Docker-Content-Digest"] == content.digest


class TestBlobNotFound:
    """If the blob is not found in the repository, the response code MUST be `404 Not Found`."""

    def test_an_unknown_digest_is_404_and_named(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "latest")
        unknown = images.missing_digest("blob")
        response = registry.get_blob(repository, unknown)
        refused(response, 404, "BLOB_UNKNOWN")
        assert unknown in response.body.decode()
        assert registry.head_blob(repository, unknown).status == 404

    def test_the_blob_of_another_repository_is_404(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("another repository")
        registry.push_blob(f"{repository}/elsewhere", content.body, content.digest)
        images.push_image(registry, repository, "mine")
        refused(registry.get_blob(repository, content.digest), 404, "BLOB_UNKNOWN")

    @pytest.mark.parametrize(
        "digest",
        ["sha256:abc", "sha256:" + "A" * 64, "sha256:" + "g" * 64, "sha256-" + "a" * 64, "md5:" + "a" * 32, "x", ":"],
        ids=["short", "upper", "not-hex", "dash", "md5", "word", "colon"],
    )
    def test_what_is_no_digest_is_refused(self, registry: RegistryClient, repository: str, digest: str) -> None:
        images.push_image(registry, repository, "latest")
        refused(registry.get_blob(repository, digest), {400, 404}, {"DIGEST_INVALID", "BLOB_UNKNOWN"})
        assert registry.head_blob(repository, digest).status in {400, 404}


class TestHead:
    """A HEAD request to an existing blob or manifest URL MUST return `200 OK`.

    A successful response MUST contain the digest of the uploaded blob or manifest in the header
    `Docker-Content-Digest`. A successful response MUST contain the size in bytes of the uploaded blob or manifest in
    the header `Content-Length`.
    """

    @pytest.mark.parametrize("size_bytes", [0, 1000])
    def test_of_a_blob(self, registry: RegistryClient, repository: str, size_bytes: int) -> None:
        content = images.blob("head", size_bytes)
        registry.push_blob(repository, content.body, content.digest)
        response = registry.head_blob(repository, content.digest)
        assert response.status == 200
        assert response.headers["Docker-Content-Digest"] == content.digest
        assert response.headers["Content-Length"] == str(size_bytes)

    def test_of_a_manifest(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        for reference in ("latest", pushed.digest):
            response = registry.head_manifest(repository, reference)
            assert response.status == 200
            assert response.headers["Docker-Content-Digest"] == pushed.digest
            assert response.headers["Content-Length"] == str(len(pushed.manifest.body))


class TestNamespaceParameter:
    """A registry MAY choose to ignore the `ns` query parameter. A registry that uses the `ns` query parameter to scope
    the request SHOULD return the `ns` query parameter value in the `OCI-Namespace` header.
    """

    def test_a_pull_with_it_works(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        for parts in (("manifests", "latest"), ("blobs", pushed.blobs[0].digest)):
            response = registry.request("GET", registry.url(repository, *parts) + "?ns=docker.io")
            assert response.status == 200
            assert response.headers.get("OCI-Namespace", "docker.io") == "docker.io"
