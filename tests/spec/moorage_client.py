"""A client of ``/moorage/v1/`` that pushes what there is to tell of."""

import json
from collections.abc import Mapping
from typing import Any

from support.images import image, push_blobs
from support.registry_client import RegistryClient, Response

REPOSITORY = "group/app"
JSON = {"Content-Type": "application/json"}


class Api(RegistryClient):
    """A client of one registry."""

    def ask(self, path: str, **query: str | int) -> dict[str, Any]:
        """A good answer."""
        response = self.request("GET", target(path, query))
        assert response.status == 200, response
        return response.json()

    def send(
        self, path: str, body: object = None, *, request: str = "", reason: str = "", **query: str | int
    ) -> Response:
        """A POST of JSON, as the request of that id."""
        headers = {**JSON, **({"X-Request-Id": request} if request else {})}
        if reason:
            headers["Moorage-Reason"] = reason
        return self.request("POST", target(path, query), body=json.dumps(body or {}).encode(), headers=headers)

    def done(self, path: str, body: object = None, *, request: str = "", **query: str | int) -> dict[str, Any]:
        """As :meth:`send`, and it was done."""
        response = self.send(path, body, request=request, reason="", **query)
        assert response.status == 200, response
        return response.json()

    def push(self, *tags: str, seed: object = "a", request: str = "", name: str = REPOSITORY) -> str:
        """Push an image under tags; return its digest."""
        made = image(seed)
        push_blobs(self, name, made.blobs)
        for tag in tags:
            headers = {"Content-Type": made.manifest.media_type, **({"X-Request-Id": request} if request else {})}
            response = self.request("PUT", f"/v2/{name}/manifests/{tag}", body=made.manifest.body, headers=headers)
            assert response.status == 201, response
        return made.digest

    def delete(self, reference: str, request: str) -> None:
        headers = {"X-Request-Id": request}
        assert self.request("DELETE", f"/v2/{REPOSITORY}/manifests/{reference}", headers=headers).status == 202

    def tags(self) -> object:
        return self.request("GET", f"/v2/{REPOSITORY}/tags/list").json()["tags"]


def target(path: str, query: Mapping[str, str | int]) -> str:
    return f"/moorage/v1/{path}?" + "&".join(f"{key}={value}" for key, value in query.items())
