"""What other registries have left in the folder: served as it is, and one odd thing keeps nobody from the others."""

import json
from collections.abc import Iterator

import pytest

from moorage.oci.digests import Digest
from spec.expect import holds_for_every_response, refused
from support import images
from support.images import Content
from support.in_process import InProcess
from support.registry_client import RegistryClient

ROOT = "/docker/registry/v2"
CHILD = images.image("child")


class Folder:
    """A folder without a database, and a client of the registry over it."""

    def __init__(self, registry: InProcess, client: RegistryClient) -> None:
        self._registry, self.client = registry, client

    def store(self, name: str, tag: str, payload: bytes) -> str:
        """Leave a manifest as Distribution would have written it; return its digest."""
        digest = Digest.of(payload)
        self._registry.leave_bytes(str(digest), payload)
        place = f"{ROOT}/repositories/{name}/_manifests"
        revision = f"{place}/revisions/sha256/{digest.encoded}/link"
        for path in (revision, f"{place}/tags/{tag}/current/link"):
            self._registry.put(path, str(digest).encode())
        return str(digest)

    def put(self, path: str, content: bytes) -> None:
        self._registry.put(f"{ROOT}/repositories/{path}", content)


@pytest.fixture
def folder() -> Iterator[Folder]:
    with (
        InProcess(None) as registry,
        RegistryClient(registry.address, observe=holds_for_every_response) as client,
    ):
        yield Folder(registry, client)


@pytest.mark.parametrize("name", ["Team/app", "APP", "a..b", "-dash/x", "a" * 200 + "/" + "b" * 200])
def test_a_repository_of_a_name_that_is_refused_today_can_be_listed_pulled_and_deleted(
    folder: Folder, name: str
) -> None:
    digest = folder.store(name, "latest", CHILD.manifest.body)
    assert folder.client.list_repositories().json()["repositories"] == [name]
    assert folder.client.list_tags(name).json()["tags"] == ["latest"]
    for reference in ("latest", digest):
        assert folder.client.get_manifest(name, reference).body == CHILD.manifest.body
    refused(folder.client.put_manifest(name, "new", b"{}", images.OCI_MANIFEST), 400, "NAME_INVALID")
    refused(folder.client.start_upload(name), 400, "NAME_INVALID")
    assert folder.client.delete_manifest(name, "latest").status == 202


def test_one_that_is_not_there_is_still_called_by_its_mistake(folder: Folder) -> None:
    refused(folder.client.list_tags("Team/app"), 400, "NAME_INVALID")
    refused(folder.client.list_referrers("Team/app", CHILD.digest), 400, "NAME_INVALID")


@pytest.mark.parametrize("tag", [".hidden", "-dash", "a" * 200, "a+b=c"])
def test_a_tag_that_is_refused_today_can_be_listed_pulled_and_deleted(folder: Folder, tag: str) -> None:
    folder.store("app", tag, CHILD.manifest.body)
    assert folder.client.list_tags("app").json()["tags"] == [tag]
    assert folder.client.get_manifest("app", tag).body == CHILD.manifest.body
    assert folder.client.delete_manifest("app", tag).status == 202
    refused(folder.client.get_manifest("app", tag), 400, "MANIFEST_INVALID")


ODD = {
    "list without types": json.dumps({"schemaVersion": 2, "manifests": [{"digest": CHILD.digest}]}).encode(),
    "list of nonsense": b'{"schemaVersion": 2, "manifests": [1, {}, {"digest": 7}]}',
    "key twice": b'{"schemaVersion": 2, "a": 1, "a": 2}',
    "no utf-8": b'{"schemaVersion": 2, "config": {}, "layers": [], "annotations": {"a": "\xff"}}',
    "schema 1": b'{"schemaVersion": 1, "name": "app", "tag": "latest", "fsLayers": []}',
    "no json": b"hello",
    "type of two lines": b'{"mediaType": "a/b\\r\\nX: y"}',
    "subject of nonsense": b'{"schemaVersion": 2, "config": {}, "layers": [], "subject": {"digest": 7}}',
}


@pytest.mark.parametrize("payload", ODD.values(), ids=ODD)
def test_a_manifest_that_would_be_refused_today_is_served_byte_for_byte(folder: Folder, payload: bytes) -> None:
    digest = folder.store("app", "odd", payload)
    for reference in ("odd", digest):
        assert folder.client.get_manifest("app", reference).body == payload
    assert folder.client.delete_manifest("app", digest).status == 202


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "TEXT/HTML; charset=x"])
def test_a_type_that_a_browser_runs_is_served_as_bytes(folder: Folder, media_type: str) -> None:
    payload = json.dumps({"schemaVersion": 2, "mediaType": media_type, "x": "<script>alert(1)</script>"}).encode()
    digest = folder.store("app", "page", payload)
    for reference in ("page", digest):
        response = folder.client.get_manifest("app", reference)
        assert (response.body, response.headers["Content-Type"]) == (payload, "application/octet-stream")
        assert response.headers["Content-Security-Policy"] == "sandbox"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("absent", ["mediaType", "size"])
def test_of_a_stored_list_whose_entries_lack_something_the_default_platform_is_found(
    folder: Folder, absent: str
) -> None:
    digest = folder.store("app", "child", CHILD.manifest.body)
    entry = {"mediaType": images.OCI_MANIFEST, "size": 1, "digest": digest}
    entry["platform"] = {"os": "linux", "architecture": "amd64"}
    del entry[absent]
    value = {"schemaVersion": 2, "mediaType": images.DOCKER_LIST, "manifests": [{"platform": 7}, entry]}
    folder.store("app", "list", json.dumps(value).encode())
    assert folder.client.get_manifest("app", "list").body == CHILD.manifest.body


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"{}", b'{"mediaType": 7, "size": "x"}', b"\xff"])
def test_a_damaged_note_of_a_referrer_hides_neither_it_nor_the_others(folder: Folder, note: bytes) -> None:
    images.push_blobs(folder.client, "app", [images.EMPTY, *CHILD.blobs])
    images.push_manifest(folder.client, "app", CHILD.manifest, "child")
    made = [images.artifact(number, CHILD.manifest, artifact_type="a/b") for number in range(3)]
    for artifact in made:
        images.push_image(folder.client, "app", None, artifact)
    places = [content.digest.partition(":")[2] for content in (CHILD.manifest, made[0].manifest)]
    folder.put(f"app/_manifests/referrers/sha256/{places[0]}/sha256/{places[1]}", note)
    listed = json.loads(folder.client.list_referrers("app", CHILD.digest).body)["manifests"]
    assert {item["digest"] for item in listed} == {artifact.digest for artifact in made}
    assert {item["artifactType"] for item in listed} == {"a/b"}


def test_a_note_of_a_content_type_that_is_none_hides_nothing(folder: Folder) -> None:
    digest = folder.store("app", "odd", Content("", b'{"schemaVersion": 2}').body)
    folder.put(f"app/_manifests/revisions/sha256/{digest[7:]}/contenttype", b"\xff\r\nX: y")
    assert folder.client.get_manifest("app", "odd").headers["Content-Type"] == "application/octet-stream"
