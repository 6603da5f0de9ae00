"""Once authentication is configured nothing passes without it: every endpoint and method of the route table."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.config.load import load
from moorage.config.stores import LayoutStore
from moorage.http.app import App
from moorage.http.routes import Endpoint
from moorage.web.connection import ConnectionServer
from moorage.wiring.registry import build
from support.tokens import certificate, pem, rsa_key

REALM = "https://auth.example/token"
AUTH = {
    "token": f"token: {{realm: '{REALM}', service: reg, issuer: me, rootcertbundle: '%s'}}",
    "htpasswd": f"htpasswd: {{realm: '{REALM}', path: '%s'}}",
    "silly": f"silly: {{realm: '{REALM}', service: reg}}",
}
FILES = {"token": pem(certificate(rsa_key())), "htpasswd": b"# nobody\n"}
DIGEST = "sha256:" + "a" * 64
PATHS = {
    Endpoint.ALIVE: "/",
    Endpoint.BASE: "/v2/",
    Endpoint.CATALOGUE: "/v2/_catalog",
    Endpoint.BLOB: f"/v2/g/app/blobs/{DIGEST}",
    Endpoint.MANIFEST: "/v2/g/app/manifests/latest",
    Endpoint.UPLOADS: f"/v2/g/app/blobs/uploads/?mount={DIGEST}&from=other",
    Endpoint.UPLOAD: "/v2/g/app/blobs/uploads/00000000-0000-0000-0000-000000000001",
    Endpoint.TAGS: "/v2/g/app/tags/list",
    Endpoint.REFERRERS: f"/v2/g/app/referrers/{DIGEST}",
    Endpoint.GITLAB_BASE: "/gitlab/v1/",
    Endpoint.GITLAB_REPOSITORY: "/gitlab/v1/repositories/g/app/",
    Endpoint.GITLAB_TAG: "/gitlab/v1/repositories/g/app/tags/detail/latest/",
    Endpoint.GITLAB_TAGS: "/gitlab/v1/repositories/g/app/tags/list/",
    Endpoint.GITLAB_REPOSITORIES: "/gitlab/v1/repository-paths/g/app/repositories/list/",
    Endpoint.GITLAB_STATISTICS: "/gitlab/v1/statistics/",
    Endpoint.GITLAB_UNSLASHED: "/gitlab/v1/repositories/g/app",
    Endpoint.MOORAGE_OPENAPI: "/moorage/v1/openapi.json",
    Endpoint.MOORAGE_HISTORY: "/moorage/v1/history?repository=g/app",
    Endpoint.MOORAGE_REQUEST: "/moorage/v1/request?request=abc",
    Endpoint.MOORAGE_REQUEST_UNDO: "/moorage/v1/request/undo?request=abc",
    Endpoint.MOORAGE_TAG: "/moorage/v1/tag?repository=g/app&tag=latest",
    Endpoint.MOORAGE_TAG_UNDO: "/moorage/v1/tag/undo?repository=g/app&tag=latest",
    Endpoint.MOORAGE_TAGS_DELETE: "/moorage/v1/tags/delete?repository=g/app",
    Endpoint.MOORAGE_GC_STATUS: "/moorage/v1/gc/status",
    Endpoint.MOORAGE_GC_RUN: "/moorage/v1/gc/run",
    Endpoint.MOORAGE_GC_EXPLAIN: "/moorage/v1/gc/explain?repository=g/app&digest=sha256:" + "0" * 64,
}


async def closed(scheme: str, folder: Path) -> App:
    """A registry with authentication, where everything is switched on."""
    auth = AUTH[scheme]
    if scheme in FILES:
        (folder / "file").write_bytes(FILES[scheme])
        auth %= folder / "file"
    storage = "inmemory: {}, delete: {enabled: true}"
    text = f"version: 0.1\nstorage: {{{storage}}}\nauth: {{{auth}}}\nlog: {{accesslog: {{disabled: true}}}}\n"
    registry = await build(load(text, {}).config, LayoutStore(), secret=b"x")
    return registry.app


@pytest.fixture(params=sorted(AUTH))
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[App, tuple[str, int]]]:
    app = await closed(request.param, tmp_path)
    server = ConnectionServer(app)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    yield app, listening.sockets[0].getsockname()
    listening.close()
    await server.shutdown(0)


async def ask(address: tuple[str, int], method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    writer.close()
    status, *headers = head.decode().split("\r\n")
    return int(status.split(" ")[1]), dict(line.split(": ", 1) for line in headers), body


async def test_every_endpoint_and_method_asks_for_credentials(served: tuple[App, tuple[str, int]]) -> None:
    app, address = served
    assert set(PATHS) == {endpoint for endpoint, _ in app.operations} == set(Endpoint)
    for endpoint, method in app.operations:
        status, headers, body = await ask(address, method, PATHS[endpoint])
        if endpoint is Endpoint.ALIVE:
            assert status == 200
            assert body == b""
            continue
        if endpoint is Endpoint.GITLAB_UNSLASHED:
            assert status == 404  # Where there is a database it only leads to the path with a slash.
            continue
        where = f"{method} {PATHS[endpoint]}"
        assert status == 401, where
        assert REALM in headers["WWW-Authenticate"], where
        if PATHS[endpoint].startswith("/v2/"):
            assert headers["Docker-Distribution-API-Version"] == "registry/2.0", where
        if method != "HEAD":
            assert [error["code"] for error in json.loads(body)["errors"]] == ["UNAUTHORIZED"], where


SCOPES: list[tuple[str, Endpoint, str]] = [
    ("GET", Endpoint.CATALOGUE, "registry:catalog:*"),
    ("HEAD", Endpoint.BLOB, "repository:g/app:pull"),
    ("DELETE", Endpoint.BLOB, "repository:g/app:delete"),
    ("GET", Endpoint.MANIFEST, "repository:g/app:pull"),
    ("PUT", Endpoint.MANIFEST, "repository:g/app:pull,push"),
    ("DELETE", Endpoint.MANIFEST, "repository:g/app:delete"),
    ("POST", Endpoint.UPLOADS, "repository:g/app:pull,push repository:other:pull"),
    ("PATCH", Endpoint.UPLOAD, "repository:g/app:pull,push"),
    ("GET", Endpoint.UPLOAD, "repository:g/app:pull,push"),
    ("DELETE", Endpoint.UPLOAD, "repository:g/app:pull,push"),
    ("GET", Endpoint.TAGS, "repository:g/app:pull"),
    ("GET", Endpoint.REFERRERS, "repository:g/app:pull"),
]


@pytest.mark.parametrize("served", ["token"], indirect=True)
@pytest.mark.parametrize(("method", "endpoint", "scope"), SCOPES)
async def test_the_challenge_names_what_the_request_needs(
    method: str, endpoint: Endpoint, scope: str, served: tuple[App, tuple[str, int]]
) -> None:
    _, headers, _ = await ask(served[1], method, PATHS[endpoint])
    assert headers["WWW-Authenticate"] == f'Bearer realm="{REALM}",service="reg",scope="{scope}"'


async def test_a_path_that_is_none_of_ours_says_nothing_of_what_is_here(served: tuple[App, tuple[str, int]]) -> None:
    status, headers, _ = await ask(served[1], "GET", "/v2/g/app/other")
    assert (status, "WWW-Authenticate" in headers) == (404, False)
