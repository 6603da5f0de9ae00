"""Pushes, deletions, retags and mounts over link files, by several processes, in any order of their storage calls.

``MOORAGE_LAYOUT_SEED`` repeats one run.
"""

import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from contract.metadata.pushing import NAME, NOBODY, OTHER, SUBJECT, referrer
from moorage.errors import BlobUnknown, ManifestUnknown, NameUnknown
from moorage.metadata.base import Expectation
from moorage.metadata.layout import LayoutLinks, LayoutManifests
from moorage.metadata.layout_lists import LayoutCatalogue
from moorage.metadata.payloads import PayloadCache
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.storage.memory import MemoryDriver
from property.collection.gated import GatedStorage
from property.collection.gates import Actor, Scheduler
from support.images import Content

RUNS = 60
TAG = Tag("v1")
CONTENTS = [referrer("a"), referrer("b")]
DIGESTS = [Digest.of(content.body) for content in CONTENTS]
BLOB = Digest.of(b"layer")


@dataclass
class Deed:
    """Something that a process did, and when."""

    kind: str
    which: int
    began: int
    ended: int = 0


@dataclass
class Town:
    """One storage, the processes on it, and what they did."""

    seed: int
    storage: MemoryDriver = field(default_factory=MemoryDriver)
    deeds: list[Deed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.scheduler = Scheduler(self.rng, None)
        self.gated = GatedStorage(self.storage, self.scheduler, failing=0.0, on_move=_nothing)

    async def play(self, programs: list[list[tuple[str, int]]]) -> None:
        for number, program in enumerate(programs):
            self.scheduler.start(f"process {number}", self._process(program))
        await self.scheduler.settle()
        while await self.scheduler.step(crash=0.0):
            pass

    def _process(self, program: list[tuple[str, int]]) -> Callable[[Actor], Awaitable[None]]:
        async def work(_: Actor) -> None:
            for kind, which in program:
                deed = Deed(kind, which, self.scheduler.steps)
                with contextlib.suppress(ManifestUnknown, NameUnknown, BlobUnknown):
                    await self._do(kind, which)
                    deed.ended = self.scheduler.steps
                    self.deeds.append(deed)

        return work

    async def _do(self, kind: str, which: int) -> None:
        manifests, links = LayoutManifests(self.gated, PayloadCache()), LayoutLinks(self.gated)
        if kind == "push":
            await put(manifests, CONTENTS[which])
        elif kind == "delete":
            await manifests.delete(NAME, DIGESTS[which], cause=NOBODY)
        elif kind == "untag":
            await manifests.untag(NAME, TAG, cause=NOBODY)
        elif kind == "mount":
            assert await links.mount(OTHER, BLOB, source=NAME)
        else:
            await links.unlink(OTHER, BLOB, cause=NOBODY)

    async def faults(self) -> list[str]:
        """What must not be so at the end."""
        manifests = LayoutManifests(self.storage, PayloadCache())
        there = [not await manifests.missing(NAME, [digest]) for digest in DIGESTS]
        with contextlib.suppress(NameUnknown):
            for tag in (await LayoutCatalogue(self.storage).tags(NAME, after="", limit=None)).items:
                with contextlib.suppress(ManifestUnknown):
                    await manifests.find(NAME, tag)
                    continue
                return [f"{tag.text} is listed and cannot be pulled"]
        tagged = None
        with contextlib.suppress(ManifestUnknown, NameUnknown):
            tagged = (await manifests.find(NAME, TAG)).digest
        found = []
        for push in (deed for deed in self.deeds if deed.kind == "push"):
            meanwhile = [deed for deed in self.deeds if deed is not push and deed.ended >= push.began]
            kinds = {(deed.kind, deed.which) for deed in meanwhile}
            if ("delete", push.which) in kinds:
                continue
            if not there[push.which]:
                found.append(f"manifest {push.which} is gone")
            moved = any(kind == "untag" or (kind == "push" and which != push.which) for kind, which in kinds)
            if tagged != DIGESTS[push.which] and not moved:
                found.append(f"the tag of {push.which} is gone")
        for number, digest in enumerate(DIGESTS):
            listed = await manifests.referrers(NAME, SUBJECT, artifact_type=None, after="", limit=9)
            if there[number] != (digest in {item.digest for item in listed.items}):
                found.append(f"manifest {number} is there or not, and listed with its subject otherwise")
        return found


async def put(manifests: LayoutManifests, content: Content) -> None:
    manifest = parse(content.body, content.media_type)
    stored = StoredManifest(Digest.of(content.body), manifest.media_type, content.body)
    await manifests.put(NAME, stored, manifest, tags=[TAG], cause=NOBODY)


async def _nothing(_: str) -> None:
    """Nobody needs to know."""


PROGRAMS: dict[str, list[list[tuple[str, int]]]] = {
    "push and delete": [[("push", 0)], [("delete", 0)]],
    "pushes and deletes": [[("push", 0), ("delete", 0)], [("push", 0)], [("delete", 0), ("delete", 0)]],
    "retag and delete": [[("push", 1)], [("delete", 0)], [("push", 0)]],
    "all": [
        [("push", 0), ("untag", 0), ("mount", 0), ("push", 1)],
        [("delete", 0), ("push", 1), ("unlink", 0), ("delete", 1)],
        [("push", 0), ("delete", 1), ("mount", 0), ("untag", 0)],
    ],
}


@pytest.mark.parametrize("programs", PROGRAMS)
async def test_no_order_leaves_a_tag_that_cannot_be_pulled_or_loses_what_was_acknowledged(programs: str) -> None:
    asked = os.environ.get("MOORAGE_LAYOUT_SEED")
    first = random.SystemRandom().getrandbits(32)
    for seed in [int(asked)] if asked else range(first, first + RUNS):
        town = Town(seed)
        await town.storage.put(paths.blob(BLOB), b"layer")
        await LayoutLinks(town.storage).link(NAME, BLOB, Expectation(), size_bytes=5)
        await put(LayoutManifests(town.storage, PayloadCache()), CONTENTS[0])
        await town.play(PROGRAMS[programs])
        assert not await town.faults(), "\n".join([f"MOORAGE_LAYOUT_SEED={seed}", *town.scheduler.trace])
