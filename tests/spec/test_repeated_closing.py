"""A closing PUT whose answer was lost is sent again; and a chunk that is out of order in two ways."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spec.expect import holds_for_every_response, refused
from spec.wire import Wire, head
from support import images
from support.in_process import InProcess
from support.registry_client import OCTETS, RegistryClient, path_of, with_query
from support.tokens import Issuer

NAME = "group/app"
UNKNOWN = {"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"}
BLOB = images.blob("closed twice", 2000)


@dataclass(frozen=True)
class Served:
    address: str
    issuer: Issuer

    def client(self, name: str = NAME, actions: str = "pull,push") -> RegistryClient:
        headers = self.issuer.bearer((name, actions))
        return RegistryClient(self.address, headers=headers, observe=holds_for_every_response)


@pytest.fixture(scope="module", params=["sqlite", "layout"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    folder: Path | None = tmp_path_factory.mktemp("registry") if request.param == "sqlite" else None
    with InProcess(folder, guard=issuer.guard()) as registry:
        yield Served(registry.address, issuer)


@pytest.fixture
def closed(served: Served) -> str:
    """The target of a closing PUT that has been answered."""
    with served.client() as client:
        location = client.patch_upload(client.start_upload(NAME).location, BLOB.body[:1000]).location
        assert client.close_upload(location, BLOB.digest, BLOB.body[1000:]).status == 201
        return with_query(path_of(location), digest=BLOB.digest)


@pytest.mark.parametrize("body", [b"", BLOB.body[1000:], BLOB.body], ids=["nothing", "its end", "all of it"])
def test_it_is_201_again(served: Served, closed: str, body: bytes) -> None:
    with served.client() as client:
        for _ in range(2):
            response = client.request("PUT", closed, body=body)
            assert (response.status, response.headers["Docker-Content-Digest"]) == (201, BLOB.digest)
            assert client.request("GET", response.location).body == BLOB.body


def test_other_bytes_are_not_taken_for_the_blob(served: Served, closed: str) -> None:
    with served.client() as client:
        refused(client.request("PUT", closed, body=b"x" * len(BLOB.body)), 400, "DIGEST_INVALID")
        refused(client.request("PUT", closed, body=BLOB.body + b"x"), 400, "DIGEST_INVALID")
        assert client.get_blob(NAME, BLOB.digest).body == BLOB.body


@pytest.mark.parametrize("framing", ["Content-Length: 999999999999", "Transfer-Encoding: chunked"])
def test_a_body_without_end_is_refused_before_its_end(served: Served, closed: str, framing: str) -> None:
    (credentials,) = served.issuer.bearer((NAME, "pull,push")).values()
    with Wire(served.address) as wire:
        wire.send(head("PUT", closed, f"Authorization: {credentials}", framing))
        wire.send(b"800000\r\n" + bytes(8 << 20))
        response = wire.read()
    assert response is not None
    refused(response, 400, "DIGEST_INVALID")


def test_without_the_right_to_push_it_is_401(served: Served, closed: str) -> None:
    with served.client(actions="pull") as client:
        refused(client.request("PUT", closed), 401, "UNAUTHORIZED")
    with RegistryClient(served.address) as client:
        refused(client.request("PUT", closed), 401, "UNAUTHORIZED")


@pytest.mark.usefixtures("closed")
def test_what_only_another_repository_has_is_404(served: Served) -> None:
    with served.client("group/other") as client:
        location = path_of(client.start_upload("group/other").location)
        assert client.cancel_upload(location).status == 204
        for body in (b"", BLOB.body):
            refused(client.request("PUT", with_query(location, digest=BLOB.digest), body=body), 404, UNKNOWN)
        refused(client.get_blob("group/other", BLOB.digest), 404)


def test_what_was_deleted_since_is_404(served: Served, closed: str) -> None:
    with served.client(actions="delete") as client:
        assert client.delete_blob(NAME, BLOB.digest).status == 202
    with served.client() as client:
        refused(client.request("PUT", closed), 404, UNKNOWN)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("said", ["0-5", "500-2000", "1001-1001", "5000-9999"])
def test_a_chunk_out_of_order_and_of_another_length_is_told_how_to_go_on(
    served: Served, method: str, said: str
) -> None:
    with served.client() as client:
        location = client.patch_upload(client.start_upload(NAME).location, BLOB.body[:1000]).location
        target = with_query(location, digest=BLOB.digest) if method == "PUT" else location
        headers = {"Content-Range": said, "Content-Type": OCTETS}
        response = client.request(method, target, body=BLOB.body[1000:], headers=headers)
        refused(response, 416, "BLOB_UPLOAD_INVALID")
        assert response.headers["Range"] == "0-999"
        assert client.close_upload(response.location, BLOB.digest, BLOB.body[1000:], start=1000).status == 201
