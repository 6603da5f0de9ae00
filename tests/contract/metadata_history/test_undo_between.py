"""An undo beside what others do at the same moment, and beside what they did at other names."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from contract.metadata.pushing import NAME, push, push_blob, push_image
from contract.metadata.stores import query
from contract.metadata_history.past import Past
from moorage.errors import BlobReferenced
from moorage.oci.digests import Digest
from support.images import Content, Image, image, index

AT_ONCE = pytest.mark.parametrize("open_sql", ["postgres"], indirect=True)
"""SQLite's transactions are serial."""


@contextlib.asynccontextmanager
async def held_at_its_tags(past: Past, other: Past, request: str) -> AsyncIterator[asyncio.Task[object]]:
    """An undo that has restored manifests, and waits for a tag that it changes too."""
    async with other.transaction() as session:
        await session.all(query("SELECT id FROM tags WHERE name = 'moving' FOR UPDATE"))
        undoing: asyncio.Task[object] = asyncio.create_task(past.undo(request))
        await waiting(other, 1)
        yield undoing


async def waiting(past: Past, count: int, *, unless: asyncio.Task[None] | None = None) -> None:
    """Wait until so many wait for a lock, or *unless* has ended."""
    text = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while (await past.store.rows(text))[0][0] < count and not (unless is not None and unless.done()):
        await asyncio.sleep(0.01)


async def deleted_by_a_job(past: Past, content: Content, made: Image) -> Digest:
    """Delete what *content* is, and all that *made* has but its blobs, in a request that moved a tag too."""
    top = Digest.parse(content.digest)
    await past.push("a", "moving")
    await past.push("b", "moving", request="job")
    await past.delete(top, "job")
    if content is not made.manifest:
        await past.delete(Digest.parse(made.manifest.digest))
    return top


@AT_ONCE
@pytest.mark.parametrize("listed", [False, True], ids=["the image", "an index that lists it"])
async def test_a_layer_that_an_undo_brings_back_is_not_taken_out_at_that_moment(
    past: Past, other: Past, listed: bool
) -> None:
    made = image("whole")
    await push_image(past.store, made, "1")
    content = index([made.manifest]) if listed else made.manifest
    await push(past.store, content, "2")
    top = await deleted_by_a_job(past, content, made)
    layer = Digest.parse(made.blobs[1].digest)
    async with held_at_its_tags(past, other, "job") as undoing:
        taking_out = asyncio.create_task(other.store.links.unlink(NAME, layer, cause=other.cause()))
        await waiting(other, 2, unless=taking_out)
    await undoing
    with pytest.raises(BlobReferenced):
        await taking_out
    assert await past.has(top)
    assert await past.has(Digest.parse(made.manifest.digest))
    assert await past.store.links.has(NAME, layer)


async def test_what_came_after_the_manifest_that_names_it_comes_back_with_it(past: Past) -> None:
    made = image("late")
    content = index([made.manifest])
    top = await push(past.store, content, "1")
    child = await push_image(past.store, Image(made.manifest, ()))
    layers = [await push_blob(past.store, blob.body) for blob in made.blobs]
    await past.delete(top, "oops")
    await past.delete(child)
    for layer in layers:
        await past.store.links.unlink(NAME, layer, cause=past.cause())
    await past.undo("oops")
    assert await past.has(child)
    assert await past.store.links.missing(NAME, layers) == set()
