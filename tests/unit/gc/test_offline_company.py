"""Who else may be at work beside a collection, and what it spares if it is told to go on regardless."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from moorage.errors import BackendError, StorageUnavailable
from moorage.gc.offline.offline_collection import CollectionRefused
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.file_storage import FileStorage
from moorage.storage.memory import MemoryDriver
from moorage.storage.presence import Activity, announce, others_at_work
from support.bucket import Bucket
from unit.gc.registry import APP, Writer, all_paths, collect, digests_in

DAY = timedelta(hours=24)
FORCED = OfflineOptions(delete_untagged=True, force=True, grace=DAY)


class Clock:
    """What time it is for new objects."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[MemoryDriver, Bucket])
def aging(request: pytest.FixtureRequest, clock: Clock) -> MemoryDriver | Bucket:
    made: MemoryDriver | Bucket = request.param(now=clock)
    return made


async def test_a_registry_that_takes_pushes_keeps_a_collection_out(storage: StorageDriver, app: Writer) -> None:
    await app.image("gone")
    writing = await announce(storage, Activity.WRITING)
    before = await all_paths(storage)
    with pytest.raises(CollectionRefused) as refused:
        await collect(storage)
    assert await all_paths(storage) == before
    text = str(refused.value)
    assert "storage.maintenance.readonly.enabled: true" in text
    assert "REGISTRY_STORAGE_MAINTENANCE_READONLY='{\"enabled\":true}'" in text
    assert "--force" in text
    await writing.close()
    assert (await collect(storage)).manifests_deleted == 1


async def test_another_collection_keeps_one_out(storage: StorageDriver, app: Writer) -> None:
    await app.image("gone")
    collecting = await announce(storage, Activity.COLLECTING)
    with pytest.raises(CollectionRefused, match="another garbage collection is at work"):
        await collect(storage)
    await collecting.close()
    assert (await collect(storage)).manifests_deleted == 1


async def test_what_a_killed_registry_leaves_is_no_obstacle_and_is_removed(files: FileStorage) -> None:
    await Writer(files).image("gone")
    await files.put(paths.lock_file("writing-0123456789abcdef"), b"somebody process 1")
    await files.put(paths.lock_file("collecting-0123456789abcdef"), b"")
    assert (await collect(files)).manifests_deleted == 1
    assert not [path for path in await all_paths(files) if paths.LOCK_FILES in path]


async def test_a_dry_run_needs_nobody_to_be_away(storage: StorageDriver, app: Writer) -> None:
    await app.image("gone")
    writing = await announce(storage, Activity.WRITING)
    totals = await collect(storage, OfflineOptions(delete_untagged=True, dry_run=True))
    assert totals.manifests_to_delete == 1
    await writing.close()


async def test_an_announcement_says_who_it_is(storage: StorageDriver) -> None:
    ours = await announce(storage, Activity.WRITING)
    (found,) = await others_at_work(storage, Activity.WRITING)
    assert "process" in str(found)
    assert ours.path.lstrip("/") in str(found)
    assert await others_at_work(storage, Activity.WRITING, but=ours) == []
    assert await others_at_work(storage, Activity.COLLECTING) == []
    await ours.close()
    assert await all_paths(storage) == set()


async def test_forced_a_run_goes_on_beside_a_writer(aging: MemoryDriver | Bucket, clock: Clock) -> None:
    app = Writer(aging)
    await app.image("gone")
    kept = await app.image("kept", tags=["1"])
    writing = await announce(aging, Activity.WRITING)
    clock.now -= 2 * DAY
    old = type(aging)(now=clock)
    for path in await all_paths(aging):
        await old.put(path, await aging.get(path))
    writing_there = await announce(old, Activity.WRITING)
    assert (await collect(old, FORCED)).manifests_deleted == 1
    assert await digests_in(old) == kept.all
    await writing.close()
    await writing_there.close()


