"""§ Listing Referrers (end-12a, end-12b) and § Enabling the Referrers API."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spec.expect import refused
from support import images
from support.components import need
from support.daemon import Daemon
from support.images import Content, Image
from support.ports import free_port
from support.registry_client import RegistryClient, Response

SBOM = "application/vnd.example.sbom.v1"
SIGNATURE = "application/vnd.example.signature.v1"
LIMIT_BYTES = 4 << 20


def descriptors_of(response: Response) -> list[dict[str, object]]:
    """The list in a response, once its form has been checked."""
    assert response.status == 200, response
    assert response.headers["Content-Type"] == images.OCI_INDEX
    value = response.json()
    assert value["schemaVersion"] == 2
    assert value["mediaType"] == images.OCI_INDEX
    manifests = value["manifests"]
    assert isinstance(manifests, list)
    return manifests


def digests_of(response: Response) -> set[object]:
    digests = [descriptor["digest"] for descriptor in descriptors_of(response)]
    assert len(digests) == len(set(map(str, digests))), digests
    return set(digests)


def referrers_tag(digest: str) -> str:
    """§ Referrers Tag Schema."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


@pytest.fixture
def subject(registry: RegistryClient, repository: str) -> Content:
    return images.push_image(registry, repository, "subject").manifest


Attach = Callable[..., Image]


@pytest.fixture
def attach(registry: RegistryClient, repository: str, subject: Content) -> Attach:
    """Push an artifact that refers to the subject: ``attach("seed", artifact_type=SBOM)``."""

    def push(seed: str, artifact_type: str | None = SBOM, **extra: object) -> Image:
        made = images.artifact(f"{repository} {seed}", subject, artifact_type=artifact_type, **extra)
        return images.push_image(registry, repository, None, made)

    return push


