"""Requests on a condition: tags made only where there is none, moved and deleted only as they were seen.

Source: RFC 9110 § 13.1.1 and § 13.1.2; docs/adr/0181 and docs/adr/0190.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.claims import Meta
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
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
        self.registry = stack.enter_context(InProcess(folder if has_database else None, guard=self._issuer.guard()))
        self.client = self.client_of(Meta(project_path=NAME))
        for made in (FIRST, SECOND):
            images.push_blobs(self.client, NAME, made.blobs)
        images.push_manifest(self.client, NAME, FIRST.manifest, "v1")

    def client_of(self, meta: Meta) -> RegistryClient:
        headers = self._issuer.bearer((NAME, "*"), meta={NAME: meta})
        client = RegistryClient(self.registry.address, headers=headers, observe=holds_for_every_response)
        return self._stack.enter_context(client)

    def put(
        self,
        made: Image,
        reference: str,
        *tags: str,
        client: RegistryClient | None = None,
        on: Mapping[str, str] = NEW,
    ) -> Response:
        content = made.manifest
        sender = client or self.client
        return sender.put_manifest(NAME, reference, content.body, content.media_type, tags=tags, headers=dict(on))

    def ask(self, method: str, kind: str, reference: str, **condition: str) -> Response:
        """A request with the condition ``if_match`` or ``if_none_match``."""
        headers = {name.replace("_", "-"): value for name, value in condition.items()}
        return self.client.request(method, self.client.url(NAME, kind, reference), headers=headers)

    def delete(self, reference: str, seen: str) -> Response:
        return self.ask("DELETE", "manifests", reference, if_match=seen)


@pytest.fixture(params=[True, False], ids=["database", "link files"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=request.param)


def changed(response: Response) -> None:
    assert (response.status, reason_of(response)) == (412, "TAG_CHANGED"), response
    assert errors_of(response)[0]["code"] == "DENIED"


def other(response: Response) -> None:
    assert (response.status, reason_of(response)) == (412, "CONDITION_FAILED"), response


def seen(*made: Image) -> dict[str, str]:
    return {"If-Match": ", ".join(f'"{each.digest}"' for each in made)}


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
    assert "digests in quotes" in str(errors_of(refused)[0]["message"])
    assert world.delete("v1", "*").status == 202


def test_a_tag_is_moved_only_from_where_it_was_seen(world: World) -> None:
    changed(world.put(SECOND, "v1", on=seen(SECOND)))
    assert digest_of(world, "v1") == FIRST.digest
    assert world.put(SECOND, "v1", on=seen(FIRST)).status == 201
    changed(world.put(FIRST, "v1", on=seen(FIRST)))
    assert world.put(FIRST, "v1", on=seen(FIRST, SECOND)).status == 201
    assert digest_of(world, "v1") == FIRST.digest


def test_a_push_on_the_condition_that_there_is_something_makes_no_tag(world: World) -> None:
    for condition in ({"If-Match": "*"}, seen(FIRST)):
        refused = world.put(SECOND, "v2", on=condition)
        changed(refused)
        assert "there is no tag" in str(errors_of(refused)[0]["message"])
    assert world.client.head_manifest(NAME, "v2").status == 404
    assert world.put(SECOND, "v1", on={"If-Match": "*"}).status == 201


def test_a_tag_whose_manifest_is_gone_is_not_deleted_as_another_one(tmp_path: Path) -> None:
    """What cannot be pulled is not there for a condition either; without one it can be removed."""
    with ExitStack() as stack:
        world = World(tmp_path, stack, has_database=False)
        world.registry.put(paths.tag_link(RepositoryName(NAME), Tag("v1")), str(Digest.of(b"gone")).encode())
        for seen_there in (f'"{FIRST.digest}"', f'W/"{FIRST.digest}"'):
            assert world.delete("v1", seen_there).status == 404
        assert world.client.request("DELETE", world.client.url(NAME, "manifests", "v1")).status == 202


def test_all_tags_of_a_push_have_to_be_as_they_were_seen(world: World) -> None:
    images.push_manifest(world.client, NAME, SECOND.manifest, "v2")
    changed(world.put(SECOND, SECOND.digest, "v1", "v2", on=seen(FIRST)))
    assert digest_of(world, "v1") == FIRST.digest
    assert world.put(SECOND, SECOND.digest, "v1", "v2", on=seen(FIRST, SECOND)).status == 201
    assert digest_of(world, "v1") == SECOND.digest


def test_a_push_that_would_change_nothing_is_refused_if_it_says_so(world: World) -> None:
    unlike = {"If-None-Match": f'W/"{SECOND.digest}"'}
    assert world.put(SECOND, "v1", on=unlike).status == 201
    refused = world.put(SECOND, "v1", on=unlike)
    changed(refused)
    assert f"points to {SECOND.digest}" in str(errors_of(refused)[0]["message"])
    assert world.put(FIRST, "v2", on={"If-None-Match": '"of-another-registry"'}).status == 201


def test_a_push_without_tags_has_its_condition_on_the_manifest(world: World) -> None:
    other(world.put(FIRST, FIRST.digest))
    other(world.put(SECOND, SECOND.digest, on=seen(SECOND)))
    assert world.put(SECOND, SECOND.digest).status == 201
    assert world.put(SECOND, SECOND.digest, on=seen(SECOND)).status == 201
    other(world.put(SECOND, SECOND.digest, on=seen(FIRST)))


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_what_a_digest_names_is_given_and_deleted_only_as_it_was_seen(world: World, kind: str) -> None:
    digest = FIRST.digest if kind == "manifests" else FIRST.blobs[1].digest
    right, wrong = f'"{digest}"', f'"{SECOND.digest}"'
    for method in ("GET", "DELETE"):
        other(world.ask(method, kind, digest, if_match=wrong))
        other(world.ask(method, kind, digest, if_match=f"W/{right}"))
        assert world.ask(method, kind, str(Digest.of(b"never")), if_match=wrong).status == 404
    assert world.ask("HEAD", kind, digest, if_match=wrong).status == 412
    assert world.ask("GET", kind, digest, if_match=f"{wrong} , {right}").status == 200
    assert world.ask("HEAD", kind, digest, if_match="*").status == 200
    if kind == "blobs":
        world.ask("DELETE", "manifests", FIRST.digest)
    assert world.ask("DELETE", kind, digest, if_match=right).status == 202


def test_a_tag_is_pulled_only_as_it_was_seen(world: World) -> None:
    assert world.ask("GET", "manifests", "v1", if_match=f'"{FIRST.digest}"').body == FIRST.manifest.body
    other(world.ask("GET", "manifests", "v1", if_match='"of-another-registry"'))
    assert world.ask("GET", "manifests", "v1", if_match="*", if_none_match=f'"{FIRST.digest}"').status == 304


def test_a_condition_that_is_too_long_is_refused_and_nothing_is_written(world: World) -> None:
    refused = world.put(SECOND, "v1", on=seen(*[FIRST] * 200))
    assert (refused.status, errors_of(refused)[0]["code"]) == (400, "UNSUPPORTED")
    assert digest_of(world, "v1") == FIRST.digest
