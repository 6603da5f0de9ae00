"""The registry that adopts link files, on two nodes, beside the dictionary that says what it should have."""

import asyncio
import copy
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from contract.metadata.pushing import push, push_blob
from contract.metadata.stores import SqlStore, Store
from contract.moving.movers import link_files
from moorage.errors import (
    ManifestUnknown,
    NameUnknown,
    Refused,
)
from moorage.gitlab_errors import RenameConflict
from moorage.moving.adoption_note import AdoptionNote
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import locks, paths
from moorage.storage.locks import Lock
from property.adoption.fuse import Killed
from property.adoption.nodes import (
    ALL_BLOBS,
    BLOBS,
    BROKEN,
    CONTENTS,
    IMAGES,
    INDEXES,
    NAMES,
    TAGS,
    Model,
    Node,
    Repository,
    note_push,
)
from property.adoption.undoing import TakenAway
from support.images import Content


class World:
    """The registry, the dictionary, and one way to change both."""

    def __init__(self, seed: int, links: Store, openers: tuple[SqlStore, SqlStore]) -> None:
        self.random = random.Random(seed)
        self.links = links
        self.sql = openers
        self.model: Model = {}
        self.offset = timedelta(0)
        self.nodes: list[Node] = []
        self.before: dict[str, bytes] = {}
        self.walks: set[asyncio.Task[object]] = set()
        self.focus: RepositoryName | None = None
        self.log: list[str] = []
        self.requests = itertools.count()
        """Numbers of requests, each once: an undo takes back all that has its request's."""
        self.taken_away: list[TakenAway] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    async def begin(self, pushes: int) -> None:
        """Fill link files, and start both nodes."""
        for _ in range(pushes):
            await self._push(self.links, self.model, self.name())
        # Until somebody agrees that it is left out, nothing ends and nothing is collected.
        dangling = paths.tag_link(BROKEN, Tag("gone"))
        await self.links.storage.put(dangling, str(Digest.of(b"nowhere")).encode())
        self.before = await link_files(self.links)
        await AdoptionNote("a database").write(self.links.storage)
        for lock in Lock:
            await locks.write(self.links.storage, lock)
        self.nodes = [self.new_node(sql) for sql in self.sql]
        await self.nodes[0].ledger.begin()

    def new_node(self, sql: SqlStore) -> Node:
        return Node(sql, self.links, self.now)

    def name(self) -> RepositoryName:
        """Any repository, or the one that this is about."""
        return self.focus or self.random.choice(NAMES)

    def node(self) -> Node:
        """Any that does not stand still."""
        return self.random.choice([node for node in self.nodes if not node.fuse.is_stalled.is_set()])

    async def change(self, name: str, act: Callable[[Node], Awaitable[object]], then: Model, answer: object) -> None:
        """Let a client change something; its node may die of it."""
        node = self.node()
        if self.random.random() < 0.3:
            node.fuse.left = self.random.randint(1, 25)
        self.log.append(f"{name} on {self.nodes.index(node)}, fuse {node.fuse.left}")
        try:
            found: object = None
            try:
                found = await act(node)
            except (Refused, RenameConflict) as exc:
                found = type(exc)
            node.fuse.left = None
        except Killed:
            await self.replace(node)
            if await self.is_so(self.model):
                return
            assert await self.is_so(then), self.log
            self.model = then
            return
        assert found == answer, (found, answer, self.log)
        self.model = then

    async def replace(self, node: Node) -> None:
        """Another process takes the place of one that died; what it held is free after a while."""
        await node.gone()
        self.offset += timedelta(minutes=1)
        place = self.nodes.index(node)
        self.nodes[place] = self.new_node(self.sql[place])

    def draft(self) -> Model:
        return copy.deepcopy(self.model)

    async def check(self, name: RepositoryName) -> None:
        """See that any node says of a repository what the dictionary says."""
        difference = await self._difference(self.node().store, self.model, name)
        assert not difference, (difference, self.log)

    async def is_so(self, model: Model) -> bool:
        """Whether the registry is as *model* says."""
        node = self.node()
        return not any([await self._difference(node.store, model, name) for name in NAMES])

    def unknown(self, name: RepositoryName) -> type[Refused]:
        return ManifestUnknown if self.model.get(name, Repository()).is_populated else NameUnknown

    def drawn(self) -> Content:
        return self.random.choice([*IMAGES, *INDEXES])

    async def _push(self, store: Store, model: Model, name: RepositoryName) -> None:
        for each in BLOBS:
            model.setdefault(name, Repository()).blobs.add(await push_blob(store, each.body, name=name))
        content, tags = self.drawn(), self.random.sample(TAGS, self.random.randint(0, 2))
        for child in () if content in IMAGES else IMAGES[:2]:
            await push(store, child, name=name)
            note_push(model, name, child, ())
        await push(store, content, *tags, name=name)
        note_push(model, name, content, tags)

    async def _difference(self, store: Store, model: Model, name: RepositoryName) -> str:
        repository = model.get(name, Repository())
        gone = await store.links.missing(name, ALL_BLOBS)
        if gone != set(ALL_BLOBS) - repository.blobs:
            return f"{name.text}: blobs {gone}"
        missing = await store.manifests.missing(name, CONTENTS.keys())
        if missing != CONTENTS.keys() - repository.manifests:
            return f"{name.text}: manifests {missing}"
        try:
            page = await store.catalogue.tags(name, after="", limit=None)
        except NameUnknown:
            return f"{name.text}: unknown" if repository.is_populated else ""
        found = {tag.text: (await store.manifests.find(name, tag)).digest for tag in page.items}
        return "" if found == repository.tags and repository.is_populated else f"{name.text}: tags {found}"
