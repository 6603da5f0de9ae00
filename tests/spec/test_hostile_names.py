"""Names, digests, upload ids, tags and queries that try to leave their place or to take for ever."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from spec.expect import SPECIFIED_CODES, errors_of
from spec.wire import exchange, head
from support import images
from support.daemon import Daemon
from support.registry_client import RegistryClient, Response

PATIENCE_S = 60.0

PARTS: dict[str, bytes] = {
    "climb": b"../../../../etc/passwd",
    "climb-encoded": b"%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "climb-slashes-encoded": b"..%2f..%2f..%2fetc%2fpasswd",
    "climb-twice-encoded": b"%252e%252e%252fetc",
    "climb-backslash": b"..%5c..%5cetc",
    "climb-overlong": b"%c0%ae%c0%ae/etc",
    "dot": b".",
    "dots": b"..",
    "dot-encoded": b"%2e",
    "nul": b"a%00b",
    "newline": b"a%0d%0aX-Injected:%20yes",
    "not-utf8": b"%ff%fe",
    "not-utf8-raw": b"\xff\xfe",
    "not-ascii": "é".encode(),
    "not-ascii-encoded": b"%c3%a9",
    "full-width": quote("\uff0e\uff0e\uff0f").encode(),
    "surrogate": b"%ed%a0%80",
    "half-escape": b"a%2",
    "no-escape": b"a%zz",
    "letters": b"a" * 6000,
    "dashes": b"a-" * 3000,
    "dashes-only": b"a" + b"-" * 6000,
    "underscores": b"a" + b"_" * 6000 + b"!",
    "dots-many": b"a." * 3000,
    "slashes": b"a/" * 3000,
    "semicolon": b"a;b=c",
    "hash": b"a%23b",
    "question": b"a%3fb",
    "markup": b"%3Cscript%3E",
    "format": b"%25s%25n{0}$(id)`id`",
    "private": b"_layers",
}

PLACES = {
    "name-of-manifest": b"/v2/%b/manifests/latest",
    "name-of-blob": b"/v2/%b/blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "name-of-upload": b"/v2/%b/blobs/uploads/",
    "name-of-tags": b"/v2/%b/tags/list",
    "name-of-referrers": b"/v2/%b/referrers/nonsense",
    "reference": b"/v2/hostile/names/manifests/%b",
    "digest-of-manifest": b"/v2/hostile/names/manifests/sha256:%b",
    "digest-of-blob": b"/v2/hostile/names/blobs/sha256:%b",
    "algorithm": b"/v2/hostile/names/blobs/%b:e3b0c442",
    "digest-of-referrers": b"/v2/hostile/names/referrers/sha256:%b",
    "upload-id": b"/v2/hostile/names/blobs/uploads/%b",
}

QUERIES = {
    "digest": "/v2/hostile/names/blobs/uploads/?digest={}",
    "algorithm": "/v2/hostile/names/blobs/uploads/?digest-algorithm={}",
    "mount": "/v2/hostile/names/blobs/uploads/?mount={}&from=hostile/names",
    "from": "/v2/hostile/names/blobs/uploads/?from={}&mount=" + images.EMPTY.digest,
    "n": "/v2/hostile/names/tags/list?n={}",
    "last": "/v2/hostile/names/tags/list?last={}",
    "catalogue-n": "/v2/_catalog?n={}",
    "catalogue-last": "/v2/_catalog?last={}",
    "artifact-type": "/v2/hostile/names/referrers/" + images.EMPTY.digest + "?artifactType={}",
    "state": "/v2/hostile/names/blobs/uploads/00000000-0000-4000-8000-000000000000?_state={}",
}

SERVED = frozenset({200, 202, 301, 308})


@pytest.fixture(autouse=True)
def daemon(shared_daemon: Daemon) -> Iterator[Daemon]:
    """The shared daemon with an image in ``hostile/names``; it survives each test, and its log has no new traceback."""
    before = shared_daemon.log.count("Traceback")
    with RegistryClient(shared_daemon.address, timeout_s=PATIENCE_S) as client:
        if client.head_manifest("hostile/names", "latest").status != 200:
            images.push_image(client, "hostile/names", "latest")
        yield shared_daemon
        client.close()
        assert client.base().status == 200
    assert shared_daemon.log.count("Traceback") == before, shared_daemon.log[-4000:]


def answer(daemon: Daemon, method: str, target: bytes) -> Response | None:
    """Ask, and check what holds for every answer: quick, no 5xx, no injected header, errors of the right form."""
    request = head(method, target, "Content-Length: 2", "Connection: close") + b"{}"
    response = exchange(daemon.address, request, method=method, half_close=True)
    if response is None:
        return None
    assert response.status < 500, response
    assert "X-Injected" not in response.headers
    if response.status >= 400 and response.headers.get("Docker-Distribution-API-Version"):
        assert {error["code"] for error in errors_of(response)} <= SPECIFIED_CODES
    return response


class TestPaths:
    """`<name>` MUST match the following regular expression …; `<tag-or-digest>` MUST NOT be in any other format."""

    @pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
    @pytest.mark.parametrize("place", PLACES)
    def test_what_does_not_match_is_refused(self, daemon: Daemon, place: str, part: bytes) -> None:
        methods = ["POST"] if place == "name-of-upload" else ["GET", "PUT", "PATCH", "DELETE"]
        for method in methods:
            response = answer(daemon, method, PLACES[place] % part)
            # "." and "_layers" are no names, yet "_layers" is a well-formed tag, under which nothing was pushed.
            assert response is None or 400 <= response.status < 500, (method, response)

    def test_nothing_that_exists_is_reached_by_a_detour(self, daemon: Daemon) -> None:
        for target in (
            b"/v2/hostile/other/../names/manifests/latest",
            b"/v2/hostile/names/blobs/../manifests/latest",
            b"/v2/hostile/./names/manifests/latest",
            b"/v2/hostile//names/manifests/latest",
            b"/v2/hostile/names/manifests//latest",
            b"/v2/hostile/names/manifests/latest/",
            b"/v2/hostile/names/manifests/./latest",
            b"/v2/HOSTILE/names/manifests/latest",
            b"/x/../v2/hostile/names/manifests/latest",
            b"/v2/hostile%2f%2e%2e%2fhostile%2fnames/manifests/latest",
        ):
            response = answer(daemon, "GET", target)
            assert response is None or response.status in {301, 308} or 400 <= response.status < 500, target

    @pytest.mark.parametrize("length", [9_000, 70_000, 1_000_000])
    @pytest.mark.parametrize("start", [b"/", b"/v2/", b"/v2/a?n=1&x="], ids=["top", "name", "query"])
    def test_an_overlong_address_is_refused(self, daemon: Daemon, start: bytes, length: int) -> None:
        response = answer(daemon, "GET", start + b"a" * length)
        assert response is None or 400 <= response.status < 500


class TestQueries:
    """Query parameters are parsed as names, digests and numbers are, and refused or taken as plain text."""

    @pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
    @pytest.mark.parametrize("place", QUERIES)
    def test_anything_is_refused_or_a_plain_value(self, daemon: Daemon, place: str, part: bytes) -> None:
        before, after = QUERIES[place].encode().split(b"{}")
        methods = ["POST"] if b"uploads/?" in before else ["GET", "PUT", "PATCH"] if place == "state" else ["GET"]
        for method in methods:
            response = answer(daemon, method, before + part + after)
            assert response is None or response.status in SERVED or 400 <= response.status < 500

    @pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
    def test_a_hostile_tag_parameter_makes_no_tag(self, daemon: Daemon, part: bytes) -> None:
        with RegistryClient(daemon.address) as client:
            manifest = client.get_manifest("hostile/names", "latest").body
            digest = images.digest_of(manifest)
            request = head(
                "PUT",
                b"/v2/hostile/names/manifests/%b?tag=%b" % (digest.encode(), part),
                f"Content-Type: {images.OCI_MANIFEST}",
                f"Content-Length: {len(manifest)}",
            )
            response = exchange(daemon.address, request + manifest, method="PUT")
            assert response is None or response.status == 201 or 400 <= response.status < 500
            tags = client.list_tags("hostile/names").json()["tags"]
            assert isinstance(tags, list)
            # The one well-formed tag among them may have been made; nothing else may.
            assert set(tags) <= {"latest", "_layers"}

    def test_parameters_by_the_ten_thousand_are_refused_or_ignored(self, daemon: Daemon) -> None:
        for target in (b"/v2/_catalog?" + b"&".join(b"n=%d" % n for n in range(1000)), b"/v2/_catalog?" + b"&" * 7000):
            response = answer(daemon, "GET", target)
            assert response is None or response.status in SERVED or 400 <= response.status < 500

    def test_a_parameter_twice_is_refused_or_one_of_them(self, daemon: Daemon) -> None:
        response = answer(daemon, "GET", b"/v2/hostile/names/tags/list?n=1&n=-1&n=a")
        assert response is None or response.status in {200, 400}
