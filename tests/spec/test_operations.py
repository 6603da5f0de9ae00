"""Every path and method of every API: what is possible, what ``Allow`` says of it, and what read-only mode or deleting
switched off take away; and the OpenAPI document, byte for byte.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from moorage.http.app import ApplicationRules
from spec.expect import errors_of
from support.images import missing_digest
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
DIGEST = missing_digest("operations")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
READS = {"GET", "HEAD"}


class Line(NamedTuple):
    """A path, its methods in the order in which ``Allow`` has them, and those of them that delete."""

    path: str
    methods: str
    deletes: str = ""


V2 = (
    Line("/", "GET HEAD"),
    Line("/v2/", "GET HEAD"),
    Line("/v2", "GET HEAD"),
    Line("/v2/_catalog", "GET HEAD"),
    Line(f"/v2/g/app/blobs/{DIGEST}", "GET HEAD DELETE", "DELETE"),
    Line("/v2/g/app/manifests/latest", "GET HEAD PUT DELETE", "DELETE"),
    Line(f"/v2/g/app/manifests/{DIGEST}", "GET HEAD PUT DELETE", "DELETE"),
    Line("/v2/g/app/blobs/uploads/", "POST"),
    Line("/v2/g/app/blobs/uploads/00000000-0000-4000-8000-000000000001", "PATCH PUT GET HEAD DELETE"),
    Line("/v2/g/app/tags/list", "GET HEAD"),
    Line(f"/v2/g/app/referrers/{DIGEST}", "GET HEAD"),
)
GITLAB = (
    Line("/gitlab/v1/", "GET HEAD"),
    Line("/gitlab/v1/repositories/g/app/", "GET HEAD PATCH"),
    Line("/gitlab/v1/repositories/g/app/tags/detail/latest/", "GET HEAD"),
    Line("/gitlab/v1/repositories/g/app/tags/list/", "GET HEAD"),
    Line("/gitlab/v1/repository-paths/g/app/repositories/list/", "GET HEAD"),
    Line("/gitlab/v1/statistics/", "GET HEAD"),
    Line("/gitlab/v1/repositories/g/app", "GET HEAD PATCH"),
    Line("/gitlab/v1", "GET HEAD PATCH"),
)
MOORAGE = (
    Line("/moorage/v1/openapi.json", "GET"),
    Line("/moorage/v1/history?repository=g/app", "GET"),
    Line("/moorage/v1/request?id=x", "GET"),
    Line("/moorage/v1/request/undo?id=x", "POST"),
    Line("/moorage/v1/tag?repository=g/app&tag=latest", "GET"),
    Line("/moorage/v1/tag/undo?repository=g/app&tag=latest", "POST"),
    Line("/moorage/v1/tags/delete?repository=g/app", "POST", "POST"),
    Line("/moorage/v1/gc/status", "GET"),
    Line("/moorage/v1/gc/run", "POST"),
    Line(f"/moorage/v1/gc/explain?repository=g/app&digest={DIGEST}", "GET"),
    Line("/moorage/v1/notifications/status", "GET"),
    Line("/moorage/v1/notifications/list", "GET"),
    Line("/moorage/v1/notifications/event?notification=1", "GET"),
    Line("/moorage/v1/notifications/retry", "POST"),
    Line("/moorage/v1/notifications/drop", "POST"),
    Line("/moorage/v1/background-migrations", "GET"),
    Line("/moorage/v1/adoption", "GET"),
)
STATE = (Line("/moorage/v1/status", "GET"), Line("/moorage/v1/integrity", "GET"))
"""A registry tells of itself without a metadata database too."""
GITLAB_ABSENT = tuple(Line(line.path, "GET HEAD PATCH") for line in GITLAB)
MOORAGE_ABSENT = tuple(
    Line(line.path, "GET HEAD POST PUT PATCH DELETE", "POST PUT PATCH DELETE" if line.deletes else "DELETE")
    for line in MOORAGE
)
"""Without a metadata database there is none of it, which every method says."""

RULES = {
    "everything": ApplicationRules(can_delete=True),
    "no-deletes": ApplicationRules(can_delete=False),
    "read-only": ApplicationRules(read_only=True, can_delete=True),
    "read-only-no-deletes": ApplicationRules(read_only=True, can_delete=False),
}


class Served(NamedTuple):
    client: RegistryClient
    rules: ApplicationRules
    lines: Sequence[Line]


@pytest.fixture(scope="module", params=["database", "link-files"])
def store(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(scope="module", params=sorted(RULES))
def served(request: pytest.FixtureRequest, store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("operations") if store == "database" else None
    apis = (*V2, *STATE, *GITLAB, *MOORAGE) if store == "database" else (*V2, *STATE, *GITLAB_ABSENT, *MOORAGE_ABSENT)
    rules = RULES[request.param]
    with ExitStack() as stack:
        registry = stack.enter_context(InProcess(folder, rules=rules))
        yield Served(stack.enter_context(RegistryClient(registry.address)), rules, apis)


def possible(line: Line, rules: ApplicationRules) -> list[str]:
    """The methods that the rules leave of a path."""
    return [
        method
        for method in line.methods.split()
        if method in READS or not (rules.read_only or (method in line.deletes.split() and not rules.can_delete))
    ]


def reason(response: Response) -> str:
    (error,) = errors_of(response)
    assert error["code"] == "UNSUPPORTED"
    return str(error["message"])


def test_what_a_path_has_not_is_405_with_what_it_has(served: Served) -> None:
    for line in served.lines:
        allowed = possible(line, served.rules)
        for method in METHODS:
            response = served.client.request(method, line.path)
            if method in allowed:
                assert response.status != 405, (method, line)
                continue
            assert response.status == 405, (method, line)
            assert response.headers["Allow"] == ", ".join([*allowed, "OPTIONS"]), (method, line)


def test_what_is_switched_off_says_by_which_key(served: Served, store: str) -> None:
    """Without a database too, but for methods that no path of that API ever has."""
    for line in served.lines:
        ours = set(line.methods.split()) - set(possible(line, served.rules))
        for method in ours - {"HEAD"} - ({"PUT", "PATCH"} if store == "link-files" else set()):
            why = ": deleting is switched off (storage.delete.enabled)"
            if served.rules.read_only:
                why = ": the registry is read-only for maintenance"
            response = served.client.request(method, line.path)
            assert reason(response) == f"{method} is not possible here{why}", (method, line)


def test_what_a_path_never_has_gives_no_other_reason(served: Served) -> None:
    for line in served.lines:
        for method in set(METHODS) - set(line.methods.split()) - {"HEAD"}:
            assert reason(served.client.request(method, line.path)) == f"{method} is not possible here", (method, line)


def test_options_names_deletes_also_where_they_are_switched_off(served: Served) -> None:
    """GitLab looks there for DELETE, and its registry names it whatever `storage.delete.enabled` says."""
    for line in served.lines:
        named = [method for method in line.methods.split() if method in READS or not served.rules.read_only]
        response = served.client.request("OPTIONS", line.path)
        assert (response.status, response.headers["Allow"]) == (200, ", ".join([*named, "OPTIONS"])), line


def test_a_path_of_nobody_has_options_only(served: Served) -> None:
    for path in ("/v3/", "/v2/g/app/other", "/gitlab/v1/other/", "/moorage/v1/other", "/moorage/v1/", "/moorage"):
        response = served.client.request("OPTIONS", path)
        assert (response.status, response.headers["Allow"]) == (200, "OPTIONS"), path
        assert served.client.request("GET", path).status == 404, path


def test_the_openapi_document_is_the_one_of_the_reference(served: Served, store: str) -> None:
    response = served.client.request("GET", "/moorage/v1/openapi.json")
    if store == "link-files":
        assert response.status == 404
        return
    kept = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))
    assert response.headers["Content-Type"] == "application/json"
    assert response.body == json.dumps(kept, separators=(",", ":")).encode()
