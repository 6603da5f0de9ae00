"""What a configuration changes on the wire: read-only mode, deletes switched off, sparse indexes, limits of
manifests.
"""

from collections.abc import Iterator

import pytest

from spec.conftest import Configured
from spec.expect import holds_for_every_response, reason_of, refused
from support import images
from support.daemon import Daemon
from support.images import Content, Image
from support.registry_client import RegistryClient

REPOSITORY = "t/configured"


def client_of(daemon: Daemon) -> RegistryClient:
    return RegistryClient(daemon.address, observe=holds_for_every_response)


@pytest.fixture(scope="class")
def readonly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RegistryClient, Image]]:
    """A client of a read-only registry, and what was pushed while it was not."""
    folder = tmp_path_factory.mktemp("readonly")
    storage = f"filesystem: {{rootdirectory: '{folder / 'data'}'}}, delete: {{enabled: true}}"
    with Daemon(folder, config=f"version: 0.1\nstorage: {{{storage}}}\n") as before, client_of(before) as client:
        made = images.push_image(client, REPOSITORY, "latest")
    readonly = f"{storage}, maintenance: {{readonly: {{enabled: true}}}}"
    with Daemon(folder, config=f"version: 0.1\nstorage: {{{readonly}}}\n") as after, client_of(after) as client:
        yield client, made


@pytest.fixture(scope="class")
def sparse(configured: Configured) -> Iterator[RegistryClient]:
    with client_of(configured("validation: {manifests: {sparse: true}}")) as client:
        yield client


@pytest.fixture(scope="class")
def limited(configured: Configured) -> Iterator[RegistryClient]:
    section = "validation: {manifests: {referencelimit: 3, payloadsizelimit: 2000}}"
    with client_of(configured(section)) as client:
        yield client


@pytest.fixture(scope="class")
def choosy(configured: Configured) -> Iterator[RegistryClient]:
    section = "validation: {manifests: {urls: {allow: ['^https?://ok\\.example/'], deny: ['/secret/']}}}"
    with client_of(configured(section)) as client:
        client.push_blob(REPOSITORY, images.EMPTY.body, images.EMPTY.digest)
        yield client


class TestReadOnly:
    """CFS-003: `storage.maintenance.readonly.enabled: true`: write methods answer 405; pulls work."""

    def test_pulls_and_lists_work(self, readonly: tuple[RegistryClient, Image]) -> None:
        client, made = readonly
        assert client.base().status == 200
        assert client.get_manifest(REPOSITORY, "latest").body == made.manifest.body
        assert client.get_blob(REPOSITORY, made.blobs[0].digest).body == made.blobs[0].body
        assert client.list_tags(REPOSITORY).json()["tags"] == ["latest"]
        assert client.list_repositories().json()["repositories"] == [REPOSITORY]
        assert client.list_referrers(REPOSITORY, made.digest).status == 200

    def test_every_write_is_405(self, readonly: tuple[RegistryClient, Image]) -> None:
        client, made = readonly
        upload = client.url(REPOSITORY, "blobs", "uploads", "00000000-0000-4000-8000-000000000000")
        for response in (
            client.start_upload(REPOSITORY),
            client.post_blob(REPOSITORY, images.digest_of(b"x"), b"x"),
            client.mount_blob(REPOSITORY, made.blobs[0].digest, REPOSITORY),
            client.patch_upload(upload, b"x"),
            client.close_upload(upload, images.digest_of(b"x"), b"x"),
            client.cancel_upload(upload),
            client.put_manifest(REPOSITORY, "new", made.manifest.body, made.manifest.media_type),
            client.delete_manifest(REPOSITORY, "latest"),
            client.delete_manifest(REPOSITORY, made.digest),
            client.delete_blob(REPOSITORY, made.blobs[0].digest),
        ):
            refused(response, 405, "UNSUPPORTED")
            assert not {"POST", "PUT", "PATCH", "DELETE"} & set(response.headers.tokens("Allow"))
        assert client.get_manifest(REPOSITORY, "latest").body == made.manifest.body


class TestDeleteDisabled:
    """If tag deletion is disabled, the registry MUST respond with either a `400 Bad Request` or a `405 Method Not
    Allowed`. (The same of manifests and blobs.) GitLab, CFS-004: 405 UNSUPPORTED, and off is the default.
    """

    @pytest.mark.parametrize(
        "storage", ["delete: {enabled: false}", "redirect: {disable: true}"], ids=["off", "default"]
    )
    def test_tag_manifest_and_blob_stay(self, configured: Configured, storage: str) -> None:
        with client_of(configured(storage=storage)) as client:
            pushed = images.push_image(client, REPOSITORY, "latest")
            refused(client.delete_manifest(REPOSITORY, "latest"), 405, "UNSUPPORTED")
            refused(client.delete_manifest(REPOSITORY, pushed.digest), 405, "UNSUPPORTED")
            refused(client.delete_blob(REPOSITORY, pushed.blobs[0].digest), 405, "UNSUPPORTED")
            assert client.get_manifest(REPOSITORY, "latest").body == pushed.manifest.body
            assert client.head_blob(REPOSITORY, pushed.blobs[0].digest).status == 200

    def test_an_upload_can_still_be_cancelled(self, configured: Configured) -> None:
        with client_of(configured(storage="delete: {enabled: false}")) as client:
            location = client.start_upload(REPOSITORY).location
            assert client.cancel_upload(location).status == 204


