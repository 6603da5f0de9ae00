"""Broken links, damaged manifests, storage that is not what it should be."""

from collections.abc import Callable
from typing import Any

import pytest
import structlog

from moorage.gc import offline
from moorage.gc.marks import Marks
from moorage.gc.offline import CollectionRefused, NotesFull
from moorage.gc.offline_run import OfflineOptions
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Lock
from unit.gc.registry import APP, UNTAGGED, Writer, all_paths, collect, digests_in

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda payload: payload[:-1],
    "another": lambda payload: payload.replace(b"layer", b"Layer"),
    "empty": lambda _: b"",
}


async def test_an_empty_revision_link_is_no_manifest(storage: StorageDriver, app: Writer) -> None:
    kept, lost = await app.image("kept", tags=["1"]), await app.image("lost")
    path = paths.revision_link(APP, lost.digest)
    await storage.put(path, b"")
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage, OfflineOptions())
    assert await digests_in(storage) == kept.all
    assert (totals.manifests, totals.links_invalid) == (1, 1)
    assert invalid_links(logged) == [(path, "is empty")]


async def test_an_empty_tag_link_keeps_nothing(storage: StorageDriver, app: Writer) -> None:
    kept = await app.image("kept", tags=["1"])
    await app.image("gone", tags=["2"])
    await storage.put(paths.tag_link(APP, Tag("2")), b"")
    with structlog.testing.capture_logs() as logged:
        await collect(storage)
    assert await digests_in(storage) == kept.all
    assert invalid_links(logged) == [(paths.tag_link(APP, Tag("2")), "is empty")]


async def test_a_revision_link_with_nonsense_in_it_keeps_what_its_path_says(
    storage: StorageDriver, app: Writer
) -> None:
    """The registry serves that manifest; Distribution's collection would take its layers."""
    image = await app.image("image", tags=["1"])
    path = paths.revision_link(APP, image.digest)
    await storage.put(path, b"nonsense")
    with structlog.testing.capture_logs() as logged:
        await collect(storage)
    assert await app.has(image.digest)
    assert await digests_in(storage) == image.all
    assert invalid_links(logged) == [(path, "is no digest")]


