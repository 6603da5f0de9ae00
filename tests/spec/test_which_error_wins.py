"""The error that is told where two apply: a client acts on it, so that no move of a rule may change it.

Malformed requests first, then what the credentials forbid, whether the thing is there or not, then what comes in the
body, and last what is there. Source: ADR 0049.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from moorage.auth.claims import Meta
from moorage.oci.manifests import SIZE_LIMIT_BYTES
from spec.expect import errors_of, holds_for_every_response, reason_of
from support import images
from support.in_process import InProcess
from support.registry_client import RegistryClient, Response
from support.tokens import Access, Issuer, protecting

NAME, OTHER, NOWHERE = "group/app", "group/other", "group/nowhere"
FIRST, SECOND, THIRD = images.image("first"), images.image("second"), images.image("third")
LOCKED = protecting(push=["^v"], delete=["^v"], immutable=["^r"])
UNUSABLE = protecting(push=["("], delete=["("])
TOO_LARGE = {"Content-Length": str(SIZE_LIMIT_BYTES + 1)}

Told = tuple[int, str, object]
"""The status, the code and GitLab's reason."""

PROTECTED: Told = (403, "DENIED", "PROTECTED_TAG")
IMMUTABLE: Told = (403, "DENIED", "IMMUTABLE_TAG")
CONTENT: Told = (403, "DENIED", "PROTECTED_MANIFEST")
REFUSED_PATTERN: Told = (400, "UNSUPPORTED", "TAG_PROTECTION_PATTERN_INVALID")


def told(response: Response) -> Told:
    detail = errors_of(response)[0].get("detail")
    return (
        response.status,
        str(errors_of(response)[0]["code"]),
        reason_of(response) if isinstance(detail, dict) else None,
    )


class World:
    """A registry with two repositories, and clients with tokens of any rights."""

    def __init__(self, folder: Path, stack: ExitStack, *, has_database: bool) -> None:
        self._stack = stack
        self._issuer = Issuer(folder)
        self.registry = stack.enter_context(InProcess(folder if has_database else None, guard=self._issuer.guard()))
        for name in (NAME, OTHER):
            free = self.client((name, "*"))
            images.push_blobs(free, name, FIRST.blobs)
            for tag in ("v1", "r1", "free"):
                images.push_manifest(free, name, FIRST.manifest, tag)

    def client(self, *access: Access, meta: Mapping[str, Meta] | None = None) -> RegistryClient:
        headers = self._issuer.bearer(*access, meta=meta or {})
        client = RegistryClient(self.registry.address, headers=headers, observe=holds_for_every_response)
        return self._stack.enter_context(client)

    def locked(self, name: str = NAME, meta: Meta = LOCKED) -> RegistryClient:
        return self.client((name, "*"), meta={name: meta})


