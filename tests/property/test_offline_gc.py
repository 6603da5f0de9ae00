"""Over any registry: what can be reached stays and can be pulled, the rest goes, and a second run finds nothing.

What is reachable is computed here once more, over plain sets, from the rules in the documentation.
"""

import asyncio
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from moorage.gc.offline.offline_run import OfflineOptions
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage.memory import MemoryDriver
from unit.gc.registry import Writer, all_paths, collect, digests_in

NAMES = ("a", "a/b", "c")


@dataclass(frozen=True)
class Item:
    """A manifest to push: an image, or an index of earlier ones if it has children."""

    repository: int
    layers: tuple[int, ...]
    children: tuple[int, ...]
    subject: int | None
    is_tagged: bool


@dataclass
class Model:
    """What should stay."""

    manifests: dict[str, dict[Digest, tuple[set[Digest], Digest | None]]] = field(default_factory=dict)
    """For each repository: manifest to what it names, and its subject."""
    tagged: dict[str, set[Digest]] = field(default_factory=dict)

    def kept(self, name: str, *, delete_untagged: bool) -> set[Digest]:
        there = self.manifests.get(name, {})
        kept = set(there) & self.tagged.get(name, set()) if delete_untagged else set(there)
        while True:
            more = {named for digest in kept for named in there[digest][0] if named in there}
            more |= {digest for digest, (_, subject) in there.items() if subject in kept}
            if more <= kept:
                return kept
            kept |= more

    def alive(self, *, delete_untagged: bool) -> set[Digest]:
        found: set[Digest] = set()
        for name, there in self.manifests.items():
            for digest in self.kept(name, delete_untagged=delete_untagged):
                found |= {digest} | there[digest][0]
        return found


ITEMS = st.lists(
    st.builds(
        Item,
        repository=st.integers(0, len(NAMES) - 1),
        layers=st.lists(st.integers(0, 4), max_size=3).map(tuple),
        children=st.lists(st.integers(0, 20), max_size=3).map(tuple),
        subject=st.none() | st.integers(0, 20),
        is_tagged=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(deadline=None)
@given(items=ITEMS, orphans=st.integers(0, 3), delete_untagged=st.booleans())
def test_what_is_reachable_stays_and_the_rest_goes(items: list[Item], orphans: int, *, delete_untagged: bool) -> None:
    asyncio.run(check(items, orphans, delete_untagged=delete_untagged))


async def check(items: list[Item], orphans: int, *, delete_untagged: bool) -> None:
    storage, model = MemoryDriver(), Model()
    await write(storage, model, items)
    for number in range(orphans):
        await Writer(storage, RepositoryName(NAMES[0])).blob(f"orphan {number}")
    options = OfflineOptions(delete_untagged=delete_untagged)
    totals = await collect(storage, options)
    alive = model.alive(delete_untagged=delete_untagged)
    assert await digests_in(storage) == alive
    assert totals.blobs_deleted == totals.blobs_to_delete == totals.blobs - len(alive)
    for name in NAMES:
        writer = Writer(storage, RepositoryName(name))
        kept = model.kept(name, delete_untagged=delete_untagged)
        there = set(model.manifests.get(name, {}))
        assert {digest for digest in there if await writer.has(digest)} == kept
        assert await writer.layers() <= alive
        for subject in there:
            found = {digest for digest, (_, about) in model.manifests[name].items() if about == subject}
            assert set(await writer.referrers(subject)) == found & kept
    before = await all_paths(storage)
    again = await collect(storage, options)
    assert await all_paths(storage) == before
    assert (again.blobs_to_delete, again.manifests_to_delete, again.layer_links_deleted) == (0, 0, 0)


async def write(storage: MemoryDriver, model: Model, items: list[Item]) -> None:
    pushed: list[tuple[int, Digest]] = []
    for number, item in enumerate(items):
        name = NAMES[item.repository]
        writer = Writer(storage, RepositoryName(name))
        mine = [digest for repository, digest in pushed if repository == item.repository]
        children = [mine[child % len(mine)] for child in item.children] if mine else []
        subject = None if item.subject is None or not mine else mine[item.subject % len(mine)]
        tags = [f"t{number}"] if item.is_tagged else []
        if children:
            made = await writer.index(children, tags=tags, subject=subject)
            named = set(children)
        else:
            layers = [await writer.blob(f"layer {layer}") for layer in item.layers]
            made = await writer.image(f"image {number % 5}", tags=tags, layers=layers, subject=subject)
            named = set(made.blobs)
        model.manifests.setdefault(name, {})[made.digest] = (named, subject)
        if item.is_tagged:
            model.tagged.setdefault(name, set()).add(made.digest)
        pushed.append((item.repository, made.digest))
