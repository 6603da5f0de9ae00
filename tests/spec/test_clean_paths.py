"""HTP-006: a path with a slash too many leads to the right one, and never to another host."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import pytest

from moorage.http.urls import Urls
from spec.wire import exchange, head
from support.in_process import InProcess
from support.registry_client import Response


@pytest.fixture(scope="module", params=["/", "/reg/"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The address of a registry, and its prefix."""
    with InProcess(None, urls=Urls(prefix=request.param)) as registry:
        yield registry.address, request.param


def ask(served: tuple[str, str], target: str, method: str = "GET") -> Response | None:
    address, _ = served
    return exchange(address, head(method, target.encode("latin-1"), "Content-Length: 0"), method=method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ("/v2//", "v2/"),
        ("v2//_catalog", "v2/_catalog"),
        ("v2/_catalog/", "v2/_catalog"),
        ("v2/_catalog//?n=2&last=a%2Fb//c", "v2/_catalog?n=2&last=a%2Fb//c"),
        ("v2/a//b/tags/list/?n=1?x", "v2/a/b/tags/list?n=1?x"),
        ("/v2//a/manifests//latest", "v2/a/manifests/latest"),
    ],
)
def test_it_is_301_with_the_query(served: tuple[str, str], asked: str, right: str, method: str) -> None:
    response = ask(served, served[1] + asked, method)
    assert response is not None
    assert (response.status, response.location) == (301, served[1] + right)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["v2//_catalog", "v2/a//b/blobs/uploads/", "v2/a/manifests//latest"])
def test_other_methods_are_not_led_on(served: tuple[str, str], path: str, method: str) -> None:
    response = ask(served, served[1] + path, method)
    assert response is not None
    assert response.status in {400, 404, 405}
    assert "Location" not in response.headers


HOSTILE = (
    "//evil.example/..",
    "//evil.example/v2/",
    "//evil.example//v2//_catalog",
    "///evil.example/%2e%2e/v2/",
    "/\\evil.example/v2/",
    "/\\/evil.example//v2/",
    "\\\\evil.example/v2//",
    "http://evil.example//v2//_catalog",
    "http:////evil.example//v2//",
    "{}/v2/",
    "{}/v2//evil.example/",
    "{}v2//evil.example/tags/list",
    "{}v2//@evil.example/tags/list/",
    "{}v2///\\evil.example/tags/list",
    "{}%2F%2Fevil.example//v2/",
    "{}%2Fv2//_catalog",
    "{}%5Cevil.example//v2/_catalog",
    "{}v2%2F%2F_catalog/",
    "{}%76%32//_catalog/",
    "{}%76%32%2F/_catalog/",
    "{}v2/a%2F%2Fb//tags/list",
    "{}v2/%0d%0aLocation:%20http:%2F%2Fevil.example//tags/list",
    "{}v2//_catalog?%0d%0aLocation:%20//evil.example",
    "{}v2//_catalog?\rLocation://evil.example",
    "{}v2//\xff/tags/list",
    "{}v2//_catalog#//evil.example",
)


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_path_leads_to_another_host(served: tuple[str, str], target: str, method: str) -> None:
    address, prefix = served
    response = ask(served, target.format(prefix), method)
    assert response is not None
    assert response.status < 500
    location = response.headers.get("Location")
    # As browsers read it: they take a backslash for a slash, and pass over line breaks and tabs.
    seen = location.replace("\\", "/").translate(dict.fromkeys(map(ord, "\r\n\t")))
    assert urlsplit(urljoin(f"http://{address}/", seen)).netloc == address, location
    assert location in {"", "/"} or (response.status == 301 and location.startswith((prefix, "/?"))), location
    assert location.isprintable()
