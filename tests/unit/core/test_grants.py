"""Rules of tags and rights hold for every caller of a service, whether it comes by HTTP or not (ADR 0049)."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

import pytest

from moorage.auth.access import EVERYTHING, Access, AccessLacking, Action, Grant
from moorage.auth.protections import Protection
from moorage.core.blobs import Blobs
from moorage.core.history import History
from moorage.core.manifest_rules import TAG_LIMIT, ManifestRules
from moorage.core.manifests import Manifests
from moorage.core.renames import Renames
from moorage.errors import BlobUnknown, ManifestUnknown, Protected
from moorage.gitlab_errors import ProjectMismatch, ProjectUnknown
from moorage.metadata.base import Cause
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.payloads import PayloadCache
from moorage.moorage_errors import TooManyTags
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver

NAME, OTHER = RepositoryName("group/app"), RepositoryName("group/other")
V1, ABSENT = Tag("v1"), Digest.of(b"absent")
LOCKED = Protection(deny_push=("^v",), deny_delete=("^v",))
EMPTY_INDEX = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'


def grant(*accesses: Access, project: str = NAME.text) -> Grant:
    return Grant("mirror", frozenset(accesses), projects={NAME.text: project}, protections={NAME.text: LOCKED})


class Services:
    def __init__(self) -> None:
        storage = MemoryDriver()
        self.links = LayoutLinks(storage)
        self.blobs = Blobs(storage, self.links)
        self.manifests = Manifests(LayoutManifests(storage, PayloadCache()), self.blobs, ManifestRules())
        self.storage = storage

    async def put(self, reference: Tag | Digest, *tags: Tag, by: Grant) -> None:
        cause = Cause(by.actor)
        await self.manifests.put(NAME, reference, EMPTY_INDEX, content_type="", tags=tags, grant=by, cause=cause)


CHANGES: list[Callable[..., object]] = [
    Manifests.put,
    Manifests.receive,
    Manifests.delete,
    Blobs.mount,
    Blobs.delete,
    History.undo_tag,
    History.undo_request,
    History.request_entries,
    History.delete_tags,
    Renames.reserve,
    Renames.rename,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__qualname__)
def test_nothing_is_changed_without_saying_who_does_it(change: Callable[..., object]) -> None:
    found = signature(change).parameters["grant"]
    assert (found.kind, found.default) == (Parameter.KEYWORD_ONLY, Parameter.empty)


async def test_a_protected_tag_is_neither_pushed_nor_deleted_by_whoever_it_is() -> None:
    services, mirror = Services(), grant()
    await services.put(V1, by=EVERYTHING)
    for reference, tags in ((V1, ()), (Digest.of(EMPTY_INDEX), (Tag("free"), V1))):
        with pytest.raises(Protected):
            await services.put(reference, *tags, by=mirror)
    for reference in (V1, Tag("v9"), Digest.of(EMPTY_INDEX), ABSENT):
        with pytest.raises(Protected):
            await services.manifests.delete(NAME, reference, grant=mirror, cause=Cause())
    with pytest.raises(ManifestUnknown):
        await services.manifests.delete(NAME, Tag("free"), grant=mirror, cause=Cause())
    with pytest.raises(Protected):
        await services.blobs.delete(NAME, ABSENT, grant=mirror, cause=Cause())
    with pytest.raises(BlobUnknown):
        await services.blobs.delete(OTHER, ABSENT, grant=mirror, cause=Cause())


async def test_a_manifest_is_not_read_where_its_tag_is_protected() -> None:
    async def read(**_: object) -> bytes:
        raise AssertionError

    with pytest.raises(Protected):
        await Services().manifests.receive(NAME, V1, read, content_type="", grant=grant(), cause=Cause())


async def test_nobody_pushes_under_more_tags_than_are_taken() -> None:
    tags = [Tag(f"t{number}") for number in range(TAG_LIMIT + 1)]
    with pytest.raises(TooManyTags):
        await Services().put(Digest.of(EMPTY_INDEX), *tags, by=EVERYTHING)


async def test_a_blob_is_mounted_only_from_where_the_caller_may_pull() -> None:
    services, digest = Services(), Digest.of(b"layer")
    await services.storage.put(paths.blob(digest), b"layer")
    assert await services.links.link(OTHER, digest, await services.links.expect(digest), size_bytes=5)
    stranger, friend = grant(), grant(*Access.repository(OTHER, Action.PULL))
    assert not await services.blobs.mount(NAME, digest, source=OTHER, grant=stranger)
    assert not await services.blobs.mount(NAME, digest, source=None, grant=friend), "it names no source"
    assert await services.blobs.mount(NAME, digest, source=OTHER, grant=friend)


class NoStore:
    """A store of renames, of leases and of history that nobody may reach."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(name)


async def test_a_rename_needs_the_project_and_the_namespace() -> None:
    unreached: Any = NoStore()
    renames, there = Renames(unreached, unreached), RepositoryName("group/x/app")
    move = Access.move(NAME, "group/x")
    for by, expected in (
        (grant(*move, project="group/above"), ProjectMismatch),
        (Grant("mirror", frozenset(move)), ProjectUnknown),
        (grant(*move[:-1]), AccessLacking),
    ):
        with pytest.raises(expected):
            await renames.reserve(NAME, there, grant=by)
        with pytest.raises(expected):
            await renames.rename(NAME, there, grant=by, cause=Cause())


def test_what_lacks_is_named() -> None:
    with pytest.raises(AccessLacking, match="push on repository group/app") as refused:
        grant(*Access.repository(NAME, Action.PULL)).require(Access.repository(NAME, Action.PULL, Action.PUSH))
    assert refused.value.wanted == Access.repository(NAME, Action.PULL, Action.PUSH)
