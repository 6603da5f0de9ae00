"""Whatever storage call of a push or a removal fails: what can be found is whole."""

import contextlib
import json

import pytest

from moorage.errors import BackendError, ManifestUnknown, NameUnknown
from moorage.metadata.base import Cause
from moorage.metadata.layout import LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.storage.base import StorageDriver
from moorage.storage.memory import MemoryDriver
from unit.core.breaking import Break, BreakingDriver

NAME = RepositoryName("group/app")
NOBODY = Cause()
TAGS = Tag("a"), Tag("b")
SUBJECT = Digest.of(b"subject")

_CALLS_LIMIT = 100


def payload(text: str) -> bytes:
    """A manifest without a mediaType, with a subject: one that takes every step of a push."""
    empty = {"mediaType": mediatypes.OCI_EMPTY, "digest": str(Digest.of(b"{}")), "size": 2}
    subject = {**empty, "digest": str(SUBJECT)}
    value = {"schemaVersion": 2, "config": empty, "layers": [], "subject": subject, "annotations": {"text": text}}
    return json.dumps(value).encode()


OLD, NEW = payload("old"), payload("new")


def over(storage: StorageDriver) -> LayoutManifests:
    return LayoutManifests(storage, PayloadCache())


async def put(manifests: LayoutManifests, content: bytes) -> Digest:
    manifest = parse(content, mediatypes.DOCKER_MANIFEST)
    stored = StoredManifest(Digest.of(content), manifest.media_type, content)
    await manifests.put(NAME, stored, manifest, tags=TAGS, cause=NOBODY)
    return stored.digest


async def found(storage: StorageDriver, reference: Reference) -> bytes | None:
    """The payload that a fresh process finds, checked to be whole."""
    try:
        stored = await over(storage).find(NAME, reference)
    except (ManifestUnknown, NameUnknown):
        return None
    assert Digest.of(stored.payload) == stored.digest
    assert stored.media_type == mediatypes.DOCKER_MANIFEST
    return stored.payload


async def check_whole(storage: StorageDriver) -> None:
    """Every listed tag leads to a whole manifest, and every referrer is one."""
    with contextlib.suppress(NameUnknown):
        for tag in (await LayoutCatalogue(storage).tags(NAME, after="", limit=None)).items:
            assert await found(storage, tag) is not None
    page = await over(storage).referrers(NAME, SUBJECT, artifact_type=None, after="", limit=10)
    for descriptor in page.items:
        assert await found(storage, descriptor.digest) is not None


@pytest.mark.parametrize("how", Break)
async def test_a_push_that_breaks_shows_the_old_or_the_new_and_nothing_between(how: Break) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        old = await put(over(memory), OLD)
        storage = BreakingDriver(memory, at=at, how=how)
        with contextlib.suppress(BackendError):
            await put(over(storage), NEW)
        await check_whole(memory)
        assert await found(memory, old) == OLD
        for tag in TAGS:
            assert await found(memory, tag) in (OLD, NEW)
        if await found(memory, Digest.of(NEW)) is not None:
            page = await over(memory).referrers(NAME, SUBJECT, artifact_type=None, after="", limit=10)
            assert {item.digest for item in page.items} == {old, Digest.of(NEW)}
        else:
            assert [await found(memory, tag) for tag in TAGS] == [OLD, OLD]
        await put(over(memory), NEW)
        assert [await found(memory, tag) for tag in TAGS] == [NEW, NEW]
        if at > len(storage.calls):
            return
    pytest.fail("a push makes too many calls")


@pytest.mark.parametrize("how", Break)
async def test_a_first_push_that_breaks_shows_all_of_it_or_nothing(how: Break) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        storage = BreakingDriver(memory, at=at, how=how)
        with contextlib.suppress(BackendError):
            await put(over(storage), NEW)
        await check_whole(memory)
        for tag in TAGS:
            assert await found(memory, tag) in (None, NEW)
        if at > len(storage.calls):
            return
    pytest.fail("a push makes too many calls")


@pytest.mark.parametrize("how", Break)
async def test_a_removal_that_breaks_can_be_tried_again(how: Break) -> None:
    for at in range(1, _CALLS_LIMIT):
        memory = MemoryDriver()
        digest = await put(over(memory), NEW)
        storage = BreakingDriver(memory, at=at, how=how)
        with contextlib.suppress(BackendError):
            await over(storage).delete(NAME, digest, cause=NOBODY)
        await check_whole(memory)
        with contextlib.suppress(ManifestUnknown):
            await over(memory).delete(NAME, digest, cause=NOBODY)
        assert [await found(memory, reference) for reference in (digest, *TAGS)] == [None, None, None]
        page = await over(memory).referrers(NAME, SUBJECT, artifact_type=None, after="", limit=10)
        assert page.items == []
        if at > len(storage.calls):
            return
    pytest.fail("a removal makes too many calls")
