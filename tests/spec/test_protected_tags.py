"""Protected and immutable tags, as GitLab's tokens say: over HTTP, on every way that a tag can be changed.

Source: GitLab features V2M-023 to V2M-029.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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


class World:
    """A registry with some tags, and clients whose tokens have patterns."""

    def __init__(self, folder: Path, stack: ExitStack, *, has_database: bool) -> None:
        self._stack = stack
        self.issuer = Issuer(folder)
        place = folder if has_database else None
        self.registry = stack.enter_context(InProcess(place, guard=self.issuer.guard()))
        self.free = self.client(Meta(project_path=NAME))
        for made in (FIRST, SECOND):
            images.push_blobs(self.free, NAME, made.blobs)
        for tag in ("v1", "latest"):
            images.push_manifest(self.free, NAME, FIRST.manifest, tag)

    def client(self, meta: Meta) -> RegistryClient:
        headers = self.issuer.bearer((NAME, "*"), meta={NAME: meta})
        client = RegistryClient(self.registry.address, headers=headers, observe=holds_for_every_response)
        return self._stack.enter_context(client)

    def digest(self, tag: str) -> str | None:
        response = self.free.head_manifest(NAME, tag)
        return response.headers["Docker-Content-Digest"] if response.status == 200 else None

    def post(self, client: RegistryClient, path: str, body: object = None) -> Response:
        content = json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json"}
        return client.request("POST", f"/moorage/v1/{path}", body=content, headers=headers)


@pytest.fixture(params=[True, False], ids=["database", "link files"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=request.param)


@pytest.fixture
def historic(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=True)


def push(client: RegistryClient, made: Image, reference: str, *tags: str, request: str = "") -> Response:
    headers = {"X-Request-Id": request} if request else {}
    return client.put_manifest(
        NAME, reference, made.manifest.body, made.manifest.media_type, tags=tags, headers=headers
    )


def protected(response: Response, reason: str, status: int = 403) -> None:
    """A refusal that no other token would change, so that there is no challenge."""
    assert (response.status, reason_of(response)) == (status, reason), response
    assert "WWW-Authenticate" not in response.headers
    assert errors_of(response)[0]["code"] == ("DENIED" if status == 403 else "UNSUPPORTED")


class TestPush:
    def test_a_protected_tag_is_neither_moved_nor_made(self, world: World) -> None:
        client = world.client(protecting(push=["^v"]))
        for tag in ("v1", "v2"):
            protected(push(client, SECOND, tag), "PROTECTED_TAG")
        assert (world.digest("v1"), world.digest("v2")) == (FIRST.digest, None)
        assert push(client, SECOND, "latest").status == 201

    def test_it_is_refused_before_the_manifest_is_looked_at(self, world: World) -> None:
        client = world.client(protecting(push=["^v"]))
        protected(client.put_manifest(NAME, "v1", b"no manifest"), "PROTECTED_TAG")

    def test_an_immutable_tag_is_made_once(self, world: World) -> None:
        client = world.client(protecting(immutable=["^v"]))
        for made in (SECOND, FIRST):  # Also what it points to already.
            protected(push(client, made, "v1"), "IMMUTABLE_TAG")
        assert push(client, SECOND, "v2").status == 201
        protected(push(client, FIRST, "v2"), "IMMUTABLE_TAG")
        assert (world.digest("v1"), world.digest("v2")) == (FIRST.digest, SECOND.digest)

    def test_of_pushes_of_an_immutable_tag_at_the_same_moment_one_is_taken(self, world: World) -> None:
        made = [images.image(f"at once {number}") for number in range(6)]
        for one in made:
            images.push_blobs(world.free, NAME, one.blobs)
        clients = [world.client(protecting(immutable=["^v"])) for _ in made]
        with ThreadPoolExecutor(len(made)) as threads:
            answers = list(threads.map(push, clients, made, ["v3"] * len(made)))
        taken = [one.digest for one, answer in zip(made, answers, strict=True) if answer.status == 201]
        assert taken == [world.digest("v3")]
        for answer in answers:
            if answer.status != 201:
                protected(answer, "IMMUTABLE_TAG")

    def test_a_push_by_digest_is_free_and_its_tags_are_not(self, world: World) -> None:
        client = world.client(protecting(push=["^p"], immutable=["^v"]))
        protected(push(client, SECOND, SECOND.digest, "new", "p1"), "PROTECTED_TAG")
        protected(push(client, SECOND, SECOND.digest, "new", "v1"), "IMMUTABLE_TAG")
        assert world.digest("new") is None
        assert push(client, SECOND, SECOND.digest, "new").status == 201

    def test_the_patterns_of_another_repository_say_nothing_here(self, world: World) -> None:
        headers = world.issuer.bearer((NAME, "*"), ("other", "*"), meta={"other": protecting(push=[""])})
        with RegistryClient(world.registry.address, headers=headers) as client:
            assert push(client, SECOND, "v1").status == 201

    def test_patterns_that_cannot_be_used_are_refused(self, world: World) -> None:
        wrong = [
            (protecting(push=["("]), "TAG_PROTECTION_PATTERN_INVALID"),
            (protecting(immutable=["("]), "TAG_IMMUTABILITY_PATTERN_INVALID"),
            (protecting(push=["a"] * 101), "TAG_PATTERN_COUNT_LIMIT_EXCEEDED"),
            (protecting(push=["a" * 101]), "TAG_PROTECTION_PATTERN_INVALID"),
            (protecting(push=list("abcdef")), "TAG_PATTERN_COUNT_LIMIT_EXCEEDED"),
        ]
        for meta, reason in wrong:
            protected(push(world.client(meta), SECOND, "v1"), reason, 400)
        assert world.digest("v1") == FIRST.digest


class TestDelete:
    def test_a_protected_or_immutable_tag_stays(self, world: World) -> None:
        protected(world.client(protecting(delete=["^v"])).delete_manifest(NAME, "v1"), "PROTECTED_TAG")
        protected(world.client(protecting(immutable=["^v"])).delete_manifest(NAME, "v1"), "IMMUTABLE_TAG")
        both = world.client(protecting(delete=["^v"], immutable=["^v"]))
        protected(both.delete_manifest(NAME, "v1"), "PROTECTED_TAG")
        assert world.digest("v1") == FIRST.digest
        assert both.delete_manifest(NAME, "latest").status == 202

    @pytest.mark.parametrize("meta", [protecting(delete=["^none$"]), protecting(immutable=["^none$"])])
    def test_content_stays_where_any_tag_may_not_be_deleted(self, world: World, meta: Meta) -> None:
        client = world.client(meta)
        protected(client.delete_manifest(NAME, FIRST.digest), "PROTECTED_MANIFEST")
        protected(client.delete_blob(NAME, FIRST.blobs[0].digest), "PROTECTED_MANIFEST")
        assert world.digest("v1") == FIRST.digest
        assert world.free.head_blob(NAME, FIRST.blobs[0].digest).status == 200

    def test_what_may_only_not_be_pushed_can_be_deleted(self, world: World) -> None:
        client = world.client(protecting(push=[""]))
        assert client.delete_manifest(NAME, "v1").status == 202
        assert client.delete_manifest(NAME, FIRST.digest).status == 202

    def test_a_removal_of_many_leaves_them_and_counts_them(self, historic: World) -> None:
        for tag in ("v2", "w1", "w2"):
            assert push(historic.free, FIRST, tag).status == 201
        client = historic.client(protecting(delete=["^v1$"], immutable=["^v2$"]))
        path = f"tags/delete?repository={NAME}"
        dry = historic.post(client, path, {"matching": ".*", "keep_newest": 1, "dry_run": True}).json()
        done = historic.post(client, path, {"matching": ".*", "keep_newest": 1}).json()
        for found in (dry, done):
            assert (found["deleted"], found["kept"], found["protected"]) == (2, 1, 2)
        assert (historic.digest("v1"), historic.digest("v2")) == (FIRST.digest, FIRST.digest)
        by_name = historic.post(client, path, {"tags": ["v1", "v2", "v2", "nothing"]}).json()
        assert (by_name["deleted"], by_name["protected"], by_name["unknown"]) == (0, 2, 1)

    def test_a_removal_of_many_with_patterns_that_cannot_be_used_removes_nothing(self, historic: World) -> None:
        client = historic.client(protecting(delete=["("]))
        for body in ({"matching": ".*"}, {"tags": ["v1"]}):
            protected(
                historic.post(client, f"tags/delete?repository={NAME}", body), "TAG_PROTECTION_PATTERN_INVALID", 400
            )
        assert historic.digest("v1") == FIRST.digest


class TestUndo:
    """What is taken back may be moved, made again or deleted, so that every rule counts."""

    METAS = (protecting(push=["^v"]), protecting(delete=["^v"]), protecting(immutable=["^v"]))

    @pytest.mark.parametrize("meta", METAS)
    def test_a_protected_tag_is_not_taken_back(self, historic: World, meta: Meta) -> None:
        assert push(historic.free, SECOND, "v1").status == 201
        assert push(historic.free, SECOND, "latest").status == 201
        client = historic.client(meta)
        for body in ({}, {"dry_run": True}, {"to": FIRST.digest}):
            response = historic.post(client, f"tag/undo?repository={NAME}&tag=v1", body)
            assert (response.status, reason_of(response)) in ((403, "PROTECTED_TAG"), (403, "IMMUTABLE_TAG"))
        assert historic.digest("v1") == SECOND.digest
        assert historic.post(client, f"tag/undo?repository={NAME}&tag=latest").status == 200
        assert historic.digest("latest") == FIRST.digest

    @pytest.mark.parametrize("meta", METAS)
    def test_a_request_that_changed_a_protected_tag_is_not_taken_back(self, historic: World, meta: Meta) -> None:
        push(historic.free, SECOND, SECOND.digest, "v1", "latest", request="many")
        push(historic.free, SECOND, "other", request="one")
        client = historic.client(meta)
        for body in ({}, {"partial": True}, {"dry_run": True}):
            response = historic.post(client, f"request/undo?id=many&repository={NAME}", body)
            assert (response.status, reason_of(response)) in ((403, "PROTECTED_TAG"), (403, "IMMUTABLE_TAG"))
        assert (historic.digest("v1"), historic.digest("latest")) == (SECOND.digest, SECOND.digest)
        assert historic.post(client, f"request/undo?id=one&repository={NAME}").status == 200
        assert historic.digest("other") is None

    def test_a_protected_tag_on_a_later_page_of_the_journal_counts_too(self, historic: World) -> None:
        for number in range(11):
            tags = [f"t{number}-{part}" for part in range(100)]
            assert push(historic.free, FIRST, FIRST.digest, *tags, request="pages").status == 201
        client = historic.client(protecting(push=["^t0-0$"]))
        protected(historic.post(client, f"request/undo?id=pages&repository={NAME}"), "PROTECTED_TAG")
        free = historic.post(historic.free, f"request/undo?id=pages&repository={NAME}", {"dry_run": True})
        assert free.json()["counts"] == {"tag": 1100, "manifest": 0, "blob": 0, "repository": 0}

    @pytest.mark.parametrize("meta", METAS[1:])
    def test_a_request_that_pushed_content_is_not_taken_back_where_tags_are_protected(
        self, historic: World, meta: Meta
    ) -> None:
        """A signature of a protected image, say: its manifest could not be deleted either."""
        push(historic.free, SECOND, SECOND.digest, request="content")
        client = historic.client(meta)
        protected(client.delete_manifest(NAME, SECOND.digest), "PROTECTED_MANIFEST")
        for body in ({}, {"dry_run": True}):
            protected(historic.post(client, f"request/undo?id=content&repository={NAME}", body), "PROTECTED_MANIFEST")
        assert historic.free.head_manifest(NAME, SECOND.digest).status == 200
        assert historic.post(historic.free, f"request/undo?id=content&repository={NAME}").status == 200
