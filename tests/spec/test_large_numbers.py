"""Numbers of callers that no database column could hold: refused or cut, and never a mistake of ours."""

from collections.abc import Iterator

import pytest

from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient

NUMBERS = [str((1 << 63) - 1), str(1 << 63), str(1 << 64), "9" * 400]

QUERIES = [
    "/v2/large/app/tags/list?n={}",
    "/v2/_catalog?n={}",
    "/v2/large/app/referrers/sha256:" + "0" * 64 + "?n={}",
    "/gitlab/v1/repositories/large/app/tags/list/?n={}",
    "/gitlab/v1/repository-paths/large/repositories/list/?n={}",
    "/moorage/v1/history?repository=large/app&n={}",
    "/moorage/v1/history?repository=large/app&last={}",
    "/moorage/v1/request?id=r1&last={}",
]

MOMENTS = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60Z", "9999-12-31T23:59:59-23:59"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryClient]:
    with InProcess(tmp_path_factory.mktemp("large")) as registry, RegistryClient(registry.address) as made:
        images.push_image(made, "large/app", "v1")
        yield made


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("query", QUERIES)
def test_a_number_in_a_query(client: RegistryClient, query: str, number: str) -> None:
    assert client.request("GET", query.format(number)).status in {200, 400, 404}


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("field", ["keep_newest", "limit"])
def test_a_number_in_a_bulk_delete(client: RegistryClient, field: str, number: str) -> None:
    body = f'{{"matching": "none", "{field}": {number}}}'.encode()
    path = "/moorage/v1/tags/delete?repository=large/app"
    response = client.request("POST", path, body=body, headers={"Content-Type": "application/json"})
    assert response.status == (200 if number == NUMBERS[0] else 400), response.body


@pytest.mark.parametrize("number", NUMBERS)
def test_the_number_of_changes_to_take_back(client: RegistryClient, number: str) -> None:
    body = f'{{"steps": {number}}}'.encode()
    path = "/moorage/v1/tag/undo?repository=large/app&tag=v1"
    response = client.request("POST", path, body=body, headers={"Content-Type": "application/json"})
    assert response.status in {400, 404}, response.body


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("field", ["since", "until"])
def test_a_moment_at_the_end_of_time(client: RegistryClient, field: str, moment: str) -> None:
    query = moment.replace("+", "%2B")
    assert client.request("GET", f"/moorage/v1/history?repository=large/app&{field}={query}").status == 200


@pytest.mark.parametrize("number", NUMBERS)
def test_where_a_chunk_begins(client: RegistryClient, number: str) -> None:
    location = client.request("POST", "/v2/large/app/blobs/uploads/").headers["Location"]
    headers = {"Content-Range": f"{number}-{number}", "Content-Type": "application/octet-stream"}
    assert client.request("PATCH", location, body=b"x", headers=headers).status in {400, 416}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_range_of_a_blob(client: RegistryClient, number: str) -> None:
    content = images.blob("range")
    client.push_blob("large/app", content.body, content.digest)
    found = client.get_blob("large/app", content.digest, headers={"Range": f"bytes=0-{number}"})
    assert found.status in {200, 206}
    assert found.body == content.body
