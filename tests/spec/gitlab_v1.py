"""A registry with GitLab's API in this process, filled over HTTP; moments are set beside it."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from moorage.auth.guards import Guard
from moorage.http.app import ApplicationRules
from moorage.sql.base import microseconds
from spec.expect import errors_of, holds_for_every_response
from support import images
from support.in_process import InProcess
from support.registry_client import Headers, RegistryClient, Response

START = datetime(2023, 2, 1, 0, 0, 1, 500_999, tzinfo=UTC)

Parameters = str | int


class GitLab:
    """``with GitLab(folder) as gitlab:`` asks for paths below ``/gitlab/v1/``. *folder* None: without a database."""

    def __init__(
        self, folder: Path | None, *, rules: ApplicationRules | None = None, guard: Guard | None = None
    ) -> None:
        self.registry = InProcess(folder, rules=rules, guard=guard)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.registry)
        self.client = self._stack.enter_context(
            RegistryClient(self.registry.address, observe=holds_for_every_response if self.registry.path else None)
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def get(self, path: str, **parameters: Parameters) -> Response:
        return self.client.request("GET", url(path, parameters))

    def json(self, path: str, **parameters: Parameters) -> Any:  # noqa: ANN401 - whatever the answer is
        """The answer to a request that goes well."""
        response = self.get(path, **parameters)
        assert response.status == 200, (path, parameters, response)
        assert response.headers["Content-Type"] == "application/json"
        return json.loads(response.body)

    def rename(self, name: str, body: object, **parameters: Parameters) -> Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        target = url(f"repositories/{name}/", parameters)
        return self.client.request("PATCH", target, body=content, headers={"Content-Type": "application/json"})

    def push(self, repository: str, *tags: str, seed: object = "") -> images.Image:
        """Push an image, by each of *tags*."""
        made = images.image((repository, seed))
        images.push_blobs(self.client, repository, made.blobs)
        for tag in tags or (None,):
            images.push_manifest(self.client, repository, made.manifest, tag)
        return made

    def set_moments(self, repository: str, tag: str, created: float, updated: float | None = None) -> None:
        """When a tag was created and moved, in seconds after :data:`START`."""
        moments = [START + timedelta(seconds=second) for second in (created, created if updated is None else updated)]
        first, last = (microseconds(moment) for moment in moments)
        self.registry.execute(
            "UPDATE tags SET created_at = ?, updated_at = ?, published_at = ? "
            "WHERE name = ? AND repository_id = (SELECT id FROM repositories WHERE path = ?)",
            *(first, None if updated is None else last, max(first, last), tag, repository),
        )


def url(path: str, parameters: Mapping[str, Parameters]) -> str:
    """A path of the API with its query."""
    return f"/gitlab/v1/{path}{'?' if parameters else ''}{urlencode(parameters)}"


def refusal(response: Response) -> tuple[int, str, Any]:
    """The status, the code and the detail of a refusal."""
    (error,) = errors_of(response)
    assert isinstance(error["code"], str)
    return response.status, error["code"], error.get("detail")


def link_of(headers: Headers) -> dict[str, str]:
    """Where the ``Link`` of a page leads, by relation; both in one header line."""
    found = {}
    if "Link" in headers:
        for item in headers["Link"].split(", "):
            target, _, relation = item.partition("; ")
            assert target[0] + target[-1] == "<>", item
            found[relation.removeprefix('rel="').removesuffix('"')] = target[1:-1]
    return found
