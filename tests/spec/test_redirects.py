"""Blobs that a client fetches from where they lie: GET is answered by the signed URL, and nothing else is.

Source: distribution-spec § Pulling blobs ("a redirect"); GitLab features V2B-001, CFS-005 to CFS-007.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.auth.claims import Meta
from moorage.core.redirects import Redirects
from moorage.oci.names import RepositoryName
from moorage.storage.egress import Egress
from moorage.storage.urls import DriverUrls
from spec.expect import refused
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response, path_of
from support.signing_bucket import BucketServer, SigningBucket
from support.tokens import Issuer

NAME, KEPT_HERE = "group/app", "group/internal/app"


class World:
    """A registry over a bucket that signs, and the bucket's own server."""

    def __init__(
        self, registry: InProcess, bucket: SigningBucket, server: BucketServer, client: RegistryClient
    ) -> None:
        self.registry, self.bucket, self.server, self.client = registry, bucket, server, client

    def follow(self, response: Response, method: str = "GET", **headers: str) -> Response:
        """Ask where the redirect leads, as a client does: with the same headers."""
        assert response.location.startswith(f"http://{self.server.address}/"), response
        with RegistryClient(self.server.address) as there:
            return there.request(method, path_of(response.location), headers=headers)


def is_exception(name: RepositoryName) -> bool:
    return re.search("internal", name.text) is not None


@pytest.fixture(params=["link files", "database"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    bucket = SigningBucket()
    redirects = Redirects(DriverUrls(bucket, expires_s=60), is_exception=is_exception)
    folder = tmp_path if request.param == "database" else None
    with (
        BucketServer(bucket) as server,
        InProcess(folder, storage=bucket, redirects=redirects) as registry,
        RegistryClient(registry.address) as client,
    ):
        yield World(registry, bucket, server, client)


def test_an_image_is_pulled_with_its_blobs_from_the_bucket(world: World) -> None:
    made = images.push_image(world.client, NAME, "1")
    assert world.client.get_manifest(NAME, "1").body == made.manifest.body, "a manifest comes from here"
    for part in made.blobs:
        response = world.client.get_blob(NAME, part.digest)
        assert (response.status, response.body) == (307, b"")
        assert response.headers["Docker-Content-Digest"] == part.digest
        assert response.headers["Content-Length"] == "0"
        assert world.follow(response).body == part.body
    assert {status for _, _, status in world.server.asked} == {200}
    assert not [request for request in world.bucket.requests if request.startswith("open ")], "no bytes came through"


def test_a_url_is_for_one_object_and_for_a_time(world: World) -> None:
    first, second = images.blob("one"), images.blob("two")
    images.push_blobs(world.client, NAME, [first, second])
    response = world.client.get_blob(NAME, first.digest)
    assert "max-age" not in response.headers.get("Cache-Control"), "the URL ends before a cache would forget it"
    assert "no-store" in response.headers["Cache-Control"]
    with RegistryClient(world.server.address) as there:
        stolen = path_of(response.location).replace(first.digest.partition(":")[2], second.digest.partition(":")[2])
        assert there.request("GET", stolen).status == 403


def test_head_is_answered_here_with_all_that_it_tells(world: World) -> None:
    content = images.blob("asked for by HEAD")
    images.push_blobs(world.client, NAME, [content])
    world.bucket.signed.clear()
    response = world.client.head_blob(NAME, content.digest)
    assert (response.status, response.headers["Content-Length"]) == (200, str(len(content.body)))
    assert response.headers["ETag"] == f'"{content.digest}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert "Location" not in response.headers
    assert world.bucket.signed == []
    assert world.follow(world.client.get_blob(NAME, content.digest), "HEAD").status == 403, "which is why"


def test_a_range_is_asked_for_where_the_bytes_are(world: World) -> None:
    content = images.blob("0123456789" * 10)
    images.push_blobs(world.client, NAME, [content])
    for wanted, status, body in (
        ("bytes=0-9", 206, content.body[:10]),
        ("bytes=90-", 206, content.body[90:]),
        ("bytes=9999-", 416, b"InvalidRange"),
    ):
        response = world.client.get_blob(NAME, content.digest, headers={"Range": wanted})
        assert response.status == 307
        there = world.follow(response, Range=wanted)
        assert (there.status, there.body) == (status, body)


def test_a_client_that_has_the_blob_is_told_so_here(world: World) -> None:
    content = images.blob("had already")
    images.push_blobs(world.client, NAME, [content])
    world.bucket.signed.clear()
    for method in ("GET", "HEAD"):
        response = world.client.request(
            method,
            world.client.url(NAME, "blobs", content.digest),
            headers={"If-None-Match": f'"{content.digest}"'},
        )
        assert (response.status, response.headers["ETag"]) == (304, f'"{content.digest}"')
    assert world.bucket.signed == []
    other = world.client.get_blob(NAME, content.digest, headers={"If-None-Match": '"sha256:other"'})
    assert other.status == 307


def test_what_is_not_in_the_repository_is_not_signed(world: World) -> None:
    content = images.blob("elsewhere")
    images.push_blobs(world.client, "group/elsewhere", [content])
    world.bucket.signed.clear()
    refused(world.client.get_blob(NAME, content.digest), 404, ("BLOB_UNKNOWN", "NAME_UNKNOWN"))
    refused(world.client.get_blob(NAME, "sha256:abc"), 400, "DIGEST_INVALID")
    assert world.bucket.signed == []


def test_a_repository_that_is_an_exception_is_served_from_here(world: World) -> None:
    content = images.blob("only from here")
    images.push_blobs(world.client, KEPT_HERE, [content])
    response = world.client.get_blob(KEPT_HERE, content.digest)
    assert (response.status, response.body) == (200, content.body)
    part = world.client.get_blob(KEPT_HERE, content.digest, headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, content.body[:4])
    assert world.bucket.signed == []


def test_an_upload_that_is_closed_twice_signs_nothing(world: World) -> None:
    content = images.blob("closed twice")
    location = world.client.start_upload(NAME).location
    for _ in range(2):
        assert world.client.close_upload(location, content.digest, content.body).status == 201
    assert world.bucket.signed == []


def test_bytes_that_are_gone_count_as_absent_for_head_and_are_told_by_the_bucket_for_get(world: World) -> None:
    content = images.blob("gone")
    images.push_blobs(world.client, NAME, [content])
    world.registry.leave_bytes(content.digest, None)
    assert world.client.head_blob(NAME, content.digest).status == 404
    assert world.follow(world.client.get_blob(NAME, content.digest)).status == 404


def test_the_bill_can_be_read_by_gitlabs_project(tmp_path: Path) -> None:
    """Source: GitLab features DRV-031."""
    bucket, content, issuer = SigningBucket(), images.blob("paid for"), Issuer(tmp_path)
    redirects = Redirects(DriverUrls(bucket, expires_s=60), is_exception=is_exception)
    meta = {NAME: Meta(project_id=12, root_namespace_id=3), "other/app": Meta(project_id=99, root_namespace_id=98)}
    headers = issuer.bearer((NAME, "pull,push"), ("other/app", "pull"), meta=meta, auth_type="gitlab_or_ldap")
    with (
        InProcess(tmp_path, storage=bucket, redirects=redirects, guard=issuer.guard()) as registry,
        RegistryClient(registry.address, headers=headers) as client,
    ):
        images.push_blobs(client, NAME, [content])
        assert client.get_blob(NAME, content.digest).status == 307
    assert bucket.told == [Egress(3, 12, "gitlab_or_ldap", len(content.body))]
