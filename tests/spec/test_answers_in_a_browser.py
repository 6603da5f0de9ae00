"""What a browser is given: no answer runs in it (ADR 0028), and a preflight is answered on every path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from moorage.http.app import ApplicationRules
from moorage.http.urls import Urls
from spec.conftest import Configured
from spec.wire import exchange, head
from support import images
from support.in_process import InProcess
from support.ports import free_port
from support.registry_client import Headers, RegistryClient
from support.token_server import TokenServer
from support.tokens import Issuer

NAME = "group/app"
IMAGE = images.image("browser")
PATHS = (
    "/",
    "/v2/",
    "/v2/_catalog",
    f"/v2/{NAME}/manifests/latest",
    f"/v2/{NAME}/manifests/{IMAGE.digest}",
    f"/v2/{NAME}/manifests/missing",
    f"/v2/{NAME}/blobs/{IMAGE.blobs[0].digest}",
    f"/v2/{NAME}/blobs/{images.missing_digest('browser')}",
    f"/v2/{NAME}/blobs/uploads/",
    f"/v2/{NAME}/blobs/uploads/00000000-0000-4000-8000-000000000000",
    f"/v2/{NAME}/tags/list",
    f"/v2/{NAME}/tags/list/",
    f"/v2/{NAME}/referrers/{IMAGE.digest}",
    "/v2/UPPER/tags/list",
    "/v2/missing/tags/list",
    "/v2/nothing",
    "/gitlab/v1/",
    f"/gitlab/v1/repositories/{NAME}/",
    f"/gitlab/v1/repositories/{NAME}/tags/list/",
    "/gitlab/v1/nothing",
    f"/moorage/v1/history?repository={NAME}",
    "/moorage/v1/gc/status",
    "/moorage/v1/status",
    "/moorage/v1/notifications/status",
    "/moorage/v1/openapi.json",
    "/moorage/v1/nothing",
    "/nothing",
    "/favicon.ico",
)
MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "unknown version": b"GET /v2/ HTTP/9.9\r\nHost: a\r\n\r\n",
    "two lengths": head("PUT", "/v2/", "Content-Length: 1", "Content-Length: 2") + b"xx",
    "bad header": head("GET", "/v2/", "<script>: x"),
    "bad host": head("GET", "/v2/", host="<script>"),
    "large header": head("GET", "/v2/", "X: " + "x" * 70_000),
    "many headers": head("GET", "/v2/", *(f"X-{number}: x" for number in range(200))),
    "bad chunk": head("PUT", f"/v2/{NAME}/manifests/x", "Transfer-Encoding: chunked") + b"zz\r\n",
}
ALLOWS = {
    "Access-Control-Allow-Origin": "https://ui.example",
    "Access-Control-Allow-Methods": "GET, HEAD, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Accept",
}
ASKS = {
    "Origin": "https://ui.example",
    "Access-Control-Request-Method": "DELETE",
    "Access-Control-Request-Headers": "authorization",
}


def is_safe(headers: Headers) -> bool:
    return headers.all("Content-Security-Policy") == ["sandbox"] and headers.all("X-Content-Type-Options") == [
        "nosniff"
    ]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with InProcess(tmp_path_factory.mktemp("registry")) as registry:
        with RegistryClient(registry.address) as client:
            images.push_image(client, NAME, "latest", IMAGE)
        yield registry


class TestSandbox:
    """No page in our origin runs what a stranger has pushed, or had us repeat."""

    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
    def test_every_answer_of_the_registry_has_it(self, opened: InProcess, method: str) -> None:
        left_alone = {f"/v2/{NAME}/manifests/latest", f"/v2/{NAME}/manifests/{IMAGE.digest}"}
        with RegistryClient(opened.address) as client:
            for path in PATHS:
                if method != "DELETE" or not (path in left_alone or path.startswith("/gitlab")):
                    response = client.request(method, path)
                    assert is_safe(response.headers), (path, response)

    def test_a_blob_sent_from_a_file_and_its_parts_have_it(self, configured: Configured) -> None:
        blob = images.blob("large", 3_000_000)
        with RegistryClient(configured().address) as client:
            client.push_blob(NAME, blob.body, blob.digest)
            for asked, status in (
                (None, 200),
                ("bytes=5-", 206),
                ("bytes=1-2,5-2000000", 206),
                ("bytes=9999999-", 416),
            ):
                response = client.get_blob(NAME, blob.digest, headers={"Range": asked} if asked else {})
                assert (response.status, is_safe(response.headers)) == (status, True)

    @pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
    def test_what_is_no_http_is_answered_with_it(self, opened: InProcess, sent: bytes) -> None:
        response = exchange(opened.address, sent)
        assert response is not None
        assert (400 <= response.status < 500, is_safe(response.headers)) == (True, True), response

    def test_the_debug_server_has_it(self, configured: Configured) -> None:
        debug = f"127.0.0.1:{free_port()}"
        configured(f"http: {{debug: {{addr: '{debug}', prometheus: {{enabled: true}}}}}}")
        for method, path, status in (
            ("GET", "/debug/health", 200),
            ("HEAD", "/debug/health", 200),
            ("GET", "/metrics", 200),
            ("GET", "/nothing", 404),
            ("POST", "/debug/health", 404),
        ):
            response = exchange(debug, head(method, path), method=method)
            assert response is not None
            assert (response.status, is_safe(response.headers)) == (status, True), path
        response = exchange(debug, MALFORMED["no HTTP"])
        assert response is not None
        assert is_safe(response.headers)

    def test_the_token_server_has_it(self, tmp_path: Path) -> None:
        with TokenServer(tmp_path, {"rules": []}, {"ada": "x"}) as server:
            for method, path in (
                ("GET", "/token?service=registry.test"),
                ("GET", "/token?scope=<script>"),
                ("OPTIONS", "/token"),
                ("POST", "/token"),
                ("DELETE", "/token"),
                ("GET", "/"),
                ("GET", "/nothing"),
            ):
                response = exchange(server.address, head(method, path, "Content-Length: 0"))
                assert response is not None
                assert is_safe(response.headers), (method, path)
            response = exchange(server.address, MALFORMED["no HTTP"])
            assert response is not None
            assert is_safe(response.headers)


Preflighted = tuple[RegistryClient, str, Issuer]


@pytest.fixture(
    scope="module", params=[("/", True), ("/reg/", True), ("/", False)], ids=["sql", "below a prefix", "layout"]
)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preflighted]:
    prefix, has_database = request.param
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    folder = tmp_path_factory.mktemp("registry") if has_database else None
    rules = ApplicationRules(can_delete=True, headers=ALLOWS)
    with (
        InProcess(folder, rules=rules, guard=issuer.guard(), urls=Urls(prefix=prefix)) as registry,
        RegistryClient(registry.address) as client,
    ):
        with RegistryClient(registry.address, prefix=prefix, headers=issuer.bearer((NAME, "pull,push"))) as pusher:
            images.push_image(pusher, NAME, "latest", IMAGE)
        yield client, prefix, issuer


class TestPreflight:
    """A browser asks by OPTIONS, without credentials, whether a page elsewhere may ask (Fetch § CORS-preflight)."""

    @pytest.mark.parametrize("kind", ["none", "good", "useless", "broken"])
    def test_every_path_answers_with_what_is_configured(self, served: Preflighted, kind: str) -> None:
        client, prefix, issuer = served
        credentials = {
            "none": {},
            "good": issuer.bearer((NAME, "*")),
            "useless": issuer.bearer(("other", "pull")),
            "broken": {"Authorization": "Bearer x.y.z"},
        }[kind]
        for path in (*PATHS, "//v2//", "/v2/_catalog/", "/%2F/v2/"):
            response = client.request(
                "OPTIONS", prefix.rstrip("/") + path, headers={**ASKS, **credentials}, raw_target=True
            )
            assert response.status == 200, path
            assert {name: response.headers.all(name) for name in ALLOWS} == {
                name: [value] for name, value in ALLOWS.items()
            }, path
            assert "WWW-Authenticate" not in response.headers

    def test_so_does_the_server_as_a_whole(self, served: Preflighted) -> None:
        response = served[0].request("OPTIONS", "*", headers=ASKS, raw_target=True)
        assert (response.status, response.headers.get("Access-Control-Allow-Origin")) == (200, "https://ui.example")

    def test_the_request_that_follows_can_be_read_whatever_its_answer(self, served: Preflighted) -> None:
        client, prefix, issuer = served
        for credentials in ({}, issuer.bearer((NAME, "*"))):
            for path in PATHS:
                response = client.request("GET", prefix.rstrip("/") + path, headers={**ASKS, **credentials})
                assert response.headers.all("Access-Control-Allow-Origin") == ["https://ui.example"], path