class TestResponse:
    """Upon success, the response MUST be a JSON body with an image index containing a list of descriptors. The
    `Content-Type` header MUST be set to `application/vnd.oci.image.index.v1+json`. Each descriptor is of an image
    manifest or index in the same `<name>` namespace with a `subject` field that specifies the value of `<digest>`.
    """

    def test_it_lists_each_referrer_once(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = [attach(str(number)) for number in range(3)]
        images.push_manifest(registry, repository, made[0].manifest, "tagged-as-well")
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {image.digest for image in made}

    def test_a_descriptor_has_type_size_and_digest(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = attach("descriptor")
        [descriptor] = descriptors_of(registry.list_referrers(repository, subject.digest))
        assert descriptor == made.manifest.descriptor(artifactType=SBOM)

    def test_referrers_of_others_and_in_other_repositories_are_not_in_it(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        mine = attach("mine")
        other = images.artifact("other subject", mine.manifest, artifact_type=SBOM)
        images.push_image(registry, repository, None, other)
        elsewhere = images.artifact("elsewhere", subject, artifact_type=SBOM)
        images.push_image(registry, f"{repository}/elsewhere", None, elsewhere)
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {mine.digest}
        assert digests_of(registry.list_referrers(repository, mine.digest)) == {other.digest}

    def test_the_subject_need_not_be_there(self, registry: RegistryClient, repository: str) -> None:
        absent = images.image("absent subject").manifest
        made = images.push_image(registry, repository, None, images.artifact("of absent", absent, artifact_type=SBOM))
        assert digests_of(registry.list_referrers(repository, absent.digest)) == {made.digest}

    def test_a_sha512_subject_and_a_sha512_referrer_are_found(self, registry: RegistryClient, repository: str) -> None:
        subject = images.push_image(registry, repository).manifest
        digest = images.digest_of(subject.body, "sha512")
        assert registry.put_manifest(repository, digest, subject.body, subject.media_type).status == 201
        descriptor = {**subject.descriptor(), "digest": digest}
        made = images.artifact("sha512", descriptor, artifact_type=SBOM)
        images.push_blobs(registry, repository, made.blobs)
        own = images.digest_of(made.manifest.body, "sha512")
        assert registry.put_manifest(repository, own, made.manifest.body, made.manifest.media_type).status == 201
        assert digests_of(registry.list_referrers(repository, digest)) == {own}

    def test_a_deleted_referrer_is_gone_from_it(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        gone, stays = attach("gone"), attach("stays")
        assert registry.delete_manifest(repository, gone.digest).status == 202
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {stays.digest}

    def test_referrers_stay_when_the_subject_goes(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = attach("stays")
        assert registry.delete_manifest(repository, subject.digest).status == 202
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {made.digest}


class TestArtifactType:
    """The descriptors MUST include an `artifactType` field that is set to the value of the `artifactType` in the image
    manifest or index, if present. If the `artifactType` is empty or missing in the image manifest, the value of
    `artifactType` MUST be set to the config descriptor `mediaType` value. If the `artifactType` is empty or missing in
    an index, the `artifactType` MUST be omitted.
    """

    @pytest.mark.parametrize(
        ("own", "expected"),
        [(SBOM, SBOM), (None, images.OCI_EMPTY), ("", images.OCI_EMPTY)],
        ids=["own", "none", "empty"],
    )
    def test_of_an_image_manifest(
        self,
        registry: RegistryClient,
        repository: str,
        subject: Content,
        attach: Attach,
        *,
        own: str | None,
        expected: str,
    ) -> None:
        attach("type", own)
        [descriptor] = descriptors_of(registry.list_referrers(repository, subject.digest))
        assert descriptor["artifactType"] == expected

    @pytest.mark.parametrize("own", [SBOM, None, ""], ids=["own", "none", "empty"])
    def test_of_an_index(self, registry: RegistryClient, repository: str, subject: Content, own: str | None) -> None:
        index = images.index([], subject=subject.descriptor(), artifactType=own)
        images.push_manifest(registry, repository, index)
        [descriptor] = descriptors_of(registry.list_referrers(repository, subject.digest))
        assert descriptor == index.descriptor(**({"artifactType": own} if own else {}))


class TestAnnotations:
    """The descriptors MUST include annotations from the image manifest or index."""

    def test_all_of_them_as_they_were(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        annotations = {"org.opencontainers.image.created": "2022-01-01T14:42:55Z", "é<&>\u2028": "\U0001f6f3", "": ""}
        made = attach("annotated", annotations=annotations)
        index = images.index([], subject=subject.descriptor(), annotations=annotations)
        images.push_manifest(registry, repository, index)
        found = descriptors_of(registry.list_referrers(repository, subject.digest))
        assert {descriptor["digest"] for descriptor in found} == {made.digest, index.digest}
        assert [descriptor["annotations"] for descriptor in found] == [annotations] * 2


class TestNoReferrers:
    """If the registry supports the referrers API, the registry MUST NOT return a `404 Not Found` to a referrers API
    requests. If a query results in no matching referrers, an empty manifest list MUST be returned.
    """

    def test_of_a_manifest_without_any(self, registry: RegistryClient, repository: str, subject: Content) -> None:
        assert descriptors_of(registry.list_referrers(repository, subject.digest)) == []

    @pytest.mark.usefixtures("subject")
    def test_of_an_unknown_digest(self, registry: RegistryClient, repository: str) -> None:
        assert descriptors_of(registry.list_referrers(repository, images.missing_digest("referrers"))) == []
        assert descriptors_of(registry.list_referrers(repository, images.digest_of(b"", "sha512"))) == []

    def test_in_an_unknown_repository(self, registry: RegistryClient, repository: str) -> None:
        assert descriptors_of(registry.list_referrers(repository, images.missing_digest("unknown"))) == []

    def test_a_filter_is_applied_all_the_same(self, registry: RegistryClient, repository: str) -> None:
        response = registry.list_referrers(repository, images.missing_digest("filter"), artifact_type=SBOM)
        assert descriptors_of(response) == []
        assert response.headers["OCI-Filters-Applied"] == "artifactType"


class TestInvalidDigest:
    """If the request is invalid, such as a `<digest>` with an invalid syntax, a `400 Bad Request` MUST be returned."""

    @pytest.mark.parametrize(
        "digest",
        ["latest", "sha256:abc", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "sha256", ":", "sha256:"],
        ids=list("0123456"),
    )
    @pytest.mark.usefixtures("subject")
    def test_is_400(self, registry: RegistryClient, repository: str, digest: str) -> None:
        refused(registry.list_referrers(repository, digest), 400, "DIGEST_INVALID")


class TestFilter:
    """If filtering is requested and applied, the response MUST include a header `OCI-Filters-Applied: artifactType`
    denoting that an `artifactType` filter was applied.
    """

    def test_only_that_type_comes(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        sbom, _, untyped = attach("a", SBOM), attach("b", SIGNATURE), attach("c", None)
        for artifact_type, expected in (
            (SBOM, {sbom.digest}),
            (images.OCI_EMPTY, {untyped.digest}),
            ("application/vnd.example", set()),
            (SBOM.upper(), set()),
        ):
            response = registry.list_referrers(repository, subject.digest, artifact_type=artifact_type)
            assert digests_of(response) == expected, artifact_type
            assert response.headers["OCI-Filters-Applied"] == "artifactType"

    def test_without_a_filter_there_is_no_header(
        self, registry: RegistryClient, repository: str, subject: Content
    ) -> None:
        assert "OCI-Filters-Applied" not in registry.list_referrers(repository, subject.digest).headers

    def test_a_type_with_a_plus_sign_is_found(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = attach("plus", "application/spdx+json")
        response = registry.list_referrers(repository, subject.digest, artifact_type="application/spdx+json")
        assert digests_of(response) == {made.digest}


class TestPaging:
    """A `Link` header MUST be included in the response when the descriptor list cannot be returned in a single
    manifest. Each response is an image index with different descriptors in the `manifests` field.
    """

    @pytest.mark.parametrize("artifact_type", [None, SBOM], ids=["all", "filtered"])
    def test_a_list_larger_than_a_manifest_may_be_comes_in_pages(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach, *, artifact_type: str | None
    ) -> None:
        made = {attach(str(number), annotations={"large": "x" * (1 << 20)}).digest for number in range(6)}
        first = registry.list_referrers(repository, subject.digest, artifact_type=artifact_type)
        pages = list(registry.pages(first))
        assert all(len(page.body) <= LIMIT_BYTES for page in pages), [len(page.body) for page in pages]
        found = [descriptor["digest"] for page in pages for descriptor in descriptors_of(page)]
        assert len(found) == len(made)
        assert set(found) == made

    def test_many_referrers_all_come(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = {attach(str(number)).digest for number in range(120)}
        pages = list(registry.pages(registry.list_referrers(repository, subject.digest)))
        found = [descriptor["digest"] for page in pages for descriptor in descriptors_of(page)]
        assert len(found) == len(made)
        assert set(found) == made


class TestFallbackTag:
    """Clients of registries without this interface keep the list under a tag; a manifest may stand in both."""

    def test_what_is_in_both_comes_once_and_the_tag_can_be_pulled(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = attach("in both")
        index = images.index([made.manifest])
        images.push_manifest(registry, repository, index, referrers_tag(subject.digest))
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {made.digest}
        assert registry.get_manifest(repository, referrers_tag(subject.digest)).body == index.body

    def test_a_tag_of_that_form_that_is_no_index_does_no_harm(
        self, registry: RegistryClient, repository: str, subject: Content, attach: Attach
    ) -> None:
        made = attach("beside an image")
        images.push_image(registry, repository, referrers_tag(subject.digest), images.image("no index"))
        assert digests_of(registry.list_referrers(repository, subject.digest)) == {made.digest}


class TestUpgrade:
    """Registries MUST include preexisting image manifests that are listed in an image index tagged with the referrers
    tag schema and have a valid `subject` field in the referrers API response.
    """

    def test_referrers_that_an_older_registry_stored_are_listed(self, tmp_path: Path, repository: str) -> None:
        need("docker-registry")
        subject = images.image("older subject")
        made = images.artifact("older artifact", subject.manifest, artifact_type=SBOM, annotations={"a": "b"})
        root = tmp_path / "data"
        with OlderRegistry(tmp_path, root) as address, RegistryClient(address) as client:
            images.push_image(client, repository, "subject", subject)
            images.push_image(client, repository, None, made)
            images.push_manifest(client, repository, images.index([made.manifest]), referrers_tag(subject.digest))
        config = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{root}'}}}}\n"
        with Daemon(tmp_path, config=config) as daemon, RegistryClient(daemon.address) as client:
            [descriptor] = descriptors_of(client.list_referrers(repository, subject.digest))
            assert descriptor == made.manifest.descriptor(artifactType=SBOM, annotations={"a": "b"})
            filtered = client.list_referrers(repository, subject.digest, artifact_type=SIGNATURE)
            assert descriptors_of(filtered) == []


class OlderRegistry:
    """Debian's docker-registry over *root*: it stores what it is given and knows nothing of referrers."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._config = folder / "older.yml"
        self._config.write_text(json.dumps({"version": "0.1", "storage": {"filesystem": {"rootdirectory": str(root)}}}))
        self._address = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(self._config)],
            env={**os.environ, "REGISTRY_HTTP_ADDR": self._address},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                with RegistryClient(self._address) as client:
                    assert client.base().status == 200
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "the older registry did not start"
                time.sleep(0.05)
            else:
                return self._address

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