async def test_forced_a_run_spares_what_is_young(aging: MemoryDriver | Bucket, clock: Clock) -> None:
    app = Writer(aging)
    clock.now -= 2 * DAY
    old_layer, old_image = await app.blob("old layer"), await app.image("old image")
    mounted = await app.blob("old, and just mounted")
    await aging.put(paths.blob(Digest.of(b"old")), b"old")
    clock.now += 2 * DAY
    unlinked = Digest.of(b"its link is on the way")
    await aging.put(paths.blob(unlinked), b"its link is on the way")
    await aging.put(paths.layer_link(APP, mounted), str(mounted).encode())
    uploaded = await app.blob("just uploaded")
    pushed = await app.image("pushed by digest, the tag to follow", layers=[old_layer])
    totals = await collect(aging, FORCED)
    assert await digests_in(aging) == {mounted, uploaded, unlinked, old_layer} | pushed.all
    assert await app.has(pushed.digest)
    assert not await app.has(old_image.digest)
    assert await app.layers() == {mounted, uploaded, *pushed.blobs}
    assert totals.manifests_deleted == 1


@pytest.mark.parametrize("kind", [MemoryDriver, Bucket])
async def test_forced_a_run_spares_what_is_pushed_again_before_it_is_deleted(
    kind: type[MemoryDriver | Bucket], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now -= 2 * DAY
    storage = kind(now=clock)
    app = Writer(storage)
    await app.image("first to go")
    gone = await app.image("gone")
    name = "delete_each" if kind is MemoryDriver else "remove"
    delete = getattr(storage, name)

    async def push_first(objects: Sequence[str], **how: object) -> object:
        monkeypatch.setattr(storage, name, delete)  # Everything is marked by now.
        clock.now += 2 * DAY
        await Writer(storage).image("gone", tags=["back"])
        return await delete(objects, **how)

    monkeypatch.setattr(storage, name, push_first)
    await collect(storage, FORCED)
    assert getattr(storage, name) == delete
    assert (await app.manifests.find(APP, Tag("back"))).digest == gone.digest
    assert await digests_in(storage) == gone.all
    assert await app.layers() == set(gone.blobs)


class Keeping(Bucket):
    """A bucket whose retention rule keeps some objects for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: set[str] = set()

    async def remove(self, paths: Sequence[str], *, until: float, rest: float = 0.0) -> Mapping[str, BackendError]:
        going = [path for path in paths if path not in self.kept]
        failures = await super().remove(going, until=until, rest=rest)
        return {**failures, **{path: StorageUnavailable("kept by a rule") for path in paths if path in self.kept}}


async def test_a_blob_that_a_bucket_keeps_spares_no_other_and_a_later_run_takes_it() -> None:
    bucket = Keeping()
    app = Writer(bucket)
    alive, gone = await app.image("alive", tags=["1"]), await app.image("gone")
    held = gone.blobs[0]
    bucket.kept = {paths.blob(held)}
    with capture_logs() as said:
        totals = await collect(bucket)
    assert (totals.blobs_deleted, totals.blobs_not_deleted) == (len(gone.all) - 1, 1)
    assert await digests_in(bucket) == alive.all | {held}
    [told] = [line for line in said if line["event"] == "blob not deleted"]
    assert (told["path"], told["reason"]) == (paths.blob(held), "kept by a rule")
    bucket.kept = set()
    again = await collect(bucket)
    assert (again.blobs_deleted, again.blobs_not_deleted) == (1, 0)
    assert await digests_in(bucket) == alive.all


async def test_a_link_that_a_bucket_keeps_ends_the_run_as_what_it_leads_to_would_look_alive() -> None:
    bucket = Keeping()
    gone = await Writer(bucket).image("gone")
    bucket.kept = {paths.revision_link(APP, gone.digest)}
    with pytest.raises(StorageUnavailable, match="kept by a rule"):
        await collect(bucket)
    assert gone.all <= await digests_in(bucket)


async def test_a_backup_keeps_a_collection_out_even_one_that_is_forced(storage: StorageDriver, app: Writer) -> None:
    await app.image("gone")
    copying = await announce(storage, Activity.BACKING_UP)
    for options in (OfflineOptions(delete_untagged=True), FORCED):
        with pytest.raises(CollectionRefused, match="a backup of this storage is being made"):
            await collect(storage, options)
    await copying.close()
    assert (await collect(storage)).manifests_deleted == 1
