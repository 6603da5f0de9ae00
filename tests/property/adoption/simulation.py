"""Two nodes adopt link files while clients push, move, delete, mount, rename and list; nodes die between any two steps.

Clients come one after the other, so a dictionary knows what each has to find; adoption goes on beside them on both
nodes. A client whose node died does not know whether its change was made: the dictionary then takes either.
"""

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from contract.metadata.pushing import NOBODY, push, push_blob
from contract.metadata.stores import Store, query
from contract.moving.movers import link_files
from moorage.errors import (
    BlobReferenced,
    BlobUnknown,
    DatabaseContended,
    ManifestReferenced,
    NameUnknown,
)
from moorage.gitlab_errors import RenameConflict
from moorage.metadata.base import Cause
from moorage.moving.adoption_note import AdoptionNote
from moorage.oci.digests import Digest
from moorage.oci.manifests import parse
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import locks, paths
from property.adoption.fuse import Killed
from property.adoption.nodes import (
    ALL_BLOBS,
    BLOBS,
    BROKEN,
    CONTENTS,
    IMAGES,
    NAMES,
    TAGS,
    Model,
    Node,
    Repository,
    is_below,
    note_push,
)
from property.adoption.undoing import TakenAway
from property.adoption.world import World
from support.images import Content

_LOOKS = 0.4


