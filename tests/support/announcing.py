"""Announcers for tests, and what they have told."""

import json
from collections.abc import Sequence

from moorage.metadata.base import Cause
from moorage.notifications.events import Announcer, Audience, Listener, Notice, Occasion
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

REQUEST = {"id": "r1", "addr": "192.0.2.1:1234", "host": "registry.example.com", "method": "PUT", "useragent": "test"}


def announcer(*listeners: Listener, includes_references: bool = False, tells: list[Notice] | None = None) -> Announcer:
    """An announcer to *listeners*; without any, to one that wants all."""

    def tell(notices: Sequence[Notice]) -> None:
        if tells is not None:
            tells.extend(notices)

    audience = Audience(
        listeners=listeners or (Listener(name="told"),),
        source={"addr": "node:5000", "instanceID": "i1"},
        includes_references=includes_references,
        hears_blob_pulls=True,
        storage="filesystem",
        tell=tell,
    )
    return Announcer(audience, occasion())


def occasion() -> Occasion:
    """A request by Ada."""
    return Occasion(request=REQUEST, actor={"name": "ada"}, blob_url=_url("blobs"), manifest_url=_url("manifests"))


def told_cause(*listeners: Listener) -> Cause:
    """A cause that is told of."""
    return Cause(actor="ada", request_id="r1", announcer=announcer(*listeners))


def target(notice_payload: str | None) -> dict[str, object]:
    """The target of an event."""
    assert notice_payload is not None
    found = json.loads(notice_payload)["target"]
    assert isinstance(found, dict)
    return found


class _url:  # noqa: N801 - called like the function that it stands for
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, name: RepositoryName, digest: Digest) -> str:
        return f"https://registry.example.com/v2/{name}/{self.kind}/{digest}"
