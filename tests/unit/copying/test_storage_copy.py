"""Copies of a storage onto another: all of it, nothing twice, and at every moment something that can be pulled."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from moorage.copying.ends import CopyEnds
from moorage.copying.kinds import ObjectKind
from moorage.copying.outcome import CopyFinding, CopyOutcome
from moorage.copying.shared_work import BytePace
from moorage.copying.storage_copy import StorageCopy
from moorage.errors import StorageFull, StorageUnavailable
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import Stat, StorageDriver
from moorage.storage.filesystem.filesystem_driver import FilesystemDriver
from moorage.storage.memory import MemoryDriver
from moorage.work.reports import WorkReports
from support.bucket import Bucket, Killed
from support.odd_files import ODD_FILES, put_odd_file
from support.trees import REPOSITORY, broken, everything, push, put_manifest

LARGE = bytes(range(256)) * 1000


def copy_of(
    source: StorageDriver, target: StorageDriver, *, changes: bool = True, pace: BytePace | None = None
) -> tuple[StorageCopy, CopyOutcome]:
    outcome = CopyOutcome()
    ends = CopyEnds(source=source, target=target, pace=pace or BytePace(None), changes=changes)
    return StorageCopy(ends, outcome, WorkReports()), outcome


async def copied(source: StorageDriver, target: StorageDriver, *, changes: bool = True) -> CopyOutcome:
    copy, outcome = copy_of(source, target, changes=changes)
    await copy.whole_round()
    await copy.count()
    return outcome


async def two_images(storage: StorageDriver) -> None:
    await push(storage, "1", [b"configuration", b"layer", LARGE])
    await push(storage, "2", [b"another", b"layer"], repository=RepositoryName("a/b/c"))
    index = {"schemaVersion": 2, "manifests": [{"digest": str(await put_manifest(storage, b'{"layers": []}', "old"))}]}
    await put_manifest(storage, json.dumps(index).encode(), "index")


def small_parts(**keys: int) -> Bucket:
    made = Bucket(**keys)  # type: ignore[arg-type]
    made.part_bytes = 100_000
    return made


KINDS: dict[str, Callable[[Path], StorageDriver]] = {
    "bucket": lambda _: small_parts(),
    "inmemory": lambda _: MemoryDriver(),
    "filesystem": lambda folder: FilesystemDriver(folder, fsync=False),
}


@pytest.mark.parametrize(("one", "other"), list(itertools.product(KINDS, KINDS)))
async def test_all_of_a_storage_is_on_the_other_afterwards_whatever_kinds_the_two_are(
    one: str, other: str, tmp_path: Path
) -> None:
    source, target = KINDS[one](tmp_path / "source"), KINDS[other](tmp_path / "target")
    await two_images(source)
    await source.put(f"{paths.repository(REPOSITORY)}/_uploads/1/data", b"half")
    outcome = await copied(source, target)
    assert await everything(target) == await everything(source)
    assert not await target.exists(f"{paths.repository(REPOSITORY)}/_uploads")
    assert (outcome.differing, outcome.has_failed, dict(outcome.findings)) == ([], False, {})
    assert outcome.source.objects[ObjectKind.TAG] == 4
    await source.close()
    await target.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_tags_that_are_called_like_folders_of_a_registry_are_copied_too(kind: str, tmp_path: Path) -> None:
    names = ["_uploads", "_manifests", "_layers", "current", "index", "sha256"]
    source, target = KINDS[kind](tmp_path / "source"), KINDS[kind](tmp_path / "target")
    for name in names:
        await push(source, name, [b"configuration", b"layer"])
    await copied(source, target)
    for name in names:
        tag = paths.tag_link(REPOSITORY, Tag(name))
        assert await target.exists(tag), name
        assert await target.get(tag) == await source.get(tag)
    await source.close()
    await target.close()


async def test_a_repeat_copies_only_what_is_new_and_tags_that_moved() -> None:
    source, target = Bucket(), Bucket()
    await two_images(source)
    await copied(source, target)
    outcome = await copied(source, target)
    assert outcome.copied.total() == 0
    third = await push(source, "1", [b"configuration", b"new"])
    outcome = await copied(source, target)
    assert dict(outcome.copied) == {
        ObjectKind.BLOB: 2,
        ObjectKind.LAYER: 1,
        ObjectKind.REVISION: 1,
        ObjectKind.INDEX: 1,
        ObjectKind.TAG: 1,
    }
    assert await target.get(paths.tag_link(REPOSITORY, Tag("1"))) == str(third.manifest).encode()


async def test_a_copy_that_is_killed_at_any_request_leaves_what_can_be_pulled_and_goes_on() -> None:
    source = Bucket()
    await two_images(source)
    for number in itertools.count(1, 3):
        target = small_parts()
        target.dies_at = number
        try:
            await copied(source, target)
        except Killed:
            pass
        else:
            break
        target.dies_at = None
        assert await broken(target) == [], number
        await copied(source, target)
        assert await everything(target) == await everything(source), number
    assert number > 20


async def test_what_is_pushed_between_blobs_and_links_comes_with_its_blobs() -> None:
    class Pushing(Bucket):
        is_pushed = False

        async def all_below(self, path: str) -> AsyncIterator[Sequence[tuple[str, Stat]]]:
            if path == paths.REPOSITORIES and not self.is_pushed:
                self.is_pushed = True
                await push(self, "3", [b"late", b"later"])
            async for page in super().all_below(path):
                yield page

    source, target = Pushing(), Bucket()
    await push(source, "1", [b"configuration", b"layer"])
    await copied(source, target)
    assert await broken(target) == []
    assert await target.exists(paths.tag_link(REPOSITORY, Tag("3")))


async def test_a_blob_with_another_digest_is_told_and_not_copied() -> None:
    source, target = Bucket(), Bucket()
    image = await push(source, "1", [b"configuration", b"layer"])
    await source.put(paths.blob(image.blobs[1]), b"rotten")
    outcome = await copied(source, target)
    assert outcome.noted.first == [(CopyFinding.BLOB_DAMAGED, paths.blob(image.blobs[1]), "")]
    assert outcome.has_failed
    assert outcome.differing == [ObjectKind.BLOB]
    assert not await target.exists(paths.blob(image.blobs[1]))


@pytest.mark.parametrize("made", [small_parts, MemoryDriver])
async def test_a_damaged_blob_in_parts_or_in_a_file_leaves_nothing_behind(made: Callable[[], StorageDriver]) -> None:
    source, target = Bucket(), made()
    await source.put(paths.blob(Digest.of(LARGE)), LARGE[:-1] + b"x")
    await copied(source, target)
    assert await everything(target, "/docker") == {}
    assert not getattr(target, "parts", {})


async def test_empty_and_damaged_links_are_told_and_never_written() -> None:
    source, target = Bucket(), Bucket()
    image = await push(source, "1", [b"configuration", b"layer"])
    empty = [paths.tag_link(REPOSITORY, Tag("empty")), paths.layer_link(REPOSITORY, Digest.of(b"nothing"))]
    for path in empty:
        await source.put(path, b"")
    damaged = paths.layer_link(REPOSITORY, image.blobs[1])
    await source.put(damaged, str(image.blobs[0]).encode())
    outcome = await copied(source, target)
    assert {(finding, path) for finding, path, _ in outcome.noted.first} == {
        (CopyFinding.EMPTY_LINK, empty[0]),
        (CopyFinding.EMPTY_LINK, empty[1]),
        (CopyFinding.LINK_DAMAGED, damaged),
    }
    assert all(content for content in (await everything(target)).values())
    assert not await target.exists(damaged)
    assert outcome.source.empty_links == 2


async def test_an_empty_link_that_another_tool_has_left_on_the_target_is_written_over() -> None:
    source, target = Bucket(), Bucket()
    await two_images(source)
    for path in await everything(source):
        if path.endswith("/link"):
            await target.put(path, b"")
    outcome = await copied(source, target)
    assert await everything(target) == await everything(source)
    assert outcome.target.empty_links == 0


async def test_a_link_to_what_the_source_has_not_is_copied_as_it_is_and_told() -> None:
    source, target = Bucket(), Bucket()
    image = await push(source, "1", [b"configuration", b"layer"])
    await source.delete(paths.blob(image.blobs[1]))
    outcome = await copied(source, target)
    assert await everything(target) == await everything(source)
    assert (CopyFinding.BLOB_MISSING, paths.blob(image.blobs[1]), "") in outcome.noted.first
    assert (outcome.has_failed, outcome.differing) == (False, [])


async def test_a_dry_run_says_what_a_copy_does_and_writes_nothing() -> None:
    source, target = Bucket(), Bucket()
    await two_images(source)
    foreseen = await copied(source, target, changes=False)
    assert await everything(target, "/docker") == {}
    done = await copied(source, target)
    assert (foreseen.copied, foreseen.copied_bytes) == (done.copied, done.copied_bytes)


async def test_what_the_source_has_no_more_goes_at_the_end() -> None:
    source, target = Bucket(), Bucket()
    await two_images(source)
    await copied(source, target)
    await source.delete(paths.tag(REPOSITORY, Tag("1")))
    await source.delete(paths.repository(RepositoryName("a/b/c")))
    await source.delete(paths.blob(Digest.of(LARGE)))
    copy, outcome = copy_of(source, target)
    await copy.whole_round()
    await copy.remove_what_is_gone()
    assert await everything(target) == await everything(source)
    assert outcome.deleted[ObjectKind.TAG] == 2
    assert outcome.deleted[ObjectKind.BLOB] == 1


async def test_a_full_target_ends_it_and_an_object_that_cannot_be_read_does_not() -> None:
    source = Bucket()
    await two_images(source)
    with pytest.raises(StorageFull):
        await copied(source, Bucket(limit_bytes=1000))
    target = Bucket()
    target.refuses = (8, StorageUnavailable("away"))
    outcome = await copied(source, target)
    assert outcome.findings[CopyFinding.NOT_COPIED] == 1
    assert await broken(target) == []


async def test_bytes_pass_no_faster_than_is_wanted() -> None:
    slept: list[float] = []

    async def sleep(duration_s: float) -> None:
        slept.append(duration_s)

    source = Bucket()
    await push(source, "1", [b"configuration", LARGE])
    copy, outcome = copy_of(source, Bucket(), pace=BytePace(1000.0, clock=lambda: 0.0, sleep=sleep))
    await copy.whole_round()
    total_s = outcome.copied_bytes.total() / 1000
    assert total_s - 0.3 < max(slept) <= total_s


async def test_a_storage_that_gives_nothing_ends_it_after_a_while() -> None:
    class Away(Bucket):
        async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
            del limit_bytes
            raise StorageUnavailable(path)

    source = Away()
    for number in range(1100):
        digest = Digest.of(str(number).encode())
        await source.put(paths.layer_link(REPOSITORY, digest), str(digest).encode())
    with pytest.raises(StorageUnavailable):
        await copied(source, Bucket())


async def test_a_tag_that_moves_between_two_rounds_of_one_copy_is_copied_again_and_a_failure_is_forgotten() -> None:
    source, target = Bucket(), Bucket()
    await push(source, "1", [b"configuration", b"layer"])
    copy, outcome = copy_of(source, target)
    target.refuses = (8, StorageUnavailable("away"))
    await copy.whole_round()
    had_failed = outcome.has_failed
    await push(source, "1", [b"configuration", b"another"])
    await copy.whole_round()
    assert (had_failed, outcome.has_failed) == (True, False)
    assert outcome.rounds == 2
    assert await everything(target) == await everything(source)


@pytest.mark.parametrize("kind", ODD_FILES)
async def test_what_is_no_file_is_named_and_fails_the_copy_and_all_else_is_copied(kind: str, tmp_path: Path) -> None:
    source, target = KINDS["filesystem"](tmp_path / "source"), KINDS["filesystem"](tmp_path / "target")
    await two_images(source)
    tag = paths.tag_link(REPOSITORY, Tag("1"))
    odd = [f"{paths.BLOBS}/sha256/zz", f"{paths.repository(REPOSITORY)}/elsewhere", tag]
    for path in odd[:2]:
        ODD_FILES[kind](tmp_path / "source" / path[1:])
    put_odd_file(kind, tmp_path / "source" / tag[1:])
    outcome = await copied(source, target)
    assert {path for finding, path, _ in outcome.noted.first if finding is CopyFinding.NO_FILE} == set(odd)
    assert outcome.has_failed
    there = await everything(target)
    assert paths.tag_link(RepositoryName("a/b/c"), Tag("2")) in there
    assert not set(odd) & set(there)