class TestSparse:
    """The conformance suite's "sparse": a manifest where some descriptors have not been pushed. Configured by
    `validation: {manifests: {sparse: true}}`.
    """

    def test_an_index_without_some_or_all_children_is_accepted(self, sparse: RegistryClient) -> None:
        present = images.push_image(sparse, REPOSITORY, None, images.image("present")).manifest
        absent = images.image("absent").manifest
        for children in ([present, absent], [absent]):
            index = images.index(children)
            images.push_manifest(sparse, REPOSITORY, index, "sparse")
            assert sparse.get_manifest(REPOSITORY, "sparse").body == index.body
        refused(sparse.get_manifest(REPOSITORY, absent.digest), 404, "MANIFEST_UNKNOWN")

    def test_an_image_without_some_of_its_layers_is_accepted(self, sparse: RegistryClient) -> None:
        made = images.image("absent layers")
        images.push_blobs(sparse, REPOSITORY, made.blobs[:-1])
        images.push_manifest(sparse, REPOSITORY, made.manifest, "sparse-image")
        refused(sparse.get_blob(REPOSITORY, made.blobs[-1].digest), 404, "BLOB_UNKNOWN")

    def test_what_is_malformed_is_refused_all_the_same(self, sparse: RegistryClient) -> None:
        refused(sparse.put_manifest(REPOSITORY, "bad", b"{", images.OCI_MANIFEST), 400, "MANIFEST_INVALID")


class TestManifestLimits:
    """CFX-021, CFX-022: `validation.manifests.referencelimit`: "Max number of references in a manifest";
    `payloadsizelimit`: "Max manifest bytes".
    """

    def test_as_many_references_as_allowed_are_accepted_and_one_more_is_not(self, limited: RegistryClient) -> None:
        images.push_image(limited, REPOSITORY, "within", images.image("within", layers=2))
        beyond = images.image("beyond", layers=3)
        images.push_blobs(limited, REPOSITORY, beyond.blobs)
        response = limited.put_manifest(REPOSITORY, "beyond", beyond.manifest.body, beyond.manifest.media_type)
        refused(response, 400, "MANIFEST_INVALID")
        assert reason_of(response) == "MANIFEST_REFERENCE_LIMIT"

    def test_as_many_bytes_as_allowed_are_accepted_and_one_more_is_not(self, limited: RegistryClient) -> None:
        limited.push_blob(REPOSITORY, images.EMPTY.body, images.EMPTY.digest)
        images.push_manifest(limited, REPOSITORY, images.padded_manifest(images.EMPTY, 2000), "within")
        beyond = images.padded_manifest(images.EMPTY, 2001)
        response = limited.put_manifest(REPOSITORY, "beyond", beyond.body, beyond.media_type)
        refused(response, {400, 413}, {"MANIFEST_INVALID", "SIZE_INVALID"})
        assert reason_of(response) == "MANIFEST_SIZE_LIMIT"


class TestForeignLayerURLs:
    """CFX-023: `validation.manifests.urls.allow/deny`: "Regex lists for foreign-layer URLs; deny wins"."""

    @pytest.mark.parametrize(
        ("url", "accepted"),
        [
            ("https://ok.example/layer", True),
            ("https://ok.example/secret/layer", False),
            ("https://other.example/layer", False),
        ],
        ids=["allowed", "denied", "neither"],
    )
    def test_a_layer_elsewhere_needs_an_allowed_address(
        self, choosy: RegistryClient, url: str, *, accepted: bool
    ) -> None:
        foreign = images.blob(f"at {url}", media_type=images.OCI_NONDISTRIBUTABLE)
        manifest = self.manifest_with(foreign, url)
        response = choosy.put_manifest(REPOSITORY, "latest", manifest.body, manifest.media_type)
        if accepted:
            assert response.status == 201
        else:
            refused(response, 400, "MANIFEST_INVALID")

    @staticmethod
    def manifest_with(foreign: Content, url: str) -> Content:
        return images.image_manifest(images.EMPTY, [foreign.descriptor(urls=[url])])