@pytest.mark.parametrize("options", [OfflineOptions(), UNTAGGED])
async def test_a_revision_link_that_names_another_manifest_keeps_both(
    options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    """Distribution serves the one that the link names, Moorage the one that the path names."""
    image, pointed = await app.image("image", tags=["1"]), await app.image("pointed")
    await storage.delete(paths.revision(APP, pointed.digest))
    await storage.put(paths.revision_link(APP, image.digest), str(pointed.digest).encode())
    totals = await collect(storage, options)
    assert await digests_in(storage) == image.all | pointed.all
    assert totals.links_invalid == 1


async def test_a_tag_that_points_to_no_manifest_is_no_obstacle(storage: StorageDriver, app: Writer) -> None:
    kept = await app.image("kept", tags=["1"])
    await storage.put(paths.tag_link(APP, Tag("2")), str(Digest.of(b"nothing")).encode())
    await collect(storage)
    assert await digests_in(storage) == kept.all


async def test_a_manifest_without_its_payload_keeps_nothing_and_is_reported(
    storage: StorageDriver, app: Writer
) -> None:
    kept, lost = await app.image("kept", tags=["1"]), await app.image("lost", tags=["2"])
    await storage.delete(paths.blob(lost.digest))
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage)
    assert await digests_in(storage) == kept.all
    assert totals.manifests_missing == 1
    assert [line["digest"] for line in logged if "without its payload" in line["event"]] == [str(lost.digest)]
    assert await storage.exists(paths.revision_link(APP, lost.digest))


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("options", [OfflineOptions(), UNTAGGED, OfflineOptions(dry_run=True)])
async def test_nothing_goes_while_a_manifest_cannot_be_read(
    how: str, options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    damaged = await app.image("damaged")
    await app.blob("orphan")
    path = paths.blob(damaged.digest)
    await storage.put(path, DAMAGE[how](await storage.get(path)))
    before = await all_paths(storage)
    with structlog.testing.capture_logs() as logged, pytest.raises(CollectionRefused, match="--ignore-damaged"):
        await collect(storage, options)
    assert await all_paths(storage) == before
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert (line["repository"], line["digest"]) == (APP.text, str(damaged.digest))


async def test_told_so_a_run_goes_on_and_keeps_the_damaged_manifest_itself(storage: StorageDriver, app: Writer) -> None:
    damaged = await app.image("damaged")
    path = paths.blob(damaged.digest)
    await storage.put(path, b"not JSON")
    totals = await collect(storage, OfflineOptions(delete_untagged=True, ignore_damaged=True))
    assert await digests_in(storage) == {damaged.digest}
    assert await storage.exists(paths.revision_link(APP, damaged.digest))
    assert totals.manifests_damaged == 1


async def test_a_manifest_that_is_no_json_object_counts_as_damaged(storage: StorageDriver, app: Writer) -> None:
    for payload in (b"[]", b"\xff", b"[" * 100_000):
        digest = await app.raw(payload)
        with pytest.raises(CollectionRefused, match="1 manifests cannot be read"):
            await collect(storage)
        await storage.delete(paths.revision(APP, digest))


async def test_images_in_a_database_are_never_collected(storage: StorageDriver, app: Writer) -> None:
    await app.blob("known to the database")
    await app.image("kept", tags=["1"])
    await locks.write(storage, Lock.DATABASE)
    before = await all_paths(storage)
    with structlog.testing.capture_logs() as logged, pytest.raises(CollectionRefused, match="database managed"):
        await collect(storage)
    assert await all_paths(storage) == before
    assert logged[0]["lock_path"] == Lock.DATABASE.path
    assert "remove the file at the lock_path in this log message" in logged[0]["event"]


async def test_without_a_folder_of_repositories_there_is_nothing_to_do(storage: StorageDriver) -> None:
    await storage.put(paths.blob(Digest.of(b"x")), b"x")
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage)
    assert (totals.blobs, totals.blobs_deleted) == (0, 0)
    assert await digests_in(storage) == {Digest.of(b"x")}
    assert [line["log_level"] for line in logged] == ["warning"]


async def test_blobs_without_a_single_repository_with_manifests_are_left_alone(
    storage: StorageDriver, app: Writer
) -> None:
    """So storage looks whose metadata is in a database, if nobody wrote GitLab's lock file."""
    orphan = await app.blob("whose?")
    await collect(storage)
    assert await digests_in(storage) == {orphan}


async def test_the_log_has_gitlabs_fields(storage: StorageDriver, app: Writer) -> None:
    kept = await app.image("kept", tags=["1"])
    await app.image("gone")
    with structlog.testing.capture_logs() as logged:
        await collect(storage)
    ends = {line["stage"]: line for line in logged if line["event"].endswith("stage complete")}
    mark = ends["mark"]
    assert (mark["blobs_marked"], mark["blobs_to_delete"], mark["manifests_to_delete"]) == (len(kept.all), 3, 1)
    assert mark["storage_use_estimate_bytes"] > 0
    assert all(line["duration_s"] >= 0 for line in ends.values())


async def test_without_room_for_its_notes_it_says_which_disk_is_meant(
    storage: StorageDriver, app: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cramped(Marks):
        def __init__(self) -> None:
            super().__init__()
            self._db.execute("PRAGMA max_page_count = 16")

    monkeypatch.setattr(offline, "Marks", Cramped)
    for number in range(200):
        await app.image(f"{number}")
    before = await all_paths(storage)
    with pytest.raises(NotesFull, match="SQLITE_TMPDIR"):
        await collect(storage)
    assert await all_paths(storage) == before


async def test_names_that_need_care_are_repositories_too(storage: StorageDriver) -> None:
    for text in ("a", "a-b", "a/b", "a.b/c__d"):
        writer = Writer(storage, type(APP)(text))
        await writer.image(f"kept in {text}", tags=["1"])
        await writer.image(f"gone from {text}")
    totals = await collect(storage)
    assert (totals.manifests, totals.manifests_deleted) == (8, 4)


def invalid_links(logged: list[Any]) -> list[tuple[str, str]]:
    return [(line["path"], line["reason"]) for line in logged if line["event"] == "invalid link file"]
