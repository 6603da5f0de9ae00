"""§ Pulling manifests, "Content Negotiation": what Accept does. Docker lists follow GitLab (V2M-003, V2M-004)."""

import pytest

from spec.expect import refused
from support import images
from support.images import Content
from support.registry_client import HeaderPairs, RegistryClient

ANYTHING: dict[str, HeaderPairs] = {
    "none": {},
    "star": {"Accept": "*/*"},
    "json": {"Accept": "application/json"},
    "application": {"Accept": "application/*"},
    "star-last": {"Accept": "text/html, */*;q=0.1"},
}
NAMING = {
    "alone": "{}",
    "among-others": "text/plain, {}, application/json",
    "with-quality": "text/html;q=0.9, {};q=0.5",
    "without-spaces": "text/html,{},x/y",
    "with-parameter": "{}; charset=utf-8",
}
OTHERS = {
    "text": "text/html",
    "oci-config": images.OCI_CONFIG,
    "docker": f"{images.DOCKER_MANIFEST}, {images.DOCKER_LIST}",
    "schema1": images.DOCKER_SCHEMA1_SIGNED,
}


@pytest.fixture
def oci(registry: RegistryClient, repository: str) -> dict[str, Content]:
    """An OCI manifest and an OCI index by tag."""
    manifest = images.push_image(registry, repository, "image").manifest
    index = images.index([manifest])
    images.push_manifest(registry, repository, index, "index")
    return {"image": manifest, "index": index}


@pytest.fixture
def docker_list(registry: RegistryClient, repository: str) -> tuple[Content, Content]:
    """A Docker manifest list tagged ``list``, and its child for linux/amd64."""
    children = {}
    for architecture in ("arm64", "amd64", "s390x"):
        made = images.docker_image(f"{repository} {architecture}", architecture=architecture)
        children[architecture] = images.push_image(registry, repository, None, made).manifest
    made_list = images.platform_index(children, media_type=images.DOCKER_LIST)
    images.push_manifest(registry, repository, made_list, "list")
    return made_list, children["amd64"]


class TestOciAccepted:
    """The client SHOULD include an `Accept` header indicating which manifest content types it supports."""

    @pytest.mark.parametrize("headers", ANYTHING.values(), ids=ANYTHING)
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_client_that_takes_anything_gets_the_stored_manifest(
        self, registry: RegistryClient, repository: str, oci: dict[str, Content], *, headers: HeaderPairs, method: str
    ) -> None:
        for tag, manifest in oci.items():
            for reference in (tag, manifest.digest):
                target = registry.url(repository, "manifests", reference)
                response = registry.request(method, target, headers=headers)
                assert response.status == 200
                assert response.headers["Docker-Content-Digest"] == manifest.digest
                assert response.body == (b"" if method == "HEAD" else manifest.body)

    @pytest.mark.parametrize("form", NAMING.values(), ids=NAMING)
    def test_a_client_that_names_the_type_gets_it(
        self, registry: RegistryClient, repository: str, oci: dict[str, Content], form: str
    ) -> None:
        for tag, manifest in oci.items():
            headers = {"Accept": form.format(manifest.media_type)}
            assert registry.get_manifest(repository, tag, headers=headers).body == manifest.body

    def test_types_on_several_lines_are_one_list(
        self, registry: RegistryClient, repository: str, oci: dict[str, Content]
    ) -> None:
        types = (images.DOCKER_MANIFEST, images.DOCKER_LIST, images.OCI_MANIFEST, images.OCI_INDEX)
        lines = [("Accept", media_type) for media_type in types]
        for tag, manifest in oci.items():
            assert registry.get_manifest(repository, tag, headers=lines).body == manifest.body


class TestOciNotAccepted:
    """GitLab V2M-003: without the manifest's type in Accept the answer is 404 `MANIFEST_UNKNOWN`."""

    @pytest.mark.parametrize("accept", OTHERS.values(), ids=OTHERS)
    def test_a_client_that_names_only_other_types_gets_404(
        self, registry: RegistryClient, repository: str, oci: dict[str, Content], accept: str
    ) -> None:
        for tag, manifest in oci.items():
            for reference in (tag, manifest.digest):
                headers = {"Accept": accept}
                refused(registry.get_manifest(repository, reference, headers=headers), 404, "MANIFEST_UNKNOWN")
                assert registry.head_manifest(repository, reference, headers=headers).status == 404

    @pytest.mark.usefixtures("oci")
    def test_an_image_is_not_an_index(self, registry: RegistryClient, repository: str) -> None:
        for tag, other in (("image", images.OCI_INDEX), ("index", images.OCI_MANIFEST)):
            response = registry.get_manifest(repository, tag, headers={"Accept": other})
            refused(response, 404, "MANIFEST_UNKNOWN")


