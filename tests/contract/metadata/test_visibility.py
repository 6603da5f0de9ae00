"""What one process has acknowledged every other sees at once, and nobody sees half of a change."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from functools import partial

import pytest

from contract.metadata.journal import assert_chains
from contract.metadata.pushing import NAME, NOBODY, OTHER, digests_on, push, push_blob, push_image, referrer, referring
from contract.metadata.pushing import tag_names as listed
from contract.metadata.stores import Open, SqlStore, Store
from moorage.errors import ManifestUnknown, NameUnknown
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from support.images import image

V1 = Tag("v1")


async def test_every_change_is_seen_by_the_other_at_once(store: Store, other: Store) -> None:
    digest = await push_blob(store, b"x")
    assert await other.links.has(NAME, digest)
    assert await other.links.mount(OTHER, digest, source=NAME)
    assert await store.links.has(OTHER, digest)
    await other.links.unlink(NAME, digest, cause=NOBODY)
    assert not await store.links.has(NAME, digest)

    first, second = image("a").manifest, referrer("b")
    for here, there in ((store, other), (other, store)):
        for content in (first, second, first):
            pushed = await push(here, content, "v1")
            assert (await there.manifests.find(NAME, V1)).digest == pushed
        assert (await there.catalogue.repositories(after="", limit=5)).items == [NAME]
        assert digests_on(await referring(there)) == [Digest.of(second.body)]
        await here.manifests.untag(NAME, V1, cause=NOBODY)
        with pytest.raises(ManifestUnknown):
            await there.manifests.find(NAME, V1)
        assert await listed(there) == []
        await here.manifests.delete(NAME, Digest.of(second.body), cause=NOBODY)
        assert not await there.manifests.has(NAME, Digest.of(second.body))
        assert digests_on(await referring(there)) == [] == digests_on(await referring(here))


async def test_a_fresh_process_knows_all_that_was_acknowledged(open_store: Open) -> None:
    async with open_store() as store:
        blob = await push_blob(store, b"x")
        digest = await push(store, referrer("a"), "v1", "v2")
    async with open_store() as store:
        assert await store.links.has(NAME, blob)
        assert await listed(store) == ["v1", "v2"]
        assert (await store.manifests.find(NAME, V1)).digest == digest
        assert digests_on(await referring(store)) == [digest]


async def test_a_moving_tag_is_never_away(store: Store, other: Store) -> None:
    contents = [image(n).manifest for n in range(4)]
    allowed = {Digest.of(content.body) for content in contents}
    await push(store, contents[0], "v1")
    done = False

    async def watch(view: Store) -> int:
        count = 0
        while not done:
            found = await view.manifests.find(NAME, V1)
            assert found.digest in allowed
            assert Digest.of(found.payload) == found.digest
            assert await listed(view) == ["v1"]
            count += 1
            await asyncio.sleep(0)
        return count

    async def move(view: Store, start: int) -> None:
        for n in range(12):
            await push(view, contents[(start + n) % len(contents)], "v1")

    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(watch(view)) for view in (store, other)]
        await asyncio.gather(move(store, 1), move(other, 2))
        done = True
    assert all(task.result() > 0 for task in watchers)


async def test_many_first_pushes_into_one_new_repository_all_count(store: Store, other: Store) -> None:
    async def one(n: int) -> None:
        await push_image((store, other)[n % 2], image(f"{n}"), f"t{n:02}", "last", name=RepositoryName("new/one/here"))

    await asyncio.gather(*(one(n) for n in range(16)))
    name = RepositoryName("new/one/here")
    assert await listed(store, name) == ["last", *(f"t{n:02}" for n in range(16))]
    for n in range(16):
        found = await other.manifests.find(name, Tag(f"t{n:02}"))
        assert found.payload == image(f"{n}").manifest.body
    last = await store.manifests.find(name, Tag("last"))
    assert last.payload in {image(f"{n}").manifest.body for n in range(16)}


async def test_the_same_push_many_times_at_once_is_one(store: Store, other: Store) -> None:
    content = referrer("a")
    await asyncio.gather(*(push(view, content, "v1", "v2") for view in (store, other) * 8))
    assert await listed(store) == ["v1", "v2"]
    assert digests_on(await referring(other)) == [Digest.of(content.body)]


async def test_pushes_and_deletions_of_one_manifest_end_in_one_or_the_other(store: Store, other: Store) -> None:
    content = referrer("a")
    digest = Digest.of(content.body)

    async def remove(view: Store) -> None:
        with contextlib.suppress(ManifestUnknown, NameUnknown):
            await view.manifests.delete(NAME, digest, cause=NOBODY)

    for _ in range(5):
        await asyncio.gather(*(push(view, content, "v1") for view in (store, other) * 3), remove(store), remove(other))
    names = await listed(store)
    for name in names:
        assert (await other.manifests.find(NAME, Tag(name))).payload == content.body
    await push(store, content, "v1")
    assert (await other.manifests.find(NAME, V1)).payload == content.body
    assert digests_on(await referring(other)) == [digest]


async def interrupted(make: Callable[[], Coroutine[object, object, object]], turns: int) -> bool:
    """Start something, cancel it after so many turns of the loop; whether it was done before."""
    task = asyncio.ensure_future(make())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
        return True
    return False


async def test_a_push_whose_client_hangs_up_leaves_all_or_a_manifest_without_some_tags(store: Store) -> None:
    await push(store, image("first").manifest, "v0")
    for turns in range(1, 25):
        content = image(turns).manifest
        finished = await interrupted(partial(push, store, content, "v1", "v2"), turns)
        for tag in await listed(store):
            assert Digest.of((await store.manifests.find(NAME, Tag(tag))).payload)
        if finished:
            assert (await store.manifests.find(NAME, Tag("v2"))).payload == content.body
    await push(store, image("last").manifest, "v1")
    assert (await store.manifests.find(NAME, V1)).payload == image("last").manifest.body


async def test_pushes_that_share_some_tags_never_wait_for_each_other_in_a_circle(
    sql: SqlStore, other_sql: SqlStore
) -> None:
    """Each takes several tags and what they pointed to, in whatever order; a circle would cost a second and a retry."""
    names = [f"t{n}" for n in range(6)]

    async def act(store: SqlStore, source: random.Random) -> None:
        for n in range(15):
            tags = source.sample(names, source.randint(1, 4))
            await push(store, image(source.randrange(5)).manifest, *tags)
            if n % 5 == 4:
                with contextlib.suppress(ManifestUnknown):
                    content = image(source.randrange(5)).manifest
                    await store.manifests.delete(NAME, Digest.of(content.body), cause=NOBODY)

    before = await circles(sql)
    await asyncio.gather(*(act((sql, other_sql)[n % 2], random.Random(n)) for n in range(8)))
    await assert_chains(sql)
    assert await circles(sql) == before


async def circles(store: SqlStore) -> int:
    """How often a database has found transactions waiting for each other."""
    if store.database.dialect == "sqlite":
        return 0
    await asyncio.sleep(1.1)  # The server tells its statistics once a second.
    rows = await store.rows("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    count = rows[0][0]
    assert isinstance(count, int)
    return count
