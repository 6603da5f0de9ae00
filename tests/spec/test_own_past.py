"""``meta.history_since`` of a token: what was done before then is somebody else's, and is neither told nor undone."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.claims import Meta
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Issuer

NAME = "group/app"
RIGHTS = (NAME, "pull,push,delete")


class Clients:
    """Clients of a registry in which tag ``v1`` was pushed and deleted, each by a request of a known id."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._issuer = Issuer(folder)
        self._registry = stack.enter_context(InProcess(folder, guard=self._issuer.guard()))
        whole = self.told_since(None)
        images.push_image(whole, NAME, "v1")
        gone = whole.request("DELETE", f"/v2/{NAME}/manifests/v1", headers={"X-Request-Id": "gone"})
        assert gone.status == 202

    def told_since(self, moment_s: int | None) -> RegistryClient:
        headers = self._issuer.bearer(RIGHTS, meta={NAME: Meta(project_path=NAME, history_since=moment_s)})
        return self._stack.enter_context(RegistryClient(self._registry.address, headers=headers))


@pytest.fixture
def clients(tmp_path: Path) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(tmp_path, stack)


def read(client: RegistryClient, what: str) -> Response:
    return client.request("GET", f"/moorage/v1/{what}")


def undone(client: RegistryClient, what: str, values: dict[str, object]) -> Response:
    headers = {"Content-Type": "application/json"}
    return client.request("POST", f"/moorage/v1/{what}", body=json.dumps(values).encode(), headers=headers)


def test_what_was_done_before_is_not_told_of(clients: Clients) -> None:
    later, earlier = clients.told_since(int(time.time()) + 60), clients.told_since(1)
    assert read(later, f"history?repository={NAME}").json()["entries"] == []
    assert read(later, f"history?repository={NAME}&since=2020-01-01T00:00:00Z").json()["entries"] == []
    assert read(later, f"request?id=gone&repository={NAME}").status == 404
    tag = read(later, f"tag?repository={NAME}&tag=v1&at=2020-01-01T00:00:00Z").json()
    assert (tag["digest"], tag["changed"]) == (None, None)
    assert read(earlier, f"request?id=gone&repository={NAME}").status == 200
    assert read(earlier, f"tag?repository={NAME}&tag=v1").json()["changed"] is not None
    assert read(earlier, f"history?repository={NAME}").json()["entries"] != []


@pytest.mark.parametrize("target", [{}, {"steps": 1}, {"at": "2020-01-01T00:00:00Z"}])
def test_what_was_taken_away_before_does_not_come_back(clients: Clients, target: dict[str, object]) -> None:
    later = clients.told_since(int(time.time()) + 60)
    undone(later, f"tag/undo?repository={NAME}&tag=v1", target)
    assert undone(later, f"request/undo?id=gone&repository={NAME}", {}).status == 404
    assert later.get_manifest(NAME, "v1").status == 404
    assert undone(clients.told_since(1), f"tag/undo?repository={NAME}&tag=v1", {"steps": 1}).status == 200
    assert later.get_manifest(NAME, "v1").status == 200
