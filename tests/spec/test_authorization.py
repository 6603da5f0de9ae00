"""Every route and method of the registry, with every kind of credentials: who gets in, and what the others are told."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from spec.expect import errors_of, holds_for_every_response
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import REALM, SERVICE, Access, Issuer

NAME, OTHER, SOURCE = "group/app", "group/other", "group/source"
IMAGE = images.image("authorization")
DIGEST = IMAGE.digest
ABSENT = images.missing_digest("authorization")
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Line:
    """A request, and what it needs: scopes as a challenge has them, None for nothing at all."""

    target: str
    needs: tuple[str, ...] | None
    optional: tuple[str, ...] = ()
    body: bytes = b""

    @property
    def scope(self) -> str:
        return " ".join([*(self.needs or ()), *self.optional])


PULL, PUSH, DELETE = (f"repository:{NAME}:{actions}" for actions in ("pull", "pull,push", "delete"))
ALL = f"repository:{NAME}:pull,push,delete"
BELOW = f"repository:{NAME}/*:pull"
CATALOGUE = ("registry:catalog:*",)
BLOB = f"/v2/{NAME}/blobs/{ABSENT}"
MANIFEST = f"/v2/{NAME}/manifests/nothing"
UPLOAD = f"/v2/{NAME}/blobs/uploads/00000000-0000-0000-0000-000000000001"
V1 = "/gitlab/v1"
M1 = "/moorage/v1"

TABLE: dict[tuple[str, str], list[Line]] = {
    ("/", "GET"): [Line("/", None)],
    ("/", "HEAD"): [Line("/", None)],
    ("/v2/", "GET"): [Line("/v2/", ())],
    ("/v2/", "HEAD"): [Line("/v2/", ())],
    ("/v2/_catalog", "GET"): [Line("/v2/_catalog", CATALOGUE)],
    ("/v2/_catalog", "HEAD"): [Line("/v2/_catalog", CATALOGUE)],
    ("/v2/<name>/blobs/<digest>", "GET"): [Line(BLOB, (PULL,))],
    ("/v2/<name>/blobs/<digest>", "HEAD"): [Line(BLOB, (PULL,))],
    ("/v2/<name>/blobs/<digest>", "DELETE"): [Line(BLOB, (DELETE,))],
    ("/v2/<name>/manifests/<reference>", "GET"): [Line(MANIFEST, (PULL,))],
    ("/v2/<name>/manifests/<reference>", "HEAD"): [Line(MANIFEST, (PULL,))],
    ("/v2/<name>/manifests/<reference>", "PUT"): [Line(MANIFEST, (PUSH,), body=b"{}")],
    ("/v2/<name>/manifests/<reference>", "DELETE"): [Line(MANIFEST, (DELETE,))],
    ("/v2/<name>/blobs/uploads/", "POST"): [
        Line(f"/v2/{NAME}/blobs/uploads/", (PUSH,)),
        Line(f"/v2/{NAME}/blobs/uploads/?mount={ABSENT}", (PUSH,)),
        Line(f"/v2/{NAME}/blobs/uploads/?mount={ABSENT}&from={NAME}", (PUSH,)),
        Line(f"/v2/{NAME}/blobs/uploads/?mount={ABSENT}&from={SOURCE}", (PUSH,), (f"repository:{SOURCE}:pull",)),
    ],
    ("/v2/<name>/blobs/uploads/<id>", "GET"): [Line(UPLOAD, (PUSH,))],
    ("/v2/<name>/blobs/uploads/<id>", "HEAD"): [Line(UPLOAD, (PUSH,))],
    ("/v2/<name>/blobs/uploads/<id>", "PATCH"): [Line(UPLOAD, (PUSH,))],
    ("/v2/<name>/blobs/uploads/<id>", "PUT"): [Line(f"{UPLOAD}?digest={ABSENT}", (PUSH,))],
    ("/v2/<name>/blobs/uploads/<id>", "DELETE"): [Line(UPLOAD, (PUSH,))],
    ("/v2/<name>/tags/list", "GET"): [Line(f"/v2/{NAME}/tags/list", (PULL,))],
    ("/v2/<name>/tags/list", "HEAD"): [Line(f"/v2/{NAME}/tags/list", (PULL,))],
    ("/v2/<name>/referrers/<digest>", "GET"): [Line(f"/v2/{NAME}/referrers/{ABSENT}", (PULL,))],
    ("/v2/<name>/referrers/<digest>", "HEAD"): [Line(f"/v2/{NAME}/referrers/{ABSENT}", (PULL,))],
    ("/gitlab/v1/", "GET"): [Line(f"{V1}/", ())],
    ("/gitlab/v1/", "HEAD"): [Line(f"{V1}/", ())],
    ("/gitlab/v1/repositories/<name>/", "GET"): [
        Line(f"{V1}/repositories/{NAME}/", (PULL,)),
        Line(f"{V1}/repositories/{NAME}/?size=self_with_descendants", (PULL, BELOW)),
    ],
    ("/gitlab/v1/repositories/<name>/", "HEAD"): [Line(f"{V1}/repositories/{NAME}/", (PULL,))],
    ("/gitlab/v1/repositories/<name>/", "PATCH"): [Line(f"{V1}/repositories/{NAME}/", (PUSH, BELOW), body=b"{}")],
    ("/gitlab/v1/repositories/<name>/tags/detail/<tag>/", "GET"): [
        Line(f"{V1}/repositories/{NAME}/tags/detail/nothing/", (PULL,))
    ],
    ("/gitlab/v1/repositories/<name>/tags/detail/<tag>/", "HEAD"): [
        Line(f"{V1}/repositories/{NAME}/tags/detail/nothing/", (PULL,))
    ],
    ("/gitlab/v1/repositories/<name>/tags/list/", "GET"): [Line(f"{V1}/repositories/{NAME}/tags/list/", (PULL,))],
    ("/gitlab/v1/repositories/<name>/tags/list/", "HEAD"): [Line(f"{V1}/repositories/{NAME}/tags/list/", (PULL,))],
    ("/gitlab/v1/repository-paths/<name>/repositories/list/", "GET"): [
        Line(f"{V1}/repository-paths/{NAME}/repositories/list/", (PULL, BELOW))
    ],
    ("/gitlab/v1/repository-paths/<name>/repositories/list/", "HEAD"): [
        Line(f"{V1}/repository-paths/{NAME}/repositories/list/", (PULL, BELOW))
    ],
    ("/gitlab/v1/statistics/", "GET"): [Line(f"{V1}/statistics/", ("registry:statistics:*",))],
    ("/gitlab/v1/statistics/", "HEAD"): [Line(f"{V1}/statistics/", ("registry:statistics:*",))],
    ("/gitlab/v1/…", "GET"): [Line(f"{V1}/repositories/{NAME}", None)],
    ("/gitlab/v1/…", "HEAD"): [Line(f"{V1}/repositories/{NAME}", None)],
    ("/gitlab/v1/…", "PATCH"): [Line(f"{V1}/repositories/{NAME}", None, body=b"{}")],
    ("/moorage/v1/openapi.json", "GET"): [Line(f"{M1}/openapi.json", ())],
    ("/moorage/v1/history", "GET"): [Line(f"{M1}/history?repository={NAME}", (PULL,))],
    ("/moorage/v1/request", "GET"): [
        Line(f"{M1}/request?id=nothing", ()),
        Line(f"{M1}/request?id=nothing&repository={NAME}", (PULL,)),
    ],
    ("/moorage/v1/request/undo", "POST"): [
        Line(f"{M1}/request/undo?id=nothing", (), body=b"{}"),
        Line(f"{M1}/request/undo?id=nothing&repository={NAME}", (ALL,), body=b"{}"),
    ],
    ("/moorage/v1/tag", "GET"): [Line(f"{M1}/tag?repository={NAME}&tag=nothing", (PULL,))],
    ("/moorage/v1/tag/undo", "POST"): [Line(f"{M1}/tag/undo?repository={NAME}&tag=nothing", (ALL,), body=b"{}")],
    ("/moorage/v1/tags/delete", "POST"): [
        Line(f"{M1}/tags/delete?repository={NAME}", (DELETE,), body=b'{"tags": ["nothing"]}')
    ],
    ("/moorage/v1/gc/status", "GET"): [Line(f"{M1}/gc/status", CATALOGUE)],
    ("/moorage/v1/gc/run", "POST"): [Line(f"{M1}/gc/run", CATALOGUE, body=b"{}")],
    ("/moorage/v1/gc/explain", "GET"): [Line(f"{M1}/gc/explain?repository={NAME}&digest={ABSENT}", (PULL,))],
    ("/moorage/v1/notifications/status", "GET"): [Line(f"{M1}/notifications/status", CATALOGUE)],
    ("/moorage/v1/notifications/list", "GET"): [Line(f"{M1}/notifications/list", CATALOGUE)],
    ("/moorage/v1/notifications/event", "GET"): [Line(f"{M1}/notifications/event?notification=1", CATALOGUE)],
    ("/moorage/v1/notifications/retry", "POST"): [Line(f"{M1}/notifications/retry", CATALOGUE, body=b"{}")],
    ("/moorage/v1/notifications/drop", "POST"): [
        Line(f"{M1}/notifications/drop", CATALOGUE, body=b'{"endpoint": "nothing"}')
    ],
    ("/moorage/v1/status", "GET"): [Line(f"{M1}/status", CATALOGUE)],
    ("/moorage/v1/integrity", "GET"): [Line(f"{M1}/integrity", CATALOGUE)],
    ("/moorage/v1/background-migrations", "GET"): [Line(f"{M1}/background-migrations", CATALOGUE)],
    ("/moorage/v1/adoption", "GET"): [Line(f"{M1}/adoption", CATALOGUE)],
}

TOKENS: dict[str, tuple[Access, ...]] = {
    "nothing": (),
    "other repository": ((OTHER, "*"), (SOURCE, "*")),
    "neighbours": (("group", "*"), (f"{NAME}2", "*"), (f"{NAME}/sub", "*"), ("*", "*"), ("group/*", "*")),
    "below": ((f"{NAME}/*", "pull"),),
    "pull": ((NAME, "pull"),),
    "pull and below": ((NAME, "pull"), (f"{NAME}/*", "pull")),
    "push alone": ((NAME, "push"),),
    "push": ((NAME, "pull,push"), (f"{NAME}/*", "pull")),
    "delete": ((NAME, "delete"),),
    "all": ((NAME, "pull,push,delete"), (f"{NAME}/*", "pull,push")),
    "star": ((NAME, "*"), (f"{NAME}/*", "*")),
    "catalogue": (("registry:catalog", "*"),),
    "catalogue, to pull only": (("registry:catalog", "pull"),),
    "statistics": (("registry:statistics", "*"),),
    "a repository named as the catalogue": (("catalog", "*"), ("statistics", "*")),
    "admin": ((NAME, "*"), (f"{NAME}/*", "*"), ("registry:catalog", "*"), ("registry:statistics", "*")),
    "unknown words": (("registry:" + NAME, "*"), ("plugin:" + NAME, "*"), (NAME, "admin,PULL,pull ,all")),
}


@dataclass(frozen=True, slots=True)
class Served:
    registry: InProcess
    client: RegistryClient
    issuer: Issuer

    def ask(self, method: str, line: Line, headers: dict[str, str]) -> Response:
        sent = {**JSON, **headers}
        return self.client.request(method, line.target, body=line.body, headers=sent)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    issuer = Issuer(tmp_path_factory.mktemp("issuer"))
    with (
        InProcess(tmp_path_factory.mktemp("registry"), guard=issuer.guard()) as registry,
        RegistryClient(registry.address, observe=holds_for_every_response) as client,
    ):
        with RegistryClient(registry.address, headers=issuer.bearer((NAME, "pull,push"))) as pusher:
            images.push_blobs(pusher, NAME, IMAGE.blobs)
            images.push_manifest(pusher, NAME, IMAGE.manifest, "latest")
        yield Served(registry, client, issuer)


def test_the_table_names_every_endpoint_and_method(served: Served) -> None:
    assert set(TABLE) == set(served.registry.app.operations)


def granted(access: tuple[Access, ...], needs: tuple[str, ...]) -> bool:
    """Whether a token with *access* covers *needs*: said here once more, in another way than the registry says it."""
    has = {
        f"{name if ':' in name else 'repository:' + name}:{action}"
        for name, actions in access
        for action in actions.split(",")
    }
    for need in needs:
        thing, _, actions = need.rpartition(":")
        if f"{thing}:*" not in has and any(f"{thing}:{action}" not in has for action in actions.split(",")):
            return False
    return True


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize(("path", "method"), TABLE)
def test_a_token_opens_what_it_is_for_and_nothing_else(path: str, method: str, kind: str, served: Served) -> None:
    for line in TABLE[path, method]:
        response = served.ask(method, line, served.issuer.bearer(*TOKENS[kind]))
        if line.needs is None or granted(TOKENS[kind], line.needs):
            assert response.status != 401, (line, response)
        else:
            refused(response, method, line, error="insufficient_scope")


NO_TOKENS = ("none", "empty", "no scheme", "basic")
BAD_TOKENS = ("garbage", "forged", "expired", "not yet", "other issuer", "other service")


def wrong(issuer: Issuer) -> dict[str, str]:
    """Values of ``Authorization`` that would open everything if they were good."""

    def bearer(**said: object) -> str:
        return issuer.bearer(*TOKENS["admin"], **said)["Authorization"]

    return {
        "empty": "",
        "no scheme": issuer.token(*TOKENS["admin"]),
        "basic": f"Basic {base64.b64encode(b'ada:secret').decode()}",
        "garbage": "Bearer x.y.z",
        "forged": f"{bearer()[:-8]}AAAAAAAA",
        "expired": bearer(lifetime_s=-62),
        "not yet": bearer(nbf=2**33, exp=2**33 + 300),
        "other issuer": bearer(iss="another"),
        "other service": bearer(aud="another"),
    }


@pytest.mark.parametrize("kind", [*NO_TOKENS, *BAD_TOKENS])
@pytest.mark.parametrize(("path", "method"), TABLE)
def test_wrong_credentials_open_nothing(path: str, method: str, kind: str, served: Served) -> None:
    sent = {} if kind == "none" else {"Authorization": wrong(served.issuer)[kind]}
    for line in TABLE[path, method]:
        response = served.ask(method, line, sent)
        if line.needs is None:
            assert response.status in (200, 301), (line, response)
        else:
            refused(response, method, line, error="invalid_token" if kind in BAD_TOKENS else "")


def refused(response: Response, method: str, line: Line, *, error: str) -> None:
    """Check a 401: its challenge is complete, and its body says what is needed."""
    assert response.status == 401, (line, response)
    header = response.headers["WWW-Authenticate"]
    expected = f'Bearer realm="{REALM}",service="{SERVICE}"'
    expected += f',scope="{line.scope}"' if line.scope else ""
    if error:
        assert header.startswith(f'{expected},error="{error}",error_description="'), header
    else:
        assert header == expected, line
    if method == "HEAD":
        return
    (body,) = errors_of(response)
    assert body["code"] == "UNAUTHORIZED"
    needed = [need.rpartition(":") for need in (*(line.needs or ()), *line.optional)]
    assert json.loads(response.body)["errors"][0].get("detail", {}).get("access", []) == [
        {"Type": thing.partition(":")[0], "Class": "", "Name": thing.partition(":")[2], "Action": action}
        for thing, _, actions in needed
        for action in actions.split(",")
    ]


@pytest.mark.parametrize("kind", [None, *TOKENS])
def test_everybody_is_told_what_can_be_done(kind: str | None, served: Served) -> None:
    sent = {} if kind is None else served.issuer.bearer(*TOKENS[kind])
    for lines in TABLE.values():
        for line in lines:
            response = served.client.request("OPTIONS", line.target, headers=sent)
            assert response.status == 200, line
            assert "OPTIONS" in response.headers.tokens("Allow"), line
    response = served.client.request("OPTIONS", "/v2/name/manifests/tag", headers=sent)
    assert (response.status, "DELETE" in response.headers.tokens("Allow")) == (200, True)