class Simulation(World):
    """The steps of clients, nodes and collectors."""

    async def step(self) -> None:
        """Something happens."""
        acts: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (6, self.push),
            (3, self.tag),
            (3, self.untag),
            (3, self.delete),
            (2, self.mount),
            (2, self.unlink),
            (2, self.rename),
            (4, self.undo),
            (2, self.list_repositories),
            (3, self.take_in_background),
            (3, self.take_what_was_read),
            (2, self.kill),
            (1, self.time_passes),
            (3, self.stall),
            (2, self.collect),
        ]
        act = self.random.choices([act for _, act in acts], [weight for weight, _ in acts])[0]
        self.log.append(getattr(act, "__name__", ""))
        await act()
        if self.random.random() < _LOOKS:
            await self.check(self.name())

    async def push(self) -> None:
        name, then = self.name(), self.draft()
        content, tags = self.drawn(), self.random.sample(TAGS, self.random.randint(0, 2))
        await self.blobs_first(name, content)
        then = self.draft()
        note_push(then, name, content, tags)
        await self.change(f"push {name.text} {tags}", lambda node: _pushed(node.store, name, content, tags), then, None)

    async def blobs_first(self, name: RepositoryName, content: Content) -> None:
        """Push what an image needs; again, if the node dies."""
        wanted = BLOBS if content in IMAGES else ()
        for each in wanted:
            digest = Digest.parse(each.digest)
            while digest not in self.model.get(name, Repository()).blobs:
                then = self.draft()
                then.setdefault(name, Repository()).blobs.add(digest)
                act = lambda node, each=each: push_blob(node.store, each.body, name=name)  # noqa: E731 - bound at once
                await self.change(f"blob {name.text}", act, then, digest)
        for child in () if content in IMAGES else IMAGES[:2]:
            while Digest.parse(child.digest) not in self.model.get(name, Repository()).manifests:
                await self.blobs_first(name, child)
                then = self.draft()
                note_push(then, name, child, ())
                made = lambda node, child=child: _pushed(node.store, name, child, ())  # noqa: E731 - bound at once
                await self.change(f"child {name.text}", made, then, None)

    async def tag(self) -> None:
        name = self.name()
        there = sorted(self.model.get(name, Repository()).manifests)
        if there:
            content, tags, then = CONTENTS[self.random.choice(there)], [self.random.choice(TAGS)], self.draft()
            note_push(then, name, content, tags)
            await self.change(f"tag {name.text}", lambda node: _pushed(node.store, name, content, tags), then, None)

    async def untag(self) -> None:
        name, tag, then = self.name(), self.random.choice(TAGS), self.draft()
        had = then.get(name, Repository()).tags.pop(tag, None)
        act = lambda node, cause: node.store.manifests.untag(name, Tag(tag), cause=cause)  # noqa: E731 - shorter
        await self.take_away(name, act, then, None if had else self.unknown(name))

    async def delete(self) -> None:
        name, digest, then = self.name(), self.random.choice(sorted(CONTENTS)), self.draft()
        repository = then.get(name, Repository())
        answer: object = self.unknown(name)
        if digest in repository.manifests:
            answer = ManifestReferenced if repository.needs(digest) else None
        if answer is None:
            repository.manifests.discard(digest)
            repository.tags = {tag: target for tag, target in repository.tags.items() if target != digest}
        act = lambda node, cause: node.store.manifests.delete(name, digest, cause=cause)  # noqa: E731 - shorter
        await self.take_away(name, act, then, answer)

    async def take_away(
        self, name: RepositoryName, act: Callable[[Node, Cause], Awaitable[object]], then: Model, answer: object
    ) -> None:
        """Make a change that can be taken back; it is remembered, if it was made."""
        before, cause = self.model, self.cause()
        await self.change(f"{cause.request_id}: away from {name.text}", lambda node: act(node, cause), then, answer)
        if self.model is then and answer is None:
            self.taken_away.append(TakenAway(cause, name, before[name], copy.deepcopy(then[name])))

    def cause(self) -> Cause:
        """A new request of a client."""
        return Cause(request_id=f"request {next(self.requests)}")

    async def undo(self) -> None:
        """Take back what some request took away, most often a late one."""
        known = [each for each in self.taken_away if self.focus in (None, each.name)]
        if not known:
            return
        wanted = self.random.choice(known[-3:])
        expected = wanted.undone(self.model)
        if expected is None:
            return
        then, answer = expected

        async def act(node: Node) -> object:
            return (await node.history.undo_request(wanted.cause.request_id, cause=self.cause())).total

        await self.change(f"undo {wanted.name.text} of {wanted.cause.request_id}", act, then, answer)

    async def unlink(self) -> None:
        name, digest, then = self.name(), self.random.choice(ALL_BLOBS), self.draft()
        repository = then.get(name, Repository())
        answer: object = BlobUnknown
        if digest in repository.blobs:
            answer = BlobReferenced if repository.needs(digest) else None
        if answer is None:
            repository.blobs.discard(digest)
        act = lambda node: node.store.links.unlink(name, digest, cause=NOBODY)  # noqa: E731 - shorter
        await self.change(f"unlink {name.text}", act, then, answer)

    async def mount(self) -> None:
        name, source, digest = *self.random.sample(NAMES, 2), self.random.choice(ALL_BLOBS)
        then = self.draft()
        works = digest in then.get(source, Repository()).blobs
        if works:
            then.setdefault(name, Repository()).blobs.add(digest)
        act = lambda node: node.store.links.mount(name, digest, source=source)  # noqa: E731 - shorter
        await self.change(f"mount {source.text} to {name.text}", act, then, works)

    async def rename(self) -> None:
        name, target = self.random.choice([("a", "b"), ("b", "a"), ("a-b", "b"), ("b", "a-b"), ("a", "a-b")])
        moved = {each: self._renamed(each, name, target) for each in self.model if is_below(each.text, name)}
        then, answer = self.draft(), object()
        if not moved:
            answer = NameUnknown
        elif any(is_below(each.text, target) for each in self.model):
            answer = RenameConflict
        else:
            then = {moved.get(each, each): repository for each, repository in then.items()}
            answer = len(moved)
            if any(each not in NAMES for each in moved.values()):
                return
        source, destination = RepositoryName(name), RepositoryName(target)
        self.taken_away.clear()  # An undo follows the repository to its new name.
        act = lambda node: node.renames.rename(source, destination, limit=100, cause=NOBODY)  # noqa: E731 - shorter
        await self.change(f"rename {name} to {target}", act, then, answer)

    async def list_repositories(self) -> None:
        node, limit = self.node(), self.random.randint(1, 3)
        found: list[RepositoryName] = []
        more = True
        while more:
            page = await node.store.catalogue.repositories(after=found[-1].text if found else "", limit=limit)
            found += page.items
            more = page.more
        names = [name for name, each in self.model.items() if each.is_populated]
        wanted = sorted([*names, BROKEN], key=lambda name: name.text)
        assert found == wanted, self.log

    async def take_in_background(self) -> None:
        node = self.node()
        self.walks.add(asyncio.ensure_future(self._walk(node)))

    async def take_what_was_read(self) -> None:
        """Have taken over what clients have looked at, beside what they do next."""
        self.walks.add(asyncio.ensure_future(self._wished(self.node())))

    async def kill(self) -> None:
        """Kill a node in the middle of taking over what somebody asks for."""
        node = self.node()
        node.fuse.left = self.random.randint(1, 40)
        await self._ready(node, self.name())
        await self.replace(node)

    async def time_passes(self) -> None:
        """Let every claim be over, though its holder lives: another one may go on, and the first has to notice."""
        self.offset += timedelta(minutes=1)

    async def stall(self) -> None:
        """Let a node stand still while it takes a repository over, for so long that others go on without it."""
        if any(node.fuse.is_stalled.is_set() for node in self.nodes):
            return
        node = self.node()
        name = self.name()
        node.fuse.stalls_after = self.random.randint(2, 30)
        work = asyncio.ensure_future(self._ready(node, name))
        stalled = asyncio.ensure_future(node.fuse.is_stalled.wait())
        await asyncio.wait([work, stalled], return_when=asyncio.FIRST_COMPLETED)
        stalled.cancel()
        if node.fuse.is_stalled.is_set():
            self.offset += timedelta(minutes=1)
            self.focus = name
            for _ in range(3):
                await self.random.choice([self.untag, self.delete, self.push, self.tag, self.rename, self.undo])()
            self.focus = None
        node.fuse.stalls_after = None
        node.fuse.goes_on.set()
        await work
        node.fuse.is_stalled.clear()
        node.fuse.goes_on.clear()
        for each in NAMES:
            await self.check(each)

    async def collect(self) -> None:
        """Try to collect all that looks unneeded."""
        node = self.node()
        await self.make_due()
        for collector in node.collectors:
            assert (await collector.round(limit=1000)).due == 0

    async def make_due(self) -> None:
        past = datetime.now(UTC) - timedelta(days=3)
        for text in (
            "UPDATE gc_blob_review_queue SET review_after = $1",
            "UPDATE gc_manifest_review_queue SET review_after = $1",
        ):
            await self.sql[0].database.write(query(text), past)

    async def finish(self) -> None:
        """End the adoption, and look at everything once more, also after garbage was collected."""
        await asyncio.gather(*self.walks, return_exceptions=True)
        self.offset += timedelta(minutes=1)
        assert not await self.nodes[0].walk.round()
        progress = await self.nodes[0].ledger.progress()
        assert progress is not None
        assert (progress.left_out, progress.faults, progress.taking) == (1, 0, 0)
        await self.nodes[0].ledger.accept()
        assert await self.nodes[1].walk.round()
        found = await locks.read(self.links.storage)
        assert (found.filesystem, found.database) == (False, True)
        assert await AdoptionNote.read(self.links.storage) is None
        assert await link_files(self.links) == self.before, "link files were changed"
        await self.list_repositories()
        for name in NAMES:
            await self.check(name)
        await self.make_due()
        for _ in range(3):
            for collector in self.nodes[0].collectors:
                await collector.round(limit=1000)
            await self.make_due()
        for name, repository in self.model.items():
            for tag, digest in repository.tags.items():
                found_manifest = await self.nodes[0].store.manifests.find(name, Tag(tag))
                assert found_manifest.digest == digest
                for reference in parse(found_manifest.payload, found_manifest.media_type).references:
                    if reference.descriptor.digest in ALL_BLOBS:
                        assert await self.links.storage.exists(paths.blob(reference.descriptor.digest)), self.log

    async def _ready(self, node: Node, name: RepositoryName) -> None:
        with contextlib.suppress(Killed, DatabaseContended):
            await node.adoption.ready(name)

    async def _walk(self, node: Node) -> None:
        with contextlib.suppress(Killed):
            await node.walk.round()

    async def _wished(self, node: Node) -> None:
        with contextlib.suppress(Killed):
            await node.walk.take_wished()

    def _renamed(self, name: RepositoryName, source: str, target: str) -> RepositoryName:
        return RepositoryName(f"{target}{name.text[len(source) :]}")


async def _pushed(store: Store, name: RepositoryName, content: Content, tags: "list[str] | tuple[()]") -> None:
    await push(store, content, *tags, name=name)
