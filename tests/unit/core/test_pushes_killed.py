"""A process that is killed between any two requests of a push, or refused one: nothing acknowledged is lost, all that
is left is known.

Left may be what ``docs/explanation/buckets.md`` lists, and purging and collection remove it.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from moorage.auth.access import EVERYTHING
from moorage.errors import BackendError, MoorageError, StorageFull, StorageUnavailable
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from unit.core.killed import NAME, Process, World
from unit.core.sending import sending

OTHER = RepositoryName("group/other")
SMALL, LARGE = b"small", bytes(range(250)) * 2
CONFIG, LAYER = b"{}", b"a layer"
_REQUEST_LIMIT = 60
_OF_UPLOADS = re.compile(r".*/_uploads/[0-9a-f-]{36}/(startedat|piece-\d{13}|multipart-[0-9a-f]{8})")

Push = Callable[[Process], Awaitable[None]]


def image(*blobs: bytes) -> bytes:
    config, *layers = [
        {"mediaType": mediatypes.OCI_CONFIG, "digest": str(Digest.of(blob)), "size": len(blob)} for blob in blobs
    ]
    value = {"schemaVersion": 2, "mediaType": mediatypes.OCI_MANIFEST, "config": config, "layers": layers}
    return json.dumps(value).encode()


def in_steps(content: bytes, step: int = 60) -> AsyncIterator[bytes]:
    return sending(*(content[at : at + step] for at in range(0, len(content), step)))


async def post_patch_put(process: Process) -> None:
    session = await process.uploads.start(NAME)
    first = await process.uploads.append(NAME, session.id, in_steps(LARGE[:300]), start=0)
    second = await process.uploads.append(NAME, session.id, in_steps(LARGE[300:]), start=first.offset_bytes)
    await process.uploads.commit(NAME, session.id, Digest.of(LARGE), sending(), start=None, known=second)
    process.acknowledged[Digest.of(LARGE)] = LARGE


async def post_put(process: Process, content: bytes = SMALL) -> None:
    session = await process.uploads.start(NAME)
    await process.uploads.commit(NAME, session.id, Digest.of(content), in_steps(content), start=None)
    process.acknowledged[Digest.of(content)] = content


async def post_put_in_parts(process: Process) -> None:
    await post_put(process, LARGE)


async def post_only(process: Process, content: bytes = SMALL) -> None:
    await process.uploads.push(NAME, Digest.of(content), in_steps(content))
    process.acknowledged[Digest.of(content)] = content


async def post_only_in_parts(process: Process) -> None:
    await post_only(process, LARGE)


async def mount(process: Process) -> None:
    assert await process.blobs.mount(NAME, Digest.of(LAYER), source=OTHER, grant=EVERYTHING)
    process.acknowledged[Digest.of(LAYER)] = LAYER


async def manifest(process: Process) -> None:
    for blob in (b"[]", LAYER):
        await post_only(process, blob)
    await process.tag(image(b"[]", LAYER), "new")


PUSHES = [post_patch_put, post_put, post_put_in_parts, post_only, post_only_in_parts, mount, manifest]


def worlds(metadata: str, folder: Path) -> Iterator[tuple[int, World]]:
    """A new world for each request that a push may make, with its number: until one in which it makes no more."""
    for at in range(_REQUEST_LIMIT):
        place = None if metadata == "link files" else folder / f"{at}"
        if place is not None:
            place.mkdir()
        yield at, World(place)
    pytest.fail("a push makes too many requests")


async def begin(world: World) -> set[str]:
    """What was there before: an image, and a blob in another repository."""
    async with world.process() as process:
        await post_only(process, CONFIG)
        await process.tag(image(CONFIG), "old")
        await process.uploads.push(OTHER, Digest.of(LAYER), sending(LAYER))
    return set(world.bucket.all_keys())


async def check_acknowledged(world: World) -> None:
    async with world.process() as process:
        for digest, content in world.acknowledged.items():
            assert await process.blob(digest) == content
        for tag, digest in world.tags.items():
            found = await process.manifests.get(NAME, Tag(tag), accepts=None)
            assert found.digest == digest


def check_left(world: World, before: set[str]) -> None:
    """What is there is what may be, and all parts are noted."""
    bucket = world.bucket
    notes = [key for key in bucket.all_keys() if "/multipart-" in key]
    assert len([parts for parts in bucket.parts.values() if parts.has_any]) <= len(notes)
    for key in set(bucket.all_keys()) - before:
        if "/_uploads/" in key:
            assert _OF_UPLOADS.fullmatch(key)
        elif key.startswith(paths.BLOBS):
            assert Digest.of(bucket.content_of(key)).encoded == key.split("/")[-2]
        else:
            assert world.folder is None, "a database has the links"
            assert key.endswith("/link")


async def check_removed(world: World) -> None:
    """After purging and collecting nothing is left but what is in an image that was acknowledged, or is whole."""
    await world.purge()
    assert not [key for key in world.bucket.all_keys() if "/_uploads/" in key]
    assert not [parts for parts in world.bucket.parts.values() if parts.has_any]
    await world.collect()
    blobs = {key.split("/")[-2] for key in world.bucket.all_keys() if key.startswith(paths.BLOBS)}
    image_blobs = {blob.encoded for blob in (Digest.of(b"[]"), Digest.of(LAYER))}
    kept = {Digest.of(CONFIG).encoded} | (image_blobs if "new" in world.tags else set())
    with_payloads = {digest.encoded for digest in world.tags.values()} if world.folder is None else set()
    # A manifest that was whole when the process died is as good as one that was acknowledged.
    may_be = image_blobs | {Digest.of(image(b"[]", LAYER)).encoded} if await has_image(world) else set()
    assert kept | with_payloads <= blobs <= kept | with_payloads | may_be
    async with world.process() as process:
        for tag, digest in world.tags.items():
            assert (await process.manifests.get(NAME, Tag(tag), accepts=None)).digest == digest
        assert await process.blob(Digest.of(CONFIG)) == CONFIG


async def has_image(world: World) -> bool:
    async with world.process() as process:
        try:
            await process.manifests.get(NAME, Digest.of(image(b"[]", LAYER)), accepts=None)
        except MoorageError:
            return False
    return True


@pytest.mark.parametrize("push", PUSHES)
@pytest.mark.parametrize("metadata", ["link files", "database"])
async def test_wherever_a_push_is_killed_what_is_left_is_known_and_removed(
    push: Push, metadata: str, tmp_path: Path
) -> None:
    for at, world in worlds(metadata, tmp_path):
        before = await begin(world)
        is_killed = await world.kill(push, at=at)
        check_left(world, before)
        await check_acknowledged(world)
        async with world.process() as process:
            await push(process)  # A client tries again.
        await check_acknowledged(world)
        await check_removed(world)
        if not is_killed:
            break


@pytest.mark.parametrize("push", PUSHES)
@pytest.mark.parametrize("metadata", ["link files", "database"])
async def test_wherever_a_push_is_killed_nothing_stays_if_no_client_comes_again(
    push: Push, metadata: str, tmp_path: Path
) -> None:
    for at, world in worlds(metadata, tmp_path):
        await begin(world)
        is_killed = await world.kill(push, at=at)
        await check_removed(world)
        if not is_killed:
            break


@pytest.mark.parametrize("push", PUSHES)
@pytest.mark.parametrize("error", [StorageFull, StorageUnavailable])
@pytest.mark.parametrize("metadata", ["link files", "database"])
async def test_whatever_request_a_store_refuses_the_client_is_told_and_may_come_again(
    push: Push, error: type[BackendError], metadata: str, tmp_path: Path
) -> None:
    for at, world in worlds(metadata, tmp_path):
        before = await begin(world)
        is_refused = await world.refuse(push, at=at, error=error("the store is at its quota"))
        check_left(world, before)
        assert not world.bucket.parts
        await check_acknowledged(world)
        async with world.process() as process:
            await push(process)
        await check_acknowledged(world)
        await check_removed(world)
        if not is_refused:
            break
