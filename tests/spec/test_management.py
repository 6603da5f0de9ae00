"""§ Content Management: end-9 and end-10."""

import pytest

from spec.expect import refused
from support import images
from support.registry_client import RegistryClient


class TestDeleteTag:
    """Upon success, the registry MUST respond with a `202 Accepted` code. Once deleted, a `GET` to
    `/v2/<name>/manifests/<tag>` will return a 404.
    """

    def test_the_tag_goes_and_manifest_and_other_tags_stay(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "gone")
        images.push_manifest(registry, repository, pushed.manifest, "stays")
        assert registry.delete_manifest(repository, "gone").status == 202
        refused(registry.get_manifest(repository, "gone"), 404, "MANIFEST_UNKNOWN")
        assert registry.head_manifest(repository, "gone").status == 404
        assert registry.get_manifest(repository, "stays").body == pushed.manifest.body
        assert registry.get_manifest(repository, pushed.digest).body == pushed.manifest.body
        assert registry.list_tags(repository).json()["tags"] == ["stays"]

    def test_a_second_time_it_is_404(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "gone")
        assert registry.delete_manifest(repository, "gone").status == 202
        refused(registry.delete_manifest(repository, "gone"), 404, "MANIFEST_UNKNOWN")

    def test_it_can_be_pushed_again(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "back")
        assert registry.delete_manifest(repository, "back").status == 202
        images.push_manifest(registry, repository, pushed.manifest, "back")
        assert registry.get_manifest(repository, "back").body == pushed.manifest.body

    def test_an_unknown_tag_is_404(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "known")
        refused(registry.delete_manifest(repository, "unknown"), 404, "MANIFEST_UNKNOWN")


class TestDeleteManifest:
    """Upon success, the registry MUST respond with a `202 Accepted` code. Once deleted, a `GET` to
    `/v2/<name>/manifests/<digest>` and any tag pointing to that digest will return a 404.
    """

    def test_the_manifest_goes_with_every_tag_that_points_to_it(
        self, registry: RegistryClient, repository: str
    ) -> None:
        pushed = images.push_image(registry, repository, "one")
        images.push_manifest(registry, repository, pushed.manifest, "two")
        other = images.push_image(registry, repository, "other")
        assert registry.delete_manifest(repository, pushed.digest).status == 202
        for reference in ("one", "two", pushed.digest):
            refused(registry.get_manifest(repository, reference), 404, "MANIFEST_UNKNOWN")
            assert registry.head_manifest(repository, reference).status == 404
        assert registry.list_tags(repository).json()["tags"] == ["other"]
        assert registry.get_manifest(repository, "other").body == other.manifest.body

    def test_a_tag_that_moved_on_stays(self, registry: RegistryClient, repository: str) -> None:
        older = images.push_image(registry, repository, "moved", images.image("older"))
        newer = images.push_image(registry, repository, "moved", images.image("newer"))
        assert registry.delete_manifest(repository, older.digest).status == 202
        assert registry.get_manifest(repository, "moved").body == newer.manifest.body

    def test_a_second_time_it_is_404(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "gone")
        assert registry.delete_manifest(repository, pushed.digest).status == 202
        refused(registry.delete_manifest(repository, pushed.digest), 404, "MANIFEST_UNKNOWN")

    def test_it_can_be_pushed_again(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "back")
        assert registry.delete_manifest(repository, pushed.digest).status == 202
        images.push_manifest(registry, repository, pushed.manifest, "back")
        assert registry.get_manifest(repository, "back").body == pushed.manifest.body

    def test_that_of_another_repository_stays(self, registry: RegistryClient, repository: str) -> None:
        made = images.image("in two repositories")
        images.push_image(registry, repository, "latest", made)
        images.push_image(registry, f"{repository}/elsewhere", "latest", made)
        assert registry.delete_manifest(repository, made.digest).status == 202
        assert registry.get_manifest(f"{repository}/elsewhere", "latest").body == made.manifest.body

    def test_its_blobs_stay(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "gone")
        assert registry.delete_manifest(repository, pushed.digest).status == 202
        assert [registry.head_blob(repository, blob.digest).status for blob in pushed.blobs] == [200] * 3

    def test_an_index_can_be_deleted_and_its_children_stay(self, registry: RegistryClient, repository: str) -> None:
        child = images.push_image(registry, repository, "child")
        index = images.index([child.manifest])
        images.push_manifest(registry, repository, index, "index")
        assert registry.delete_manifest(repository, index.digest).status == 202
        assert registry.get_manifest(repository, "child").body == child.manifest.body

    def test_a_sha512_manifest_goes_the_same_way(self, registry: RegistryClient, repository: str) -> None:
        manifest = images.push_image(registry, repository).manifest
        digest = images.digest_of(manifest.body, "sha512")
        response = registry.put_manifest(repository, digest, manifest.body, manifest.media_type, tags=["tagged"])
        assert response.status == 201
        assert registry.delete_manifest(repository, digest).status == 202
        refused(registry.get_manifest(repository, digest), 404, "MANIFEST_UNKNOWN")
        refused(registry.get_manifest(repository, "tagged"), 404, "MANIFEST_UNKNOWN")


