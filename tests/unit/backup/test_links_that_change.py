"""Link files that are read while others push, move tags and delete: what was acknowledged before is there and whole."""

import json
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from contract.integrity.registries import layout_store_over
from contract.metadata.pushing import NAME, NOBODY, push, push_image
from contract.metadata.stores import Store
from moorage.backup.link_files import LinkFilesOut, blobs_in_storage, link_lines
from moorage.oci.digests import Digest, linked_digest
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.base import FolderEntry
from support.bucket import Bucket
from support.images import image, index

Change = Callable[[str], Awaitable[None]]


class Busy(Bucket):
    """A bucket in which others do something between any two requests of a backup."""

    def __init__(self) -> None:
        super().__init__()
        self.change: Change | None = None

    async def get(self, path: str, *, limit_bytes: int = 4 << 20) -> bytes:
        try:
            return await super().get(path, limit_bytes=limit_bytes)
        finally:
            await self._changed(f"got {path}")

    async def list(self, path: str, *, after: str = "", limit: int | None = None) -> list[FolderEntry]:
        await self._changed(f"lists {path}")
        return await super().list(path, after=after, limit=limit)

    async def _changed(self, said: str) -> None:
        change, self.change = self.change, None  # What is done there is not the backup's.
        if change is not None:
            await change(said)
            self.change = change


@pytest.fixture
def bucket() -> Busy:
    return Busy()


@pytest.fixture
def store(bucket: Busy) -> Store:
    return layout_store_over(bucket)


async def copied(bucket: Busy, target: Path, change: Change) -> dict[str, bytes]:
    bucket.change = change
    await LinkFilesOut(bucket).copy(target / "links.jsonl")
    bucket.change = None
    return dict(link_lines(target / "links.jsonl"))


def once(when: Callable[[str], bool], *work: Callable[[], Awaitable[object]]) -> Change:
    """Do one *work* after another, each when something is asked for the next time."""
    left = list(work)

    async def change(said: str) -> None:
        if left and when(said):
            await left.pop(0)()

    return change


def tag_in(found: dict[str, bytes], tag: str) -> Digest | None:
    link = found.get(paths.tag_link(NAME, Tag(tag)))
    return None if link is None else linked_digest(link)


async def test_a_tag_that_is_moved_while_its_old_manifest_is_deleted_is_not_lost(
    bucket: Busy, store: Store, tmp_path: Path
) -> None:
    old = await push_image(store, image("old"), "latest")

    async def moved() -> None:
        await push_image(store, image("new"), "latest")
        await store.manifests.delete(NAME, old, cause=NOBODY)

    link = paths.tag_link(NAME, Tag("latest"))
    found = await copied(bucket, tmp_path, once(lambda said: said == f"got {link}", moved))
    new = Digest.parse(image("new").digest)
    assert tag_in(found, "latest") == new
    assert paths.revision_link(NAME, new) in found
    for blob in image("new").blobs:
        assert paths.layer_link(NAME, Digest.parse(blob.digest)) in found


async def test_a_tag_whose_manifest_a_deletion_takes_away_and_gives_back_is_not_lost(
    bucket: Busy, store: Store, tmp_path: Path
) -> None:
    digest = await push_image(store, image("used"), "used")
    link = paths.revision_link(NAME, digest)
    away = once(
        lambda said: said in (f"got {paths.tag_link(NAME, Tag('used'))}", f"got {link}"),
        lambda: bucket.delete(link),
        lambda: bucket.put(link, str(digest).encode()),
    )
    assert tag_in(await copied(bucket, tmp_path, away), "used") == digest


async def test_an_index_that_comes_meanwhile_comes_with_all_that_it_lists(
    bucket: Busy, store: Store, tmp_path: Path
) -> None:
    for algorithm in ("sha256", "sha512"):
        await push(store, image(algorithm).manifest, algorithm=algorithm)

    async def pushed() -> None:
        await push_image(store, image("child"))
        await push(store, index([image("child").manifest]), algorithm="sha512")

    folder = f"{paths.revisions(NAME)}/sha512"
    found = await copied(bucket, tmp_path, once(lambda said: said == f"lists {folder}", pushed))
    late = Digest.of(index([image("child").manifest]).body, "sha512")
    assert paths.revision_link(NAME, late) in found
    assert paths.revision_link(NAME, Digest.parse(image("child").digest)) in found