class TestDockerImage:
    """GitLab V2M-003: "Docker schema2 is returned always"."""

    @pytest.mark.parametrize(
        "accept", ["", images.DOCKER_MANIFEST, images.OCI_MANIFEST, "text/html", "*/*"], ids=list("01234")
    )
    def test_it_comes_whatever_is_accepted(self, registry: RegistryClient, repository: str, accept: str) -> None:
        made = images.docker_image(repository)
        pushed = images.push_image(registry, repository, "docker", made)
        for reference in ("docker", pushed.digest):
            headers = {"Accept": accept} if accept else {}
            response = registry.get_manifest(repository, reference, headers=headers)
            assert (response.status, response.body) == (200, pushed.manifest.body)
            assert response.headers["Content-Type"] == images.DOCKER_MANIFEST


class TestDockerList:
    """GitLab V2M-004: "Only for Docker manifest lists: if Accept does not name that type, the child for linux/amd64 is
    returned (digest headers change to the child). By digest the list itself is returned."
    """

    @pytest.mark.parametrize("form", NAMING.values(), ids=NAMING)
    def test_a_client_that_names_its_type_gets_the_list(
        self, registry: RegistryClient, repository: str, docker_list: tuple[Content, Content], form: str
    ) -> None:
        made, _ = docker_list
        response = registry.get_manifest(repository, "list", headers={"Accept": form.format(images.DOCKER_LIST)})
        assert response.body == made.body
        assert response.headers["Docker-Content-Digest"] == made.digest

    @pytest.mark.parametrize(
        "accept", ["", "*/*", "application/json", images.DOCKER_MANIFEST, images.OCI_INDEX], ids=list("01234")
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_by_tag_any_other_client_gets_the_child_for_linux_amd64(
        self,
        registry: RegistryClient,
        repository: str,
        docker_list: tuple[Content, Content],
        *,
        accept: str,
        method: str,
    ) -> None:
        _, child = docker_list
        target = registry.url(repository, "manifests", "list")
        response = registry.request(method, target, headers={"Accept": accept} if accept else {})
        assert response.status == 200
        assert response.headers["Docker-Content-Digest"] == child.digest
        assert response.headers["ETag"] == f'"{child.digest}"'
        assert response.headers["Content-Type"] == child.media_type
        assert response.headers["Content-Length"] == str(len(child.body))
        assert response.body == (b"" if method == "HEAD" else child.body)

    @pytest.mark.parametrize("accept", ["", "*/*", images.DOCKER_MANIFEST], ids=list("012"))
    def test_by_digest_every_client_gets_the_list(
        self, registry: RegistryClient, repository: str, docker_list: tuple[Content, Content], accept: str
    ) -> None:
        made, _ = docker_list
        response = registry.get_manifest(repository, made.digest, headers={"Accept": accept} if accept else {})
        assert (response.status, response.body) == (200, made.body)
        assert response.headers["Content-Type"] == images.DOCKER_LIST

    def test_the_childs_entity_tag_gives_304(
        self, registry: RegistryClient, repository: str, docker_list: tuple[Content, Content]
    ) -> None:
        _, child = docker_list
        headers = {"If-None-Match": f'"{child.digest}"'}
        assert registry.get_manifest(repository, "list", headers=headers).status == 304

    def test_without_a_child_for_linux_amd64_it_is_404(self, registry: RegistryClient, repository: str) -> None:
        made = images.docker_image(repository, architecture="arm64")
        child = images.push_image(registry, repository, None, made).manifest
        only_arm = images.platform_index({"arm64": child}, media_type=images.DOCKER_LIST)
        images.push_manifest(registry, repository, only_arm, "arm")
        refused(registry.get_manifest(repository, "arm"), 404, "MANIFEST_UNKNOWN")
        assert registry.get_manifest(repository, "arm", headers={"Accept": images.DOCKER_LIST}).status == 200
