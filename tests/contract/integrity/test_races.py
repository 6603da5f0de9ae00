"""Others push and collect between any two looks of a check, and nothing that is fine is reported or moved."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, NOBODY, push_blob, push_image
from contract.metadata.stores import query
from moorage.errors import BackendError
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.integrity.confirming import SecondLook
from moorage.integrity.findings import FindingKind
from moorage.integrity.hashing import Hashing, HashingPace
from moorage.integrity.payloads import Payloads
from moorage.metadata.integrity import BlobRecord, BlobRecordStore
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.integrity import SqlBlobRecords, SqlBlobRepairs, SqlManifestRecords
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews, SqlReviewDelay
from moorage.oci.digests import Digest
from moorage.storage import paths

CONTENT = IMAGE.blobs[1].body
DAMAGED = bytes(len(CONTENT))
NEW = b"pushed meanwhile"


class WatchedRecords(BlobRecordStore):
    """Calls *between* before each look."""

    def __init__(self, inner: BlobRecordStore, between: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._between = between

    async def page(self, *, after: Digest | None, limit: int) -> Sequence[BlobRecord]:
        return await self._inner.page(after=after, limit=limit)

    async def look(self, digests: Collection[Digest]) -> Mapping[Digest, BlobRecord]:
        await self._between()
        return await self._inner.look(digests)


async def collect(registry: Registry) -> None:
    """Collect all that nothing needs, at once."""
    assert registry.database is not None
    await registry.run("UPDATE gc_manifest_review_queue SET review_after = created_at")
    await ManifestCollector(SqlManifestReviews(registry.database), Deadlines()).round(limit=1000)
    await registry.run("UPDATE gc_blob_review_queue SET review_after = created_at")
    await BlobCollector(SqlBlobReviews(registry.database), registry.storage, Deadlines()).round(limit=1000)


async def push_new(registry: Registry) -> None:
    await push_blob(registry.store, NEW)


async def take_new_away(registry: Registry) -> None:
    with contextlib.suppress(Exception):
        await registry.store.links.unlink(NAME, Digest.of(NEW), cause=NOBODY)
    await collect(registry)


STEPS: Sequence[Callable[[Registry], Awaitable[None]]] = (push_new, take_new_away)


@pytest.mark.parametrize("begins_there", [False, True], ids=["absent", "there"])
@pytest.mark.parametrize("first_step", [0, 1, 2, 3], ids=str)
async def test_a_blob_that_comes_and_goes_between_any_looks_is_no_difference(
    registry: Registry, *, first_step: int, begins_there: bool
) -> None:
    """Pushed or collected before each look at database or storage from *first_step* on, in turn."""
    if begins_there:
        await push_new(registry)
    turn = 0

    async def step(*_: str) -> None:
        nonlocal turn
        if turn >= first_step:
            await STEPS[(turn + begins_there) % 2](registry)
        turn += 1

    assert registry.database is not None
    storage = WatchedStorage(registry.storage)
    storage.before = step
    hashing = Hashing(storage, threads=1, pace=HashingPace(None))
    payloads = Payloads(SqlManifestRecords(registry.database))
    look = SecondLook(storage, WatchedRecords(SqlBlobRecords(registry.database), step), payloads, hashing)
    suspects = {Digest.of(NEW): None}
    found = [certain for certain in await look.settle(suspects) if isinstance(certain.kind, FindingKind)]
    assert found == []
    look.close()
    hashing.close()
    assert turn >= 3


async def test_what_another_check_marks_between_two_looks_is_its_business(registry: Registry) -> None:
    """It has just begun to repair what it has seen: to say that the mark is in vain would undo its work."""
    assert registry.database is not None
    await fill(registry)
    looks = 0

    async def mark() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            text = "UPDATE blobs SET missing_since = created_at WHERE digest = $1"
            await registry.run(text, digest_key(LAYER))

    hashing = Hashing(registry.storage, threads=1, pace=HashingPace(None))
    payloads = Payloads(SqlManifestRecords(registry.database))
    look = SecondLook(registry.storage, WatchedRecords(SqlBlobRecords(registry.database), mark), payloads, hashing)
    assert await look.settle({LAYER: LAYER}) == []
    assert looks == 2
    look.close()
    hashing.close()


async def test_a_whole_check_beside_which_everything_is_pushed_and_collected_finds_nothing(
    registry: Registry,
) -> None:
    await fill(registry)
    calls = 0
    storage = WatchedStorage(registry.storage)

    async def disturb(call: str, _path: str) -> None:
        nonlocal calls
        calls += 1
        if call in {"stat", "list"} and calls % 7 == 0:
            await STEPS[calls % 2](registry)

    storage.before = disturb
    for verifies in (False, True):
        found = await registry.check(storage=storage, verifies=verifies, repairs=True)
        assert found.kinds == {}, found.findings
    assert calls > 50


@pytest.mark.parametrize("moment", ["before the move", "after the move"])
async def test_right_bytes_that_come_just_before_the_damaged_ones_are_moved_are_not_lost(
    moment: str, registry: Registry
) -> None:
    """A push that expected the blob before the check claimed it puts its bytes there at the worst moment."""
    await push_image(registry.store, IMAGE, "1")
    await registry.damage(LAYER, DAMAGED)
    expectation = await registry.store.links.expect(LAYER)
    storage = WatchedStorage(registry.storage)

    async def push(call: str, path: str) -> None:
        if (call, path) == ("move", paths.blob(LAYER)):
            await registry.damage(LAYER, CONTENT)
            linked = await registry.store.links.link(NAME, LAYER, expectation, size_bytes=len(CONTENT))
            assert not linked, "not acknowledged while the check has claimed it"

    if moment == "before the move":
        storage.before = push
    else:
        storage.after = push
    await registry.check(storage=storage, repairs=True)
    assert await registry.storage.get(paths.blob(LAYER)) == CONTENT
    again = await registry.store.links.expect(LAYER)
    assert await registry.store.links.link(NAME, LAYER, again, size_bytes=len(CONTENT))
    assert await registry.store.links.has(NAME, LAYER)
    assert (await registry.check()).kinds == {}
    kept = await registry.quarantined(LAYER)
    assert kept == ([] if moment == "before the move" else [DAMAGED])


async def test_bytes_that_are_replaced_before_the_claim_stay_and_are_not_marked(registry: Registry) -> None:
    await push_image(registry.store, IMAGE, "1")
    await registry.damage(LAYER, DAMAGED)
    storage = WatchedStorage(registry.storage)
    looks = 0

    async def push(call: str, path: str) -> None:
        nonlocal looks
        if (call, path) == ("stat", paths.blob(LAYER)):
            looks += 1
            if looks == 4:  # The walk's, two of the second look, and now under the claim.
                await registry.damage(LAYER, CONTENT)

    storage.before = push
    found = await registry.check(storage=storage, repairs=True)
    assert looks >= 4
    assert found.findings[0].detail.endswith("not repaired, as it has changed since")
    assert await registry.store.links.has(NAME, LAYER)
    assert (await registry.check()).kinds == {}


async def test_a_push_waits_until_the_check_has_let_go_of_the_blob(registry: Registry) -> None:
    await push_image(registry.store, IMAGE, "1")
    await registry.damage(LAYER, DAMAGED)
    storage = WatchedStorage(registry.storage)
    pushes: list[asyncio.Task[Digest]] = []

    async def push(call: str, path: str) -> None:
        if (call, path) == ("move", paths.blob(LAYER)):
            pushes.append(asyncio.create_task(push_blob(registry.store, CONTENT)))
            await asyncio.sleep(0.1)
            assert not pushes[0].done()

    storage.before = push
    await registry.check(storage=storage, repairs=True)
    assert await pushes[0] == LAYER
    assert await registry.quarantined(LAYER) == [DAMAGED]
    assert await registry.store.links.has(NAME, LAYER)
    assert (await registry.check()).kinds == {}


async def test_a_push_that_expected_the_blob_before_the_repair_has_to_expect_it_again(registry: Registry) -> None:
    """It may have seen the damaged bytes, and left out its own."""
    await push_image(registry.store, IMAGE, "1")
    await registry.damage(LAYER, DAMAGED)
    expectation = await registry.store.links.expect(LAYER)
    await registry.check(repairs=True)
    assert not await registry.store.links.link(NAME, LAYER, expectation, size_bytes=len(CONTENT))
    assert not await registry.store.links.has(NAME, LAYER)
    await push_blob(registry.store, CONTENT)
    assert (await registry.check()).kinds == {}


async def test_no_two_rows_that_repairs_make_for_the_same_blob_have_the_same_life(registry: Registry) -> None:
    """So a push never takes the row of another time for the one that it made."""
    assert registry.database is not None
    await push_image(registry.store, IMAGE, "1")
    repairs = SqlBlobRepairs(registry.database)
    lives = set()
    for _ in range(5):
        await registry.run("DELETE FROM gc_blob_review_queue WHERE event <> $1", "none")
        assert await repairs.claim(LAYER)
        row = await registry.database.first(query("SELECT life FROM gc_blob_review_queue WHERE event <> $1"), "none")
        assert row is not None
        lives.add(row[0])
        await repairs.release(LAYER)
    assert len(lives) == 5
    assert min(lives) > 0


@pytest.mark.parametrize("what", ["other damage", "nothing"])
async def test_bytes_that_change_while_a_repair_has_them_are_served_only_if_they_are_right(
    what: str, registry: Registry
) -> None:
    await push_image(registry.store, IMAGE, "1")
    await registry.damage(LAYER, DAMAGED)
    storage = WatchedStorage(registry.storage)
    looks = 0

    async def change(call: str, path: str) -> None:
        nonlocal looks
        if (call, path) == ("stat", paths.blob(LAYER)):
            looks += 1
            if looks == 5:  # The walk's, two of the second look, one under the claim, and now before the move.
                await (registry.damage(LAYER, b"other damage") if what == "other damage" else registry.lose(LAYER))

    storage.before = change
    found = await registry.check(storage=storage, repairs=True)
    assert looks == 5
    assert found.findings[0].repair == ""
    assert not await registry.store.links.has(NAME, LAYER)
    await registry.check(repairs=True)
    await push_blob(registry.store, CONTENT)
    assert (await registry.check()).kinds == {}


async def test_a_repair_that_dies_at_any_step_leaves_a_blob_that_is_not_served_damaged(registry: Registry) -> None:
    """Whatever call to storage fails, the next repair ends the work and a push heals."""
    await push_image(registry.store, IMAGE, "1")
    for call in ("stat", "move"):
        await registry.damage(LAYER, DAMAGED)
        storage = WatchedStorage(registry.storage)
        seen = 0

        async def fail(name: str, path: str, *, failing: str = call) -> None:
            nonlocal seen
            if name == failing and path == paths.blob(LAYER):
                seen += 1
                if failing == "move" or seen > 3:
                    raise asyncio.CancelledError

        storage.before = fail
        with contextlib.suppress(asyncio.CancelledError, BackendError):
            await registry.check(storage=storage, repairs=True)
        await registry.check(repairs=True)
        assert not await registry.store.links.has(NAME, LAYER)
        assert not await registry.storage.exists(paths.blob(LAYER))
        await push_blob(registry.store, CONTENT)
        assert (await registry.check()).kinds == {}


async def test_what_a_repair_left_to_garbage_collection_is_collected(registry: Registry) -> None:
    assert registry.database is not None
    await push_image(registry.store, IMAGE, "1")
    stray, wanted = Digest.of(b"stray"), Digest.of(b"wanted")
    for digest, content in ((stray, b"stray"), (wanted, b"wanted")):
        await registry.damage(digest, content)
    await registry.check(repairs=True)
    await push_blob(registry.store, b"wanted")
    await SqlReviewDelay(registry.database).set(timedelta(0))
    await registry.run("UPDATE gc_blob_review_queue SET review_after = created_at WHERE event <> $1", "none")
    await BlobCollector(SqlBlobReviews(registry.database), registry.storage, Deadlines()).round(limit=1000)
    assert not await registry.storage.exists(paths.blob(stray))
    assert await registry.storage.exists(paths.blob(LAYER)), "needed by an image"
    assert await registry.store.manifests.has(NAME, MANIFEST)
    assert (await registry.check()).kinds == {}
