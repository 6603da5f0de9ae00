"""Broken links, damaged manifests, storage that is not what it should be."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog

from moorage.gc.offline import offline_collection as offline
from moorage.gc.offline.marks import Marks
from moorage.gc.offline.offline_collection import CollectionRefused, NotesFull
from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import locks, paths
from moorage.storage.base import StorageDriver
from moorage.storage.locks import Lock
from unit.core.breaking import DenyingDriver
from unit.gc.registry import APP, UNTAGGED, Writer, all_paths, collect, digests_in

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda payload: payload[:-1],
    "another": lambda payload: payload.replace(b"layer", b"Layer"),
    "empty": lambda _: b"",
}


BROKEN_LINKS = [b"", b"nonsense", b"sha256:0123", b"\xff\xfe"]
KEEPING_AND_NOT = pytest.mark.parametrize("options", [OfflineOptions(), UNTAGGED])


@KEEPING_AND_NOT
@pytest.mark.parametrize("content", BROKEN_LINKS)
async def test_what_a_tag_points_to_stays_whatever_its_revision_link_says(
    content: bytes, options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    image = await app.image("image", tags=["1"])
    path = paths.revision_link(APP, image.digest)
    await storage.put(path, content)
    await app.blob("orphan")
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage, options)
    assert await digests_in(storage) == image.all
    assert await app.layers() == set(image.blobs)
    assert totals.links_invalid == 1
    assert invalid_links(logged) == [(path, "is no digest" if content else "is empty")]


@KEEPING_AND_NOT
async def test_what_a_tag_points_to_stays_without_any_revision_link_down_to_the_layers(
    options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    child = await app.image("child")
    inner = await app.index([child.digest])
    outer = await app.index([inner.digest, Digest.of(b"never here")], tags=["all"])
    for digest in (child.digest, inner.digest, outer.digest):
        await storage.delete(paths.revision(APP, digest))
    await app.blob("orphan")
    totals = await collect(storage, options)
    assert await digests_in(storage) == child.all | inner.all | outer.all
    assert (totals.repositories_kept_whole, totals.manifests_missing) == (0, 0)


@KEEPING_AND_NOT
async def test_a_folder_in_the_place_of_a_link_keeps_what_its_path_says(
    options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    image, untagged = await app.image("image", tags=["1"]), await app.image("untagged")
    for pushed in (image, untagged):
        path = paths.revision_link(APP, pushed.digest)
        await storage.delete(path)
        await storage.put(f"{path}/oddity", b"")
    with structlog.testing.capture_logs() as logged:
        await collect(storage, options)
    assert await digests_in(storage) == image.all | untagged.all
    assert {reason for _, reason in invalid_links(logged)} == {"is a folder"}


@pytest.mark.parametrize("content", BROKEN_LINKS)
async def test_a_tag_link_that_cannot_be_read_keeps_what_the_tag_ever_pointed_to(
    content: bytes, storage: StorageDriver, app: Writer
) -> None:
    kept, perhaps = await app.image("kept", tags=["1"]), await app.image("perhaps", tags=["2"])
    await app.image("untagged")
    await storage.put(paths.tag_link(APP, Tag("2")), content)
    with structlog.testing.capture_logs() as logged:
        await collect(storage)
    assert await digests_in(storage) == kept.all | perhaps.all
    assert [path for path, _ in invalid_links(logged)] == [paths.tag_link(APP, Tag("2"))]


async def test_a_tag_link_that_cannot_be_read_and_has_no_past_keeps_its_repository_whole(
    storage: StorageDriver, app: Writer, other: Writer
) -> None:
    perhaps = await app.image("perhaps")
    await other.image("kept", tags=["1"])
    await storage.put(paths.tag_link(APP, Tag("2")), b"")
    gone = await other.image("gone")
    totals = await collect(storage)
    assert perhaps.all <= await digests_in(storage)
    assert not gone.all & await digests_in(storage)
    assert totals.repositories_kept_whole == 1


@KEEPING_AND_NOT
@pytest.mark.parametrize("what", ["link", "payload", "tag"])
async def test_what_storage_will_not_give_is_kept_and_does_not_end_the_run(
    what: str, options: OfflineOptions, storage: StorageDriver, app: Writer, *, other: Writer
) -> None:
    image = await app.image("image", tags=["1"])
    orphan = await other.blob("orphan")
    denied = {
        "link": paths.revision_link(APP, image.digest),
        "payload": paths.blob(image.digest),
        "tag": paths.tag_link(APP, Tag("1")),
    }[what]
    await collect(DenyingDriver(storage, f"get {denied}"), options)
    assert image.all <= await digests_in(storage)
    assert await app.layers() == set(image.blobs)
    assert orphan not in await digests_in(storage)


@KEEPING_AND_NOT
@pytest.mark.parametrize("what", ["payload", "tag"])
async def test_told_to_ignore_damage_a_run_keeps_whole_what_storage_will_not_give(
    what: str, options: OfflineOptions, storage: StorageDriver, app: Writer, *, other: Writer
) -> None:
    """An outage of a minute is no damage: the layers of a sound manifest went for good."""
    image = await app.image("image", tags=["1"] if what == "payload" else [])
    await app.raw(b"never tagged by us", tags=["2"])
    orphan = await other.blob("orphan")
    denied = {"payload": paths.blob(image.digest), "tag": paths.tag_link(APP, Tag("2"))}[what]
    totals = await collect(DenyingDriver(storage, f"get {denied}"), replace(options, ignore_damaged=True))
    assert image.all <= await digests_in(storage)
    assert orphan not in await digests_in(storage)
    assert totals.repositories_kept_whole == 1


@KEEPING_AND_NOT
async def test_a_byte_that_is_no_utf8_in_an_annotation_ends_nothing(
    options: OfflineOptions, storage: StorageDriver, app: Writer
) -> None:
    layer = await app.blob("layer")
    payload = b'{"annotations":{"by":"M\xfcller"},"layers":[{"digest":"' + str(layer).encode() + b'"}]}'
    digest = await app.raw(payload, tags=["old"])
    await app.blob("orphan")
    totals = await collect(storage, options)
    assert await digests_in(storage) == {digest, layer}
    assert totals.manifests_damaged == 0


@KEEPING_AND_NOT
@pytest.mark.parametrize("name", ["Team/app", "UPPER", "a__b.c-D"])
async def test_a_repository_whose_name_only_distribution_takes_keeps_its_images(
    name: str, options: OfflineOptions, storage: StorageDriver
) -> None:
    writer = Writer(storage, RepositoryName(name))
    image = await writer.image("image", tags=["1"])
    await writer.blob("orphan")
    await collect(storage, options)
    assert await digests_in(storage) == image.all


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


async def test_a_tag_whose_manifest_has_no_payload_keeps_its_repository_whole_and_is_reported(
    storage: StorageDriver, app: Writer
) -> None:
    kept, lost = await app.image("kept", tags=["1"]), await app.image("lost", tags=["2"])
    await storage.delete(paths.blob(lost.digest))
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage)
    assert await digests_in(storage) == kept.all | set(lost.blobs)
    assert (totals.manifests_missing, totals.repositories_kept_whole) == (1, 1)
    assert [line["digest"] for line in logged if "without its payload" in line["event"]] == [str(lost.digest)]
    assert await storage.exists(paths.revision_link(APP, lost.digest))


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("options", [OfflineOptions(), UNTAGGED, OfflineOptions(dry_run=True)])
async def test_a_manifest_that_cannot_be_read_keeps_its_repository_whole_and_stops_no_other(
    how: str, options: OfflineOptions, storage: StorageDriver, app: Writer, *, other: Writer
) -> None:
    damaged, layer = await app.image("damaged"), await app.blob("perhaps a layer of it")
    await other.image("kept", tags=["1"])
    orphan = await other.blob("orphan")
    path = paths.blob(damaged.digest)
    await storage.put(path, DAMAGE[how](await storage.get(path)))
    with structlog.testing.capture_logs() as logged:
        totals = await collect(storage, options)
    assert {*damaged.all, layer} <= await digests_in(storage)
    assert {*damaged.blobs, layer} <= await app.layers()
    assert (orphan in await digests_in(storage)) == options.dry_run
    assert (totals.manifests_damaged, totals.repositories_kept_whole) == (1, 1)
    (line,) = [line for line in logged if line["log_level"] == "error"]
    assert (line["repository"], line["digest"]) == (APP.text, str(damaged.digest))


async def test_an_index_with_a_child_that_cannot_be_read_keeps_what_the_child_may_need(
    storage: StorageDriver, app: Writer
) -> None:
    child = await app.image("child")
    index = await app.index([child.digest], tags=["all"])
    await storage.put(paths.blob(child.digest), b"rotten")
    await storage.delete(paths.revision(APP, child.digest))
    totals = await collect(storage)
    assert await digests_in(storage) == child.all | index.all
    assert (totals.manifests_damaged, totals.repositories_kept_whole) == (1, 1)


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
        assert (await collect(storage)).manifests_damaged == 1
        assert digest in await digests_in(storage)
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
