"""RFC 9110 § 13 on manifests and blobs: entity tags and ``If-None-Match``. GitLab: V2M-001, V2M-002."""

import pytest

from support import images
from support.registry_client import RegistryClient

MATCHING = {
    "quoted": '"{}"',
    "unquoted": "{}",
    "weak": 'W/"{}"',
    "first-of-list": '"{}", "other"',
    "last-of-list": '"other", W/"another", "{}"',
    "star": "*",
}
OTHER = {"quoted": '"sha256:0"', "list": '"a", W/"b"', "empty": '""', "half": '"sha256:', "nothing": ""}


@pytest.fixture
def targets(registry: RegistryClient, repository: str) -> dict[str, str]:
    """Paths of a manifest by tag, by digest, and of a blob, with the digest of each."""
    pushed = images.push_image(registry, repository, "latest")
    layer = pushed.blobs[-1].digest
    return {
        registry.url(repository, "manifests", "latest"): pushed.digest,
        registry.url(repository, "manifests", pushed.digest): pushed.digest,
        registry.url(repository, "blobs", layer): layer,
    }


class TestEntityTag:
    """RFC 9110 § 8.8.3: "An origin server SHOULD send an ETag for any selected representation for which detection of
    changes can be reasonably and consistently determined".
    """

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_is_the_digest_in_quotes(self, registry: RegistryClient, targets: dict[str, str], method: str) -> None:
        for target, digest in targets.items():
            assert registry.request(method, target).headers["ETag"] == f'"{digest}"'


class TestIfNoneMatch:
    """RFC 9110 § 13.1.2: the condition is false if one of the listed tags matches, by weak comparison; then "the origin
    server MUST NOT perform the requested method" but answer 304.
    """

    @pytest.mark.parametrize("form", MATCHING.values(), ids=MATCHING)
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_tag_that_matches_gives_304(
        self, registry: RegistryClient, targets: dict[str, str], form: str, method: str
    ) -> None:
        for target, digest in targets.items():
            response = registry.request(method, target, headers={"If-None-Match": form.format(digest)})
            assert response.status == 304, (target, form)
            assert response.headers["ETag"] == f'"{digest}"'

    def test_a_tag_on_the_second_of_two_lines_gives_304(
        self, registry: RegistryClient, targets: dict[str, str]
    ) -> None:
        for target, digest in targets.items():
            lines = [("If-None-Match", '"other"'), ("If-None-Match", f'"{digest}"')]
            assert registry.request("GET", target, headers=lines).status == 304

    @pytest.mark.parametrize("value", OTHER.values(), ids=OTHER)
    def test_a_tag_that_does_not_match_gives_the_content(
        self, registry: RegistryClient, targets: dict[str, str], value: str
    ) -> None:
        for target, digest in targets.items():
            response = registry.request("GET", target, headers={"If-None-Match": value})
            assert response.status == 200
            assert images.digest_of(response.body) == digest

    def test_what_does_not_exist_is_404_also_with_a_star(self, registry: RegistryClient, repository: str) -> None:
        images.push_image(registry, repository, "latest")
        headers = {"If-None-Match": "*"}
        assert registry.get_manifest(repository, "unknown", headers=headers).status == 404
        assert registry.get_blob(repository, images.missing_digest("star"), headers=headers).status == 404

    def test_a_tag_that_moved_gives_the_new_manifest(self, registry: RegistryClient, repository: str) -> None:
        older = images.push_image(registry, repository, "moved", images.image("older"))
        newer = images.push_image(registry, repository, "moved", images.image("newer"))
        headers = {"If-None-Match": f'"{older.digest}"'}
        assert registry.get_manifest(repository, "moved", headers=headers).body == newer.manifest.body


class TestIfNoneMatchBeforeRange:
    """RFC 9110 § 13.2.2: If-None-Match is evaluated before Range."""

    def test_a_match_gives_304_also_for_a_part(self, registry: RegistryClient, repository: str) -> None:
        content = images.blob("precedence")
        registry.push_blob(repository, content.body, content.digest)
        headers = {"If-None-Match": f'"{content.digest}"', "Range": "bytes=0-9"}
        assert registry.get_blob(repository, content.digest, headers=headers).status == 304
