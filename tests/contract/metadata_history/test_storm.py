"""All that changes a registry's database, at random and at once: whatever comes between, what is there lacks nothing.

``MOORAGE_TEST_SEED`` and ``MOORAGE_TEST_STEPS`` give a run its choices and its length; what comes between is another
thing each time. Source: ADR 0183.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest

from contract.metadata.passing import pass_
from contract.metadata.pushing import tags_of
from contract.metadata.stores import OpenSql
from contract.metadata_history.past import Past
from moorage.errors import Refused
from moorage.metadata.base import Cause
from moorage.metadata.history import UndoSteps
from moorage.metadata.sql.integrity import SqlBlobRecords, SqlManifestRecords
from moorage.metadata.sql.renames import SqlRenames
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from support.images import Content, image, index

PROCESSES = 4
WORKERS = 8
REMEMBERED = 40
"""Requests that may be undone: the last of all workers'."""
PLACES = tuple(map(RepositoryName, ("g/a", "g/b", "h/c")))
TAGS = ("1", "2", "3")
IMAGES = tuple(image(f"image {number}", layers=1) for number in range(3))
INDEXES = tuple(index([one.manifest, other.manifest]) for one, other in pairwise(IMAGES))
BLOBS = tuple(sorted({blob.body for made in IMAGES for blob in made.blobs}))

WITHOUT_A_BLOB = """
SELECT r.path, m.digest, b.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id
JOIN (SELECT manifest_id, blob_id FROM layers
    UNION SELECT id, config_blob_id FROM manifests WHERE config_blob_id IS NOT NULL) needed ON needed.manifest_id = m.id
JOIN blobs b ON b.id = needed.blob_id
LEFT JOIN repository_blobs rb
    ON rb.repository_id = m.repository_id AND rb.blob_id = needed.blob_id AND rb.deleted_at IS NULL
WHERE m.deleted_at IS NULL AND rb.blob_id IS NULL"""
WITHOUT_A_PLATFORM = """
SELECT p.repository_id, p.digest, c.digest FROM manifest_references mr
JOIN manifests p ON p.id = mr.parent_id JOIN manifests c ON c.id = mr.child_id
WHERE p.deleted_at IS NULL AND c.deleted_at IS NOT NULL"""
WITHOUT_AN_IMAGE = """
SELECT t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
WHERE m.deleted_at IS NOT NULL OR m.repository_id <> t.repository_id"""


@dataclass(slots=True)
class Storm:
    """What all workers share."""

    processes: Sequence[Past]
    left: int
    """Steps that are still to be done."""
    places: list[RepositoryName] = field(default_factory=lambda: [*PLACES])
    requests: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """What was wrong."""
    done: Counter[str] = field(default_factory=Counter)

    async def blow(self, seed: int) -> None:
        """Do all steps, and look all the while."""
        workers = [
            asyncio.create_task(self._work(number, random.Random(f"{seed}-{number}"))) for number in range(WORKERS)
        ]
        try:
            while not self.found and not all(worker.done() for worker in workers):
                await self._look()
                await asyncio.sleep(0.02)
        finally:
            self.left = 0  # Whatever was found: nobody goes on in a database that is closed.
            await asyncio.gather(*workers)
        await self._look()

    async def _work(self, number: int, generator: random.Random) -> None:
        past, count = self.processes[number % PROCESSES], 0
        while self.left > 0 and not self.found:
            self.left -= 1
            count += 1
            step = Step(self, past, generator, f"{number}-{count}")
            kind = generator.choice(STEPS)
            with contextlib.suppress(Refused):
                await kind(step)
                self.done[kind.__name__] += 1
                self.requests = [*self.requests[1 - REMEMBERED :], step.cause.request_id]

    async def _look(self) -> None:
        store = self.processes[0].store
        for text in (WITHOUT_A_BLOB, WITHOUT_A_PLATFORM, WITHOUT_AN_IMAGE):
            self.found += [f"{text}: {_shown(row)}" for row in await store.rows(text)]
        for blob in await SqlBlobRecords(store.database).page(after=None, limit=1000):
            if blob.row and not (blob.row.is_needed or blob.is_queued):
                self.found.append(f"nobody needs {blob.digest}, and nobody looks after it")
        for manifest in await SqlManifestRecords(store.database).page(after=0, limit=1000, limit_bytes=1 << 30):
            if not (manifest.is_needed or manifest.is_queued):
                self.found.append(f"nobody needs {manifest.digest} in {manifest.repository}, and nobody looks after it")


