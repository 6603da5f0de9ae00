"""Once authentication is configured nothing passes without it: every endpoint and method of the route table."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from moorage.config.load import load
from moorage.http.app import App
from moorage.web.connection import ConnectionServer
from moorage.wiring.registry import build
from moorage.wiring.stores import LayoutStore
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
    "/": "/",
    "/v2/": "/v2/",
    "/v2/_catalog": "/v2/_catalog",
    "/v2/<name>/blobs/<digest>": f"/v2/g/app/blobs/{DIGEST}",
    "/v2/<name>/manifests/<reference>": "/v2/g/app/manifests/latest",
    "/v2/<name>/blobs/uploads/": f"/v2/g/app/blobs/uploads/?mount={DIGEST}&from=other",
    "/v2/<name>/blobs/uploads/<id>": "/v2/g/app/blobs/uploads/00000000-0000-0000-0000-000000000001",
    "/v2/<name>/tags/list": "/v2/g/app/tags/list",
    "/v2/<name>/referrers/<digest>": f"/v2/g/app/referrers/{DIGEST}",
    "/gitlab/v1/": "/gitlab/v1/",
    "/gitlab/v1/repositories/<name>/": "/gitlab/v1/repositories/g/app/",
    "/gitlab/v1/repositories/<name>/tags/detail/<tag>/": "/gitlab/v1/repositories/g/app/tags/detail/latest/",
    "/gitlab/v1/repositories/<name>/tags/list/": "/gitlab/v1/repositories/g/app/tags/list/",
    "/gitlab/v1/repository-paths/<name>/repositories/list/": "/gitlab/v1/repository-paths/g/app/repositories/list/",
    "/gitlab/v1/statistics/": "/gitlab/v1/statistics/",
    "/gitlab/v1/…": "/gitlab/v1/repositories/g/app",
    "/moorage/v1/openapi.json": "/moorage/v1/openapi.json",
    "/moorage/v1/history": "/moorage/v1/history?repository=g/app",
    "/moorage/v1/request": "/moorage/v1/request?request=abc",
    "/moorage/v1/request/undo": "/moorage/v1/request/undo?request=abc",
    "/moorage/v1/tag": "/moorage/v1/tag?repository=g/app&tag=latest",
    "/moorage/v1/tag/undo": "/moorage/v1/tag/undo?repository=g/app&tag=latest",
    "/moorage/v1/tags/delete": "/moorage/v1/tags/delete?repository=g/app",
    "/moorage/v1/gc/status": "/moorage/v1/gc/status",
    "/moorage/v1/gc/run": "/moorage/v1/gc/run",
    "/moorage/v1/notifications/status": "/moorage/v1/notifications/status",
    "/moorage/v1/notifications/list": "/moorage/v1/notifications/list",
    "/moorage/v1/notifications/event": "/moorage/v1/notifications/event?notification=1",
    "/moorage/v1/notifications/retry": "/moorage/v1/notifications/retry",
    "/moorage/v1/notifications/drop": "/moorage/v1/notifications/drop",
    "/moorage/v1/status": "/moorage/v1/status",
    "/moorage/v1/integrity": "/moorage/v1/integrity",
    "/moorage/v1/background-migrations": "/moorage/v1/background-migrations",
    "/moorage/v1/adoption": "/moorage/v1/adoption",
    "/moorage/v1/gc/explain": "/moorage/v1/gc/explain?repository=g/app&digest=sha256:" + "0" * 64,
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
    assert set(PATHS) == {path for path, _ in app.operations}
    for path, method in app.operations:
        status, headers, body = await ask(address, method, PATHS[path])
        if path == "/":
            assert status == 200
            assert body == b""
            continue
        if path == "/gitlab/v1/…":
            assert status == 404  # Where there is a database it only leads to the path with a slash.
            continue
        where = f"{method} {PATHS[path]}"
        assert status == 401, where
        assert REALM in headers["WWW-Authenticate"], where
        if path.startswith("/v2/"):
            assert headers["Docker-Distribution-API-Version"] == "registry/2.0", where
        if method != "HEAD":
            assert [error["code"] for error in json.loads(body)["errors"]] == ["UNAUTHORIZED"], where


SCOPES: list[tuple[str, str, str]] = [
    ("GET", "/v2/_catalog", "registry:catalog:*"),
    ("HEAD", "/v2/<name>/blobs/<digest>", "repository:g/app:pull"),
    ("DELETE", "/v2/<name>/blobs/<digest>", "repository:g/app:delete"),
    ("GET", "/v2/<name>/manifests/<reference>", "repository:g/app:pull"),
    ("PUT", "/v2/<name>/manifests/<reference>", "repository:g/app:pull,push"),
    ("DELETE", "/v2/<name>/manifests/<reference>", "repository:g/app:delete"),
    ("POST", "/v2/<name>/blobs/uploads/", "repository:g/app:pull,push repository:other:pull"),
    ("PATCH", "/v2/<name>/blobs/uploads/<id>", "repository:g/app:pull,push"),
    ("GET", "/v2/<name>/blobs/uploads/<id>", "repository:g/app:pull,push"),
    ("DELETE", "/v2/<name>/blobs/uploads/<id>", "repository:g/app:pull,push"),
    ("GET", "/v2/<name>/tags/list", "repository:g/app:pull"),
    ("GET", "/v2/<name>/referrers/<digest>", "repository:g/app:pull"),
]


@pytest.mark.parametrize("served", ["token"], indirect=True)
@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
async def test_the_challenge_names_what_the_request_needs(
    method: str, path: str, scope: str, served: tuple[App, tuple[str, int]]
) -> None:
    _, headers, _ = await ask(served[1], method, PATHS[path])
    assert headers["WWW-Authenticate"] == f'Bearer realm="{REALM}",service="reg",scope="{scope}"'


async def test_a_path_that_is_none_of_ours_says_nothing_of_what_is_here(served: tuple[App, tuple[str, int]]) -> None:
    status, headers, _ = await ask(served[1], "GET", "/v2/g/app/other")
    assert (status, "WWW-Authenticate" in headers) == (404, False)