@pytest.fixture(params=[True, False], ids=["database", "link files"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=request.param)


@pytest.fixture
def historic(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, has_database=True)


def push(
    client: RegistryClient, reference: str, *tags: str, body: bytes = FIRST.manifest.body, request: str = ""
) -> Response:
    headers = {"X-Request-Id": request} if request else {}
    return client.put_manifest(NAME, reference, body, FIRST.manifest.media_type, tags=tags, headers=headers)


def post(client: RegistryClient, path: str, body: object = None, *, kind: str = "application/json") -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return client.request("POST", f"/moorage/v1/{path}", body=content, headers={"Content-Type": kind})


class TestPushingAManifest:
    def test_a_malformed_tag_before_a_protected_one(self, world: World) -> None:
        locked = world.locked(meta=protecting(push=[""]))
        assert told(push(locked, "-v")) == (400, "MANIFEST_INVALID", None)
        assert told(push(locked, FIRST.digest, "v1", "-v")) == (400, "MANIFEST_INVALID", None)

    def test_too_many_tags_before_a_malformed_one_and_a_protected_one(self, world: World) -> None:
        for tags in (["-v", *map(str, range(100))], ["v1", *map(str, range(100))]):
            assert told(push(world.locked(), FIRST.digest, *tags))[:2] == (414, "UNSUPPORTED")

    def test_a_protected_tag_before_a_body_that_is_too_large(self, world: World) -> None:
        """The status tells whether a smaller one would do; and nothing is read for nothing."""
        path = f"/v2/{NAME}/manifests/v1"
        assert told(world.locked().request("PUT", path, headers=TOO_LARGE)) == PROTECTED
        large = [b" " * (SIZE_LIMIT_BYTES + 1)]
        assert told(world.locked().request("PUT", path, body=large)) == PROTECTED
        assert told(world.locked().request("PUT", f"/v2/{NAME}/manifests/r1", body=large))[:2] == (
            413,
            "MANIFEST_INVALID",
        )

    def test_a_pattern_that_cannot_be_used_before_all_that_the_body_has_wrong(self, world: World) -> None:
        assert told(push(world.locked(meta=UNUSABLE), "free", body=b"no manifest")) == REFUSED_PATTERN

    def test_a_protected_tag_before_an_unknown_repository(self, world: World) -> None:
        locked = world.locked(NOWHERE)
        response = locked.put_manifest(NOWHERE, "v1", FIRST.manifest.body, FIRST.manifest.media_type)
        assert told(response) == PROTECTED

    def test_a_manifest_that_is_wrong_before_an_immutable_tag(self, world: World) -> None:
        """Whether a tag is there already is asked last, of the database."""
        assert told(push(world.locked(), "r1", body=b"no manifest"))[:2] == (400, "MANIFEST_INVALID")
        assert told(push(world.locked(), "r1", body=SECOND.manifest.body))[:2] == (400, "MANIFEST_BLOB_UNKNOWN")
        assert told(push(world.locked(), "r1")) == IMMUTABLE


class TestDeleting:
    def test_a_protected_tag_before_one_that_is_not_there(self, world: World) -> None:
        assert told(world.locked().delete_manifest(NAME, "v9")) == PROTECTED
        assert told(world.locked().delete_manifest(NAME, "r9")) == IMMUTABLE
        assert told(world.locked(NOWHERE).delete_manifest(NOWHERE, "v1")) == PROTECTED
        assert told(world.locked().delete_manifest(NAME, "none"))[:2] == (404, "MANIFEST_UNKNOWN")

    def test_protected_content_before_what_is_not_there(self, world: World) -> None:
        locked, absent = world.locked(), SECOND.digest
        assert told(locked.delete_manifest(NAME, absent)) == CONTENT
        assert told(locked.delete_blob(NAME, absent)) == CONTENT
        assert told(world.locked(NOWHERE).delete_blob(NOWHERE, absent)) == CONTENT

    def test_protected_content_before_content_that_is_needed(self, historic: World) -> None:
        assert told(historic.locked().delete_blob(NAME, FIRST.blobs[0].digest)) == CONTENT
        free = historic.client((NAME, "*"))
        assert told(free.delete_blob(NAME, FIRST.blobs[0].digest)) == (409, "DENIED", "BLOB_REFERENCED")

    def test_a_malformed_digest_before_protected_content(self, world: World) -> None:
        assert told(world.locked().delete_manifest(NAME, "sha256:abc"))[:2] == (400, "DIGEST_INVALID")
        assert told(world.locked().delete_blob(NAME, "sha256:abc"))[:2] == (400, "DIGEST_INVALID")


class TestMounting:
    def test_a_source_that_may_not_be_read_is_as_one_that_is_not_there(self, world: World) -> None:
        only_here = world.client((NOWHERE, "*"))
        for source in (OTHER, "group/absent", "-malformed-"):
            path = f"/v2/{NOWHERE}/blobs/uploads/?mount={FIRST.blobs[0].digest}&from={source}"
            response = only_here.request("POST", path)
            assert response.status in (202, 400), response
        assert only_here.request("POST", f"/v2/{NOWHERE}/blobs/uploads/?mount={FIRST.blobs[0].digest}").status == 202


class TestUndoingATag:
    PATH = f"tag/undo?repository={NAME}&tag="

    def test_a_malformed_body_before_a_protected_tag(self, historic: World) -> None:
        locked = historic.locked()
        assert told(post(locked, f"{self.PATH}v1", b"{"))[:2] == (400, "UNSUPPORTED")
        assert told(post(locked, f"{self.PATH}v1", kind="text/plain"))[:2] == (415, "UNSUPPORTED")
        assert told(post(locked, f"{self.PATH}v1", b" " * ((8 << 20) + 1)))[:2] == (413, "UNSUPPORTED")

    def test_a_protected_tag_before_one_that_is_not_there_or_was_changed(self, historic: World) -> None:
        locked = historic.locked()
        assert told(post(locked, f"{self.PATH}v9")) == PROTECTED
        assert told(post(locked, f"{self.PATH}v1", {"expected": SECOND.digest})) == PROTECTED
        nowhere = historic.locked(NOWHERE)
        assert told(post(nowhere, f"tag/undo?repository={NOWHERE}&tag=v1")) == PROTECTED


class TestUndoingARequest:
    def test_what_may_not_be_seen_before_everything_else(self, historic: World) -> None:
        images.push_manifest(historic.client((OTHER, "*")), OTHER, FIRST.manifest, "there")
        client = historic.client((NAME, "*"), meta={NAME: UNUSABLE})
        assert told(post(client, "request/undo?id=none"))[:2] == (404, "REQUEST_UNKNOWN")

    def test_a_right_that_lacks_before_a_protected_tag(self, historic: World) -> None:
        free = historic.client((NAME, "*"))
        images.push_blobs(free, NAME, SECOND.blobs)
        push(free, "v1", body=SECOND.manifest.body, request="one")
        response = post(historic.client((NAME, "pull"), meta={NAME: LOCKED}), "request/undo?id=one")
        assert told(response)[:2] == (401, "UNAUTHORIZED")
        assert f'scope="repository:{NAME}:pull,push,delete"' in response.headers["WWW-Authenticate"]

    def test_a_protected_tag_before_one_that_was_changed_since(self, historic: World) -> None:
        free = historic.client((NAME, "*"))
        for made, request in ((SECOND, "two"), (THIRD, "later")):
            images.push_blobs(free, NAME, made.blobs)
            push(free, "v1", body=made.manifest.body, request=request)
        assert told(post(historic.locked(), f"request/undo?id=two&repository={NAME}")) == PROTECTED
        assert told(post(free, f"request/undo?id=two&repository={NAME}"))[:2] == (409, "CONFLICT")


class TestDeletingManyTags:
    PATH = f"tags/delete?repository={NAME}"

    def test_a_malformed_pattern_before_one_of_the_token(self, historic: World) -> None:
        client = historic.locked(meta=UNUSABLE)
        for body in ({"matching": "("}, {"matching": ".*", "keep_matching": "("}, {"matching": "a" * 1001}):
            assert told(post(client, self.PATH, body))[:2] == (400, "UNSUPPORTED")
        assert told(post(client, self.PATH, {"matching": ".*"})) == REFUSED_PATTERN

    def test_an_unusable_pattern_of_the_token_before_an_unknown_repository(self, historic: World) -> None:
        client = historic.locked(NOWHERE, UNUSABLE)
        path = f"tags/delete?repository={NOWHERE}"
        assert told(post(client, path, {"tags": ["v1"]})) == REFUSED_PATTERN
        assert told(post(client, path, {"matching": "("}))[:2] == (400, "UNSUPPORTED")
        assert told(post(historic.locked(NOWHERE), path, {"tags": ["v1"]}))[:2] == (404, "NAME_UNKNOWN")


class TestRenaming:
    """The project of the token, then the body, then the rights on the namespace, then what is there."""

    def rename(self, client: RegistryClient, body: object, *, query: str = "", name: str = NAME) -> Told:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return told(client.request("PATCH", f"/gitlab/v1/repositories/{name}/{query}", body=content))

    def client(self, world: World, *access: Access, project: str = NAME) -> RegistryClient:
        own = ((NAME, "pull,push"), (f"{NAME}/*", "pull"))
        return world.client(*own, *access, meta={NAME: Meta(project_path=project)})

    def test_another_project_before_a_malformed_request(self, historic: World) -> None:
        stranger = self.client(historic, project=OTHER)
        for body, query in ((b"{", ""), ({"name": "new"}, "?dry_run=maybe"), ({"namespace": "group/x"}, "")):
            assert self.rename(stranger, body, query=query)[1] == "MISMATCH_PROJECT_PATH_CLAIM"

    def test_a_malformed_request_before_a_namespace_that_the_token_may_not_push_to(self, historic: World) -> None:
        client = self.client(historic)
        assert (
            self.rename(client, {"namespace": "group/x"}, query="?dry_run=maybe")[1] == "INVALID_QUERY_PARAMETER_TYPE"
        )
        assert self.rename(client, {"namespace": "elsewhere"})[1] == "INVALID_BODY_PARAMETER"
        assert self.rename(client, {"namespace": "group/x"})[:2] == (401, "UNAUTHORIZED")

    def test_a_namespace_that_the_token_may_not_push_to_before_a_name_that_is_taken(self, historic: World) -> None:
        images.push_image(historic.client(("group/x/app", "*")), "group/x/app", "v1", FIRST)
        assert self.rename(self.client(historic), {"namespace": "group/x"})[:2] == (401, "UNAUTHORIZED")
        allowed = self.client(historic, ("group/x/*", "push"))
        assert self.rename(allowed, {"namespace": "group/x"})[:2] == (409, "RENAME_CONFLICT")
        assert self.rename(allowed, {"namespace": "group/x"}, query="?dry_run=true")[:2] == (409, "RENAME_CONFLICT")
        assert self.rename(self.client(historic), {"name": "other"})[:2] == (409, "RENAME_CONFLICT")