async def test_a_manifest_that_is_half_written_when_it_is_first_seen_is_looked_at_again(
    bucket: Busy, store: Store, tmp_path: Path
) -> None:
    await push(store, image("some").manifest, algorithm="sha512")
    digest = Digest.parse(image("child").digest)
    await bucket.put(paths.content_type(NAME, digest), b"some/type")

    async def pushed() -> None:
        await push_image(store, image("child"))
        await push(store, index([image("child").manifest]), algorithm="sha512")

    folder = f"{paths.revisions(NAME)}/sha512"
    found = await copied(bucket, tmp_path, once(lambda said: said == f"lists {folder}", pushed))
    assert paths.revision_link(NAME, digest) in found


class Others:
    """Clients that push, move tags, and delete manifests that no tag names any more."""

    TAGS: Sequence[str] = [f"v{number}" for number in range(4)]
    CHANGES = 60

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._chance = random.Random(seed)
        self._count = 0
        self._seed = seed
        self.was: dict[str, list[Digest]] = {}

    async def begin(self) -> None:
        for tag in self.TAGS:
            await self.move(tag)

    async def change(self, _: str) -> None:
        """Do something, or nothing; at last nothing."""
        if self._count > self.CHANGES:
            return
        tag = self._chance.choice(self.TAGS)
        work = self._chance.choice([None, self.move, self.replace, self.replace, self.index])
        if work is not None:
            await work(tag)

    async def move(self, tag: str) -> None:
        self._count += 1
        digest = await push_image(self._store, image((self._seed, self._count)), tag)
        self.was.setdefault(tag, []).append(digest)

    async def replace(self, tag: str) -> None:
        """Move a tag, and delete what it pointed to."""
        old = self.was[tag][-1]
        await self.move(tag)
        await self._store.manifests.delete(NAME, old, cause=NOBODY)

    async def index(self, _: str) -> None:
        """Push an index by its digest, with two images."""
        children = [image((self._seed, self._count, number)) for number in range(2)]
        self._count += 1
        for child in children:
            await push_image(self._store, child)
        await push(self._store, index([child.manifest for child in children]))


@pytest.mark.parametrize("seed", range(12))
async def test_under_changes_every_tag_is_there_and_nothing_names_what_is_not(
    bucket: Busy, store: Store, tmp_path: Path, seed: int
) -> None:
    others = Others(store, seed)
    await others.begin()
    found = await copied(bucket, tmp_path, others.change)
    stored = {blob.digest async for blob in blobs_in_storage(bucket)}
    for tag in Others.TAGS:
        assert tag_in(found, tag) in others.was[tag], tag
    manifests = [digest for path in found if (digest := _revision(path)) is not None]
    assert {tag_in(found, tag) for tag in Others.TAGS} <= set(manifests)
    for digest in manifests:
        assert digest in stored
        document = json.loads(await bucket.get(paths.blob(digest)))
        for child in document.get("manifests", []):
            assert paths.revision_link(NAME, Digest.parse(child["digest"])) in found, digest
        for blob in (*document.get("layers", []), *([document["config"]] if "config" in document else [])):
            assert paths.layer_link(NAME, Digest.parse(blob["digest"])) in found, digest
            assert Digest.parse(blob["digest"]) in stored


def _revision(path: str) -> Digest | None:
    _, is_one, rest = path.partition("/_manifests/revisions/")
    return Digest.parse(":".join(rest.split("/")[:2])) if is_one and rest.endswith("/link") else None


async def test_a_tag_whose_manifest_is_gone_for_good_is_left_out(bucket: Busy, store: Store, tmp_path: Path) -> None:
    await push_image(store, image("kept"), "kept")
    digest = await push_image(store, image("lost"), "lost")
    await bucket.delete(paths.revision(NAME, digest))
    found = await copied(bucket, tmp_path, once(lambda _: False))
    assert (tag_in(found, "lost"), tag_in(found, "kept")) == (None, Digest.parse(image("kept").digest))
