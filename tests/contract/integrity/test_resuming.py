"""A check that was ended anywhere, and goes on, finds what one finds that was not ended."""

import asyncio
import random
from pathlib import Path

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import push_blob
from moorage.errors import StorageFull
from moorage.integrity import blobs, manifests, progress
from moorage.integrity.findings import Tally
from moorage.integrity.progress import unfinished
from moorage.oci.digests import Digest
from moorage.storage import paths


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each few blobs and manifests are a position, and each is saved."""
    monkeypatch.setattr(blobs, "_BATCH", 3)
    monkeypatch.setattr(manifests, "_PAGE", 2)
    monkeypatch.setattr(progress, "SAVE_INTERVAL_S", 0.0)


async def damaged(registry: Registry) -> None:
    """A registry with a bit of everything wrong with it."""
    await fill(registry)
    for number in range(30):
        content = f"blob {number}".encode()
        digest = await push_blob(registry.store, content)
        if number % 3 == 0:
            await registry.lose(digest)
        elif number % 3 == 1:
            await registry.damage(digest, content[::-1])
    for number in range(5):
        await registry.damage(Digest.of(f"stray {number}".encode()), f"stray {number}".encode())
        await registry.storage.put(f"{paths.BLOBS}/sha256/{number}{number}/stranger-{number}", b"?")
        await registry.storage.put(f"{paths.BLOBS}/sha256/stranger-{number}", b"?")
    await registry.storage.put(f"{paths.BLOBS}/zzz", b"?")


class Ended(Exception):
    """As by kill -9: what is not in storage by then is lost."""


class EndsAfter:
    """A watcher that ends the check after so many positions."""

    def __init__(self, left: int) -> None:
        self.left = left

    def watch(self, phase: str, share: float, tally: Tally) -> None:
        assert 0 <= share <= 1
        del phase, tally
        self.left -= 1
        if self.left < 0:
            raise Ended


def summary(tally: Tally) -> object:
    findings = sorted((finding.kind.value, finding.subject, finding.repository) for finding in tally.noted.first)
    return findings, tally.differences, tally.notes, tally.blobs, tally.manifests, tally.hashed_bytes


def lines_of(report: Path) -> list[str]:
    return sorted(report.read_text().splitlines())


async def compare(registry: Registry, report: Path) -> None:
    whole = await registry.check(report=report)
    assert len(whole.kinds) > 2
    lines = lines_of(report)
    positions, source = 0, random.Random(7)
    for attempt in range(1000):
        watcher = EndsAfter(source.randint(0, 3)) if attempt else EndsAfter(1)
        try:
            found = await registry.check(resumes=attempt > 0, watcher=watcher, report=report)
        except Ended:
            positions += 1
            continue
        break
    assert positions > 3
    assert summary(found.tally) == summary(whole.tally)
    assert lines_of(report) == lines


async def test_it_finds_the_same_with_a_database(registry: Registry, tmp_path: Path) -> None:
    await damaged(registry)
    await compare(registry, tmp_path / "report")


async def test_it_finds_the_same_with_link_files(
    layout: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await damaged(layout)
    monkeypatch.setattr(EndsAfter, "watch", _ends_in_blobs)
    await compare(layout, tmp_path / "report")


def _ends_in_blobs(self: EndsAfter, phase: str, share: float, tally: Tally) -> None:
    del share, tally
    self.left -= phase == "blobs"
    if self.left < 0 and phase == "blobs":
        raise Ended


async def test_the_links_are_read_anew_and_counted_once(layout: Registry) -> None:
    await damaged(layout)
    whole = await layout.check()

    class InLinks(EndsAfter):
        def watch(self, phase: str, share: float, tally: Tally) -> None:
            if phase == "links":
                super().watch(phase, share, tally)

    for left in (3, 9):
        with pytest.raises(Ended):
            await layout.check(watcher=InLinks(left), resumes=left > 3)
    assert summary((await layout.check(resumes=True)).tally) == summary(whole.tally)


async def test_a_check_that_is_cancelled_while_it_hashes_ends_and_leaves_where_it_was(registry: Registry) -> None:
    await damaged(registry)
    storage = WatchedStorage(registry.storage)
    opened = asyncio.Event()

    async def note(call: str, _path: str) -> None:
        if call == "open":
            opened.set()

    storage.before = note
    task = asyncio.create_task(registry.check(storage=storage))
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    state = await unfinished(registry.storage)
    assert state is not None
    assert state.phase == "blobs"


async def test_a_storage_that_takes_nothing_can_be_checked(registry: Registry) -> None:
    await damaged(registry)
    storage = WatchedStorage(registry.storage)

    async def refuse(call: str, path: str) -> None:
        if call == "put":
            raise StorageFull(path)

    storage.before = refuse
    assert (await registry.check(storage=storage)).kinds == (await registry.check()).kinds