@dataclass(slots=True)
class Step:
    """One thing that a worker does, by a request of its own."""

    storm: Storm
    past: Past
    generator: random.Random
    name: str
    cause: Cause = field(init=False)
    place: RepositoryName = field(init=False)

    def __post_init__(self) -> None:
        self.cause = Cause("ada", self.name, "")
        self.place = self.generator.choice(self.storm.places)

    async def push_image(self) -> None:
        """Push an image with its blobs; it is refused if one of them has gone meanwhile."""
        made = self.generator.choice(IMAGES)
        for blob in made.blobs:
            await self._push_blob(blob.body)
        tags = self.generator.sample(TAGS, self.generator.randint(0, 2))
        await self._push(made.manifest, tags)

    async def push_index(self) -> None:
        tags = self.generator.sample(TAGS, self.generator.randint(0, 1))
        listing = self.generator.choice(INDEXES)
        await self._push(listing, tags)

    async def delete(self) -> None:
        contents = [*(made.manifest for made in IMAGES), *INDEXES]
        await self._delete(Digest.parse(self.generator.choice(contents).digest))

    async def delete_all(self) -> None:
        for made in IMAGES:
            with contextlib.suppress(Refused):
                await self._delete(Digest.parse(made.manifest.digest))
        for body in BLOBS:
            with contextlib.suppress(Refused):
                await self.past.store.links.unlink(self.place, Digest.of(body), cause=self.cause)

    async def untag(self) -> None:
        await self.past.store.manifests.untag(self.place, Tag(self.generator.choice(TAGS)), cause=self.cause)

    async def untag_all(self) -> None:
        await self.past.history.delete_tags(self.place, [Tag(tag) for tag in TAGS], cause=self.cause)

    async def unlink(self) -> None:
        digest = Digest.of(self.generator.choice(BLOBS))
        await self.past.store.links.unlink(self.place, digest, cause=self.cause)

    async def mount(self) -> None:
        digest, source = Digest.of(self.generator.choice(BLOBS)), self.generator.choice(self.storm.places)
        await self.past.store.links.mount(self.place, digest, source=source, cause=self.cause)

    async def undo(self) -> None:
        if self.storm.requests:
            request, partial = self.generator.choice(self.storm.requests), self.generator.random() < 0.7
            await self.past.history.undo_request(request, cause=self.cause, partial=partial)

    async def undo_tag(self) -> None:
        tag, steps = Tag(self.generator.choice(TAGS)), UndoSteps(self.generator.randint(1, 3))
        await self.past.history.undo_tag(self.place, tag, steps, expected=None, cause=self.cause)

    async def rename(self) -> None:
        """Rename a repository, and go on at the new name or at the old one, where a new repository is then made."""
        place = RepositoryName(f"{self.generator.choice('gh')}/{self.name}")
        await SqlRenames(self.past.store.database).rename(self.place, place, limit=10, cause=self.cause)
        if self.place in self.storm.places and self.generator.random() < 0.5:
            self.storm.places[self.storm.places.index(self.place)] = place

    async def collect(self) -> None:
        """Let time pass, and take out what nobody needs."""
        store = self.past.store
        await pass_(store, timedelta(hours=self.generator.choice((1, 30))))
        await SqlManifestReviews(store.database).review(limit=10)
        reviews = SqlBlobReviews(store.database)
        judged = await reviews.judge([claim.digest for claim in await reviews.claim(limit=10)])
        await reviews.forget(judged.needed)
        await reviews.put_off(judged.busy, delay=timedelta(0), error=None)
        await reviews.finish({digest: 0 for digest, _ in judged.unneeded})

    async def _push_blob(self, body: bytes) -> None:
        """Push as an upload does: once more, if garbage collection took it between its place and its row."""
        digest, store = Digest.of(body), self.past.store
        while not await store.links.link(self.place, digest, await store.links.expect(digest), size_bytes=len(body)):
            pass

    async def _push(self, content: Content, tags: Sequence[str]) -> None:
        manifest = parse(content.body, content.media_type)
        stored = StoredManifest(Digest.of(content.body), manifest.media_type, content.body)
        required = [reference.descriptor.digest for reference in manifest.references]
        put = self.past.store.manifests.put
        await put(self.place, stored, manifest, tags=tags_of(*tags), cause=self.cause, required=required)

    async def _delete(self, digest: Digest) -> None:
        await self.past.store.manifests.delete(self.place, digest, cause=self.cause)


STEPS: Sequence[Callable[[Step], Awaitable[None]]] = (
    *[Step.push_image] * 4,
    *[Step.push_index] * 2,
    *[Step.unlink] * 4,
    *[Step.undo] * 6,
    *[Step.undo_tag] * 2,
    *[Step.delete] * 4,
    *[Step.delete_all, Step.untag, Step.untag_all, Step.mount, Step.collect] * 2,
    Step.rename,
)


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_whatever_comes_between_nothing_that_is_there_lacks_what_it_needs(open_sql: OpenSql) -> None:
    seed = int(os.environ.get("MOORAGE_TEST_SEED") or random.SystemRandom().getrandbits(32))
    async with contextlib.AsyncExitStack() as stack:
        processes = [Past(await stack.enter_async_context(open_sql())) for _ in range(PROCESSES)]
        storm = Storm(processes, int(os.environ.get("MOORAGE_TEST_STEPS") or 20_000))
        await storm.blow(seed)
        assert storm.found == [], f"seed {seed}"
        assert set(storm.done) == {kind.__name__ for kind in STEPS}
        await journal_tells_how_it_came(processes[0])


async def journal_tells_how_it_came(past: Past) -> None:
    """See that each change of a tag begins where the one before ended, and that the last of all is the present."""
    rows = await past.store.rows(
        "SELECT repository_id, tag, from_digest, to_digest FROM journal WHERE tag IS NOT NULL ORDER BY id"
    )
    last: dict[tuple[object, object], object] = {}
    for repository, tag, before, after in rows:
        assert last.get((repository, tag)) == before
        last[repository, tag] = after
    there = await past.store.rows(
        "SELECT t.repository_id, t.name, m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id"
    )
    assert {row[:2]: row[2] for row in there} == {place: digest for place, digest in last.items() if digest is not None}


def _shown(row: Sequence[object]) -> list[str]:
    return [value.hex()[:12] if isinstance(value, bytes) else str(value) for value in row]
