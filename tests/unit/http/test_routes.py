import pytest

from moorage.errors import NameInvalid
from moorage.http.endpoints import Route
from moorage.http.urls import Urls
from moorage.http.v2 import v2_routes as routes
from moorage.http.v2.v2_routes import match
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

DIGEST = "sha256:" + "a" * 64
NAME = RepositoryName("g/app")


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("", Route(routes.ALIVE)),
        ("v2", Route(routes.BASE)),
        ("v2/", Route(routes.BASE)),
        ("v2/_catalog", Route(routes.CATALOGUE)),
        (f"v2/g/app/blobs/{DIGEST}", Route(routes.BLOB, NAME, DIGEST)),
        ("v2/g/app/blobs/sha256%3Aab", Route(routes.BLOB, NAME, "sha256:ab")),
        ("v2/g/app/manifests/latest", Route(routes.MANIFEST, NAME, "latest")),
        ("v2/g/app/blobs/uploads/", Route(routes.UPLOADS, NAME)),
        ("v2/g/app/blobs/uploads", Route(routes.UPLOADS, NAME)),
        ("v2/g/app/blobs/uploads/x", Route(routes.UPLOAD, NAME, "x")),
        ("v2/g/app/tags/list", Route(routes.TAGS, NAME)),
        (f"v2/g/app/referrers/{DIGEST}", Route(routes.REFERRERS, NAME, DIGEST)),
        ("v2/manifests/manifests/tags/list", Route(routes.TAGS, RepositoryName("manifests/manifests"))),
        ("v2/a/blobs/uploads/manifests/x", Route(routes.MANIFEST, RepositoryName("a/blobs/uploads"), "x")),
    ],
)
def test_a_path_is_read_from_its_end(path: str, route: Route) -> None:
    assert match(path) == route


@pytest.mark.parametrize(
    "path", ["x", "v1/", "v2/x", "v2/a/b", "v2/a/tags", "v2/a/tags/other", "v2/a/manifests/b/c", "v2//"]
)
def test_other_paths_are_none_of_ours(path: str) -> None:
    assert match(path) is None


@pytest.mark.parametrize(("name", "is_odd"), [("a/b", False), ("Team/app", True), ("a..b/-c", True)])
def test_a_name_that_another_registry_may_have_left_is_told_from_those_of_today(name: str, *, is_odd: bool) -> None:
    route = match(f"v2/{name}/tags/list")
    assert route is not None
    assert (route.name, route.is_odd) == (RepositoryName(name), is_odd)


@pytest.mark.parametrize(
    "path",
    [
        "v2/manifests/x",
        "v2/A b/tags/list",
        "v2/_a/tags/list",
        "v2/../tags/list",
        "v2/a/%2e%2e/b/tags/list",
        "v2/a%00/tags/list",
    ],
)
def test_a_hostile_name_is_refused_as_a_name(path: str) -> None:
    with pytest.raises(NameInvalid):
        match(path)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "r:5000"}, "http://r:5000/"),
        ({"Host": "r", "X-Forwarded-Proto": "https"}, "https://r/"),
        ({"Host": "r", "X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "out:5050, in"}, "https://out:5050/"),
        ({"Host": "r", "Forwarded": 'proto=https;host="out:1", for=x'}, "https://out:1/"),
        ({"Host": "r", "X-Forwarded-Proto": "javascript"}, "/"),
        ({"Host": "a b"}, "/"),
        ({}, "/"),
    ],
)
def test_locations_are_built_from_what_the_proxy_says(headers: dict[str, str], expected: str) -> None:
    digest = Digest.of(b"")
    assert Urls().blob(headers, "http", NAME, digest) == f"{expected}v2/g/app/blobs/{digest}"


def test_the_configured_host_wins_and_relative_wins_over_it() -> None:
    headers = {"Host": "r", "X-Forwarded-Host": "evil"}
    assert (
        Urls(host="https://reg.example:5050/")
        .upload(headers, "http", NAME, "u")
        .startswith("https://reg.example:5050/v2/")
    )
    assert (
        Urls(host="https://x", relative=True, prefix="/p/")
        .manifest(headers, "http", NAME, Digest.of(b""))
        .startswith("/p/v2/")
    )
