"""§ Determining Support (end-1), headers of every response, HEAD, OPTIONS, slashes, request ids, connections."""

import pytest

from spec.wire import Wire, head
from support import images
from support.daemon import Daemon
from support.registry_client import RegistryClient


class TestDeterminingSupport:
    """If the response is `200 OK`, then the registry implements this specification."""

    def test_v2_answers_an_empty_object(self, registry: RegistryClient) -> None:
        response = registry.base()
        assert (response.status, response.body.strip()) == (200, b"{}")
        assert response.headers["Content-Type"].partition(";")[0] == "application/json"

    def test_v2_without_its_slash_answers_or_leads_there(self, registry: RegistryClient) -> None:
        response = registry.request("GET", "/v2")
        assert response.status in {200, 301, 308}
        if response.status != 200:
            assert response.location.endswith("/v2/")

    def test_gitlab_sees_a_registry_that_can_delete_tags(self, registry: RegistryClient) -> None:
        """GitLab V2A-001."""
        headers = registry.base().headers
        assert headers["Gitlab-Container-Registry-Version"][0].isdigit()
        assert "tag_delete" in headers.tokens("Gitlab-Container-Registry-Features")
        assert headers["Gitlab-Container-Registry-Database-Enabled"] == "true"


class TestVersionHeader:
    """HTP-008: `Docker-Distribution-API-Version: registry/2.0` on all v2 responses; clients of old look for it."""

    def test_it_is_on_every_kind_of_response(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        for response in (
            registry.base(),
            registry.get_blob(repository, pushed.blobs[0].digest),
            registry.head_manifest(repository, "latest"),
            registry.get_manifest(repository, "unknown"),
            registry.list_repositories(),
            registry.request("GET", "/v2/nothing"),
            registry.request("PUT", "/v2/"),
            registry.request("OPTIONS", registry.url(repository, "manifests", "latest")),
        ):
            assert response.headers["Docker-Distribution-API-Version"] == "registry/2.0"


class TestRoot:
    """HTP-003: `GET /`: 200, empty body, `Cache-Control: no-cache`. Load balancers ask there."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_it_is_alive(self, registry: RegistryClient, method: str) -> None:
        response = registry.request(method, "/")
        assert (response.status, response.body) == (200, b"")
        assert response.headers["Cache-Control"] == "no-cache"


class TestRequestID:
    """HTP-002: accepts and propagates `X-Request-Id`, generates one otherwise."""

    def test_the_clients_comes_back(self, registry: RegistryClient) -> None:
        for value in ("abc-123", "01ARZ3NDEKTSV4RRFFQ69G5FAV"):
            response = registry.request("GET", "/v2/", headers={"X-Request-Id": value})
            assert response.headers["X-Request-Id"] == value

    def test_without_one_each_request_gets_its_own(self, registry: RegistryClient) -> None:
        assert len({registry.base().headers["X-Request-Id"] for _ in range(5)}) == 5

    @pytest.mark.parametrize("value", ["", "x" * 5000, "a b<>\"'", "\xff\xfe"], ids=["empty", "long", "odd", "bytes"])
    def test_a_strange_one_does_no_harm(self, registry: RegistryClient, value: str) -> None:
        response = registry.request("GET", "/v2/", headers={"X-Request-Id": value})
        assert response.status in {200, 400}
        assert 0 < len(response.headers["X-Request-Id"]) <= 5000


class TestHead:
    """RFC 9110 § 9.3.2: "The server SHOULD send the same header fields in response to a HEAD request as it would have
    sent if the request method had been GET".
    """

    def test_on_everything_that_can_be_got(self, registry: RegistryClient, repository: str) -> None:
        pushed = images.push_image(registry, repository, "latest")
        upload = registry.start_upload(repository).location
        for target in (
            "/",
            "/v2/",
            "/v2/_catalog",
            "/v2/_catalog?n=1",
            registry.url(repository, "tags", "list"),
            registry.url(repository, "referrers", pushed.digest),
            registry.url(repository, "manifests", "latest"),
            registry.url(repository, "manifests", pushed.digest),
            registry.url(repository, "blobs", pushed.blobs[0].digest),
            upload,
            registry.url(repository, "manifests", "unknown"),
            "/v2/nothing",
        ):
            got, headed = (registry.request(method, target) for method in ("GET", "HEAD"))
            assert headed.status == got.status, target
            for name in ("Content-Type", "Docker-Content-Digest", "ETag", "Range", "Link"):
                assert headed.headers.get(name) == got.headers.get(name), (target, name)
            assert headed.headers.get("Content-Length", str(len(got.body))) == got.headers.get(
                "Content-Length", str(len(got.body))
            ), target


class TestOptions:
    """V2A-009: OPTIONS on manifests answers 200 with Allow that includes DELETE; GitLab looks there for tag deletes."""

    def test_manifests_can_be_deleted(self, registry: RegistryClient, repository: str) -> None:
        for reference in ("latest", images.missing_digest("options")):
            response = registry.request("OPTIONS", registry.url(repository, "manifests", reference))
            assert response.status == 200
            assert {"GET", "HEAD", "PUT", "DELETE"} <= set(response.headers.tokens("Allow"))


class TestSlashes:
    """HTP-006: GitLab redirects between the forms with and without the last slash."""

    def test_a_list_with_a_slash_too_many_answers_leads_there_or_is_404(
        self, registry: RegistryClient, repository: str
    ) -> None:
        images.push_image(registry, repository, "latest")
        for target in (registry.url(repository, "tags", "list", ""), "/v2/_catalog/"):
            response = registry.request("GET", target)
            assert response.status in {200, 301, 308, 404}
            if response.status in {301, 308}:
                assert response.location.endswith(target.rstrip("/"))


class TestConnection:
    """RFC 9112 § 9: persistence and pipelining."""

    def test_it_is_kept_for_many_requests(self, shared_daemon: Daemon) -> None:
        with Wire(shared_daemon.address) as wire:
            for _ in range(20):
                wire.send(head("GET", "/v2/"))
                response = wire.read()
                assert response is not None
                assert response.status == 200

    def test_it_is_kept_after_a_refusal(self, shared_daemon: Daemon, repository: str) -> None:
        with Wire(shared_daemon.address) as wire:
            for target, status in ((f"/v2/{repository}/tags/list", 404), ("/v2/", 200)):
                wire.send(head("GET", target))
                response = wire.read()
                assert response is not None
                assert response.status == status

    def test_it_is_closed_when_the_client_asks(self, shared_daemon: Daemon) -> None:
        with Wire(shared_daemon.address) as wire:
            wire.send(head("GET", "/v2/", "Connection: close"))
            response = wire.read()
            assert response is not None
            assert wire.is_ended()

    def test_pipelined_requests_are_answered_in_order(self, shared_daemon: Daemon, repository: str) -> None:
        targets = ["/v2/", f"/v2/{repository}/tags/list", "/", "/v2/"]
        with Wire(shared_daemon.address) as wire:
            wire.send(b"".join(head("GET", target) for target in targets))
            responses = [wire.read() for _ in targets]
        assert [response and response.status for response in responses] == [200, 404, 200, 200]
