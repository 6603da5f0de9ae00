"""Writes of tags on a condition: made only where there is none, deleted only as it was seen.

Source: RFC 9110 § 13.1.1 and § 13.1.2; docs/adr/0181.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.claims import Meta
from spec.expect import errors_of, holds_for_every_response, reason_of
from support import images
from support.images import Image
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Issuer, protecting

NAME = "group/app"
FIRST, SECOND = images.image("first"), images.image("second")
NEW = {"If-None-Match": "*"}


class World:
    """A registry with one tag, and clients of it."""

    def __init__(self, folder: Path, stack: ExitStack, *, has_database: bool) -> None:
        self._stack = stack
        self._issuer = Issuer(folder)
        self._registry = stack.enter_context(InProcess(folder if has_database else None, guard=self._issuer.guard()))
        self.client = self.client_of(Meta(project_path=NAME))
        for made in (FIRST, SECOND):
            images.push_blobs(self.client, NAME, made.blobs)
        images.push_manifest(self.client, NAME, FIRST.manifest, "v1")

    def client_of(self, meta: Meta) -> RegistryClient:
        headers = self._issuer.bearer((NAME, "*"), meta={NAME: meta})
        client = RegistryClient(self._registry.address, headers=headers, observe=holds_for_every_response)
        return self._stack.enter_context(client)

    def put(self, made: Image, reference: str, *tags: str, client: RegistryClient | None = None) -> Response:
        content = made.manifest
        sender = client or self.client
        return sender.put_manifest(NAME, reference, content.body, content.media_type, tags=tags, headers=NEW)

    def delete(self, reference: str, seen: str) -> Response:
        target = self.client.url(NAME, "manifests", reference)
        return self.client.request("DELETE", target, headers={"If-Match": seen})


@pytest.fixture(params=[True, False], ids=["database", "link files"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=request.param)


def changed(response: Response) -> None:
    assert (response.status, reason_of(response)) == (412, "TAG_CHANGED"), response
    assert errors_of(response)[0]["code"] == "DENIED"


def digest_of(world: World, tag: str) -> str:
    return world.client.head_manifest(NAME, tag).headers["Docker-Content-Digest"]


def test_a_tag_that_has_to_be_new_is_made_where_there_is_none(world: World) -> None:
    changed(world.put(SECOND, "v1"))
    changed(world.put(FIRST, "v1"))
    changed(world.put(SECOND, SECOND.digest, "v2", "v1"))
    assert digest_of(world, "v1") == FIRST.digest
    assert world.client.head_manifest(NAME, "v2").status == 404
    assert world.put(SECOND, "v2").status == 201
    assert digest_of(world, "v2") == SECOND.digest


def test_an_immutable_tag_is_refused_as_one(world: World) -> None:
    client = world.client_of(protecting(immutable=["^v"]))
    assert reason_of(world.put(SECOND, "v1", client=client)) == "IMMUTABLE_TAG"


def test_a_tag_is_deleted_only_as_it_was_seen(world: World) -> None:
    changed(world.delete("v1", f'"{SECOND.digest}"'))
    assert digest_of(world, "v1") == FIRST.digest
    etag = world.client.head_manifest(NAME, "v1").headers["ETag"]
    assert world.delete("v1", etag).status == 202
    assert world.client.head_manifest(NAME, "v1").status == 404
    assert world.delete("v1", etag).status == 404


def test_any_tag_will_do_where_the_condition_is_a_star_and_nonsense_is_refused(world: World) -> None:
    refused = world.delete("v1", '"v1"')
    assert (refused.status, errors_of(refused)[0]["code"]) == (400, "UNSUPPORTED")
    assert "one digest in quotes" in str(errors_of(refused)[0]["message"])
    assert world.delete("v1", "*").status == 202
