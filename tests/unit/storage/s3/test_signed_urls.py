"""Signed URLs: what a client without credentials may do with them."""

import urllib.error
import urllib.request
from urllib.parse import parse_qsl, urlsplit

import pytest

from moorage.storage.egress import Egress
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.s3_client import S3Server
from support.s3_stores import new_driver, seaweed, section_of, versitygw

NAMES = ("/a/plain", "/a/with space", "/a/plus+and=equal&more?x#y", "/a/100%", "/a/\N{EURO SIGN}~")


def fetch(url: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, b""


@pytest.fixture(params=["seaweed", "versitygw"])
def server(request: pytest.FixtureRequest) -> S3Server:
    return seaweed() if request.param == "seaweed" else versitygw()


async def test_an_object_is_fetched_by_its_url_alone(server: S3Server) -> None:
    driver = new_driver(server)
    for name in NAMES:
        await driver.put(name, name.encode())
        url = await driver.url_for(name, expires_s=60)
        assert url is not None
        assert fetch(url) == (200, name.encode())
    await driver.close()


async def test_a_url_is_good_for_nothing_else(server: S3Server) -> None:
    driver = new_driver(server)
    await driver.put("/a", b"a")
    await driver.put("/b", b"b")
    url = await driver.url_for("/a", expires_s=60)
    assert url is not None
    assert fetch(url.replace("/a?", "/b?"))[0] == 403
    assert fetch(url.replace("Expires=60", "Expires=61"))[0] == 403
    assert fetch(url, "DELETE")[0] == 403
    assert await driver.get("/a") == b"a"
    await driver.close()


async def test_a_url_tells_whose_traffic_it_is_and_stays_good(server: S3Server) -> None:
    driver = new_driver(server)
    await driver.put("/a", b"a")
    url = await driver.url_for("/a", expires_s=60, egress=Egress(3, 12, "a b&c+d", 1))
    assert url is not None
    told = {name: value for name, value in parse_qsl(urlsplit(url).query) if name.startswith("x-")}
    assert told == {
        "x-gitlab-auth-type": "a b&c+d",
        "x-gitlab-namespace-id": "3",
        "x-gitlab-project-id": "12",
        "x-gitlab-size-bytes": "1",
    }
    assert fetch(url) == (200, b"a")
    assert fetch(url.replace("project-id=12", "project-id=13"))[0] == 403, "nobody else can be charged"
    await driver.close()


async def test_without_a_project_a_url_is_as_ever(server: S3Server) -> None:
    driver = new_driver(server)
    url = await driver.url_for("/a", expires_s=60, egress=Egress(auth_type="password", size_bytes=1))
    assert url is not None
    assert "x-gitlab" not in url
    await driver.close()


async def test_clients_are_sent_to_where_they_reach_the_service() -> None:
    section = section_of(seaweed(), redirectendpoint="https://images.example.com", rootdirectory="r")
    driver = S3Driver(S3Bucket(section))
    url = await driver.url_for("/a", expires_s=60)
    assert url is not None
    assert url.startswith("https://images.example.com/registry/r/a?X-Amz-Algorithm=")
    await driver.close()