class TestDeleteInUnknownRepository:
    """If the repository does not exist, the response MUST return `404 Not Found`."""

    def test_tag_manifest_and_blob_are_404(self, registry: RegistryClient, repository: str) -> None:
        digest = images.missing_digest("unknown repository")
        refused(registry.delete_manifest(repository, "latest"), 404, {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"})
        refused(registry.delete_manifest(repository, digest), 404, {"NAME_UNKNOWN", "MANIFEST_UNKNOWN"})
        refused(registry.delete_blob(repository, digest), 404, {"NAME_UNKNOWN", "BLOB_UNKNOWN"})


class TestDeleteBlob:
    """Upon success, the registry MUST respond with code `202 Accepted`. If the blob is not found, a `404 Not Found`
    code MUST be returned.
    """

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_the_blob_is_gone_at_once_and_a_second_time_it_is_404(
        self, registry: RegistryClient, repository: str, algorithm: str
    ) -> None:
        content = images.blob("gone")
        digest = images.digest_of(content.body, algorithm)
        registry.push_blob(repository, content.body, digest)
        assert registry.delete_blob(repository, digest).status == 202
        refused(registry.get_blob(repository, digest), 404, "BLOB_UNKNOWN")
        assert registry.head_blob(repository, digest).status == 404
        refused(registry.delete_blob(repository, digest), 404, "BLOB_UNKNOWN")

    def test_it_can_be_pushed_again(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("back")
        for _ in range(2):
            registry.push_blob(repository, content.body, content.digest)
            assert registry.get_blob(repository, content.digest).body == content.body
            assert registry.delete_blob(repository, content.digest).status == 202

    def test_that_of_another_repository_stays(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("in two repositories")
        for name in (repository, f"{repository}/elsewhere"):
            registry.push_blob(name, content.body, content.digest)
        assert registry.delete_blob(repository, content.digest).status == 202
        assert registry.get_blob(f"{repository}/elsewhere", content.digest).body == content.body

    def test_an_unknown_one_is_404(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "latest")
        refused(registry.delete_blob(repository, images.missing_digest("delete")), 404, "BLOB_UNKNOWN")

    def test_a_manifest_that_needs_a_deleted_blob_is_no_longer_accepted(
        self, registry: RegistryClient, repository: str
    ) -> None:
        pushed = images.push_image(registry, repository, "latest")
        manifest = pushed.manifest
        refused(registry.delete_blob(repository, pushed.blobs[1].digest), 409, "DENIED")
        assert registry.delete_manifest(repository, manifest.digest).status == 202
        assert registry.delete_blob(repository, pushed.blobs[1].digest).status == 202
        response = registry.put_manifest(repository, "again", manifest.body, manifest.media_type)
        refused(response, {400, 404}, "MANIFEST_BLOB_UNKNOWN")


class TestSeenByAllWorkers:
    """What was acknowledged is visible to every connection, whichever worker answers it."""

    def test_pushes_moves_and_deletes_are(self, registry: RegistryClient, repository: str) -> None:
        older = images.push_image(registry, repository, "tag", images.image("older"))
        for _ in range(10):
            registry.close()
            assert registry.get_manifest(repository, "tag").body == older.manifest.body
        newer = images.push_image(registry, repository, "tag", images.image("newer"))
        for _ in range(10):
            registry.close()
            assert registry.get_manifest(repository, "tag").body == newer.manifest.body
        assert registry.delete_manifest(repository, newer.digest).status == 202
        assert registry.delete_blob(repository, newer.blobs[1].digest).status == 202
        for _ in range(10):
            registry.close()
            assert registry.get_manifest(repository, "tag").status == 404
            assert registry.get_manifest(repository, newer.digest).status == 404
            assert registry.get_blob(repository, newer.blobs[1].digest).status == 404
