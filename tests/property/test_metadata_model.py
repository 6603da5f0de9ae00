"""Any sequence of pushes, moves and removals: every store says what a few dictionaries say.

Each store is open twice, as by two processes: what one does the other is asked about. The SQL stores' journal is
replayed at the end: it alone tells what every tag points to.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from contract.metadata.journal import assert_chains
from contract.metadata.pushing import NOBODY, push, push_blob
from contract.metadata.stores import (
    Open,
    OpenSql,
    SqlStore,
    Store,
    layout_opener,
    postgres_opener,
    quick_folder,
    sqlite_opener,
)
from moorage.errors import BlobReferenced, BlobUnknown, ManifestReferenced, ManifestUnknown, NameUnknown, Refused
from moorage.metadata.base import Page
from moorage.oci.digests import Algorithm, Digest
from moorage.oci.manifests import Descriptor, parse
from moorage.oci.names import RepositoryName, Tag
from support.images import OCI_MANIFEST, Content, artifact, blob, config, image_manifest, index
from support.postgres import Postgres

T = TypeVar("T")
Item = TypeVar("Item")

NAMES = [RepositoryName(text) for text in ("a", "a-b", "a/b", "b")]
BLOBS = [blob(n, 20) for n in range(3)] + [config("a")]
TYPES = ["a/sbom", "a/signature"]

NAME = st.sampled_from(NAMES)
BLOB = st.sampled_from(BLOBS)
TAGS = st.lists(st.sampled_from(["V1", "_", "v1", "v1.0", "v2"]), unique=True, max_size=3)
ALGORITHM: st.SearchStrategy[Algorithm] = st.sampled_from(["sha256", "sha256", "sha256", "sha512"])
PAGE_SIZE = st.integers(1, 4)


@dataclass
class Repository:
    """What a repository should have."""

    blobs: set[Digest] = field(default_factory=set)
    manifests: dict[Digest, Content] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    is_populated: bool = False

    def is_listed(self, wanted: Digest) -> bool:
        """Whether another manifest lists this one."""
        others = (content for digest, content in self.manifests.items() if digest != wanted)
        manifests = (parse(content.body, content.media_type) for content in others)
        return any(child.digest == wanted for manifest in manifests for child in manifest.children)

    def is_needed(self, wanted: Digest) -> bool:
        """Whether a manifest refers to this blob."""
        manifests = (parse(content.body, content.media_type) for content in self.manifests.values())
        return any(ref.descriptor.digest == wanted for manifest in manifests for ref in manifest.references)

    def referrers(self, subject: Digest) -> list[Descriptor]:
        """The descriptors of all manifests with this subject."""
        found = []
        for digest in sorted(self.manifests):
            content = self.manifests[digest]
            manifest = parse(content.body, content.media_type)
            if manifest.subject is not None and manifest.subject.digest == subject:
                described = manifest.media_type, digest, len(content.body), manifest.artifact_type, manifest.annotations
                found.append(Descriptor(*described))
        return found


class Registry(RuleBasedStateMachine):
    """One registry in dictionaries, and the same in every store."""

    contents = Bundle("contents")

    openers: ClassVar[Sequence[Callable[[Path], Open | OpenSql]]]
    """Makes each store, in a folder that is removed afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.repositories: dict[RepositoryName, Repository] = defaultdict(Repository)
        self.ever: set[Digest] = set()
        self.touched = NAMES[0]
        self.views: list[tuple[Store, Store]] = []
        folder = self.stack.enter_context(quick_folder())
        for open_ in [opener(folder) for opener in self.openers]:
            pair = [self.run(self.stack.enter_async_context(open_())) for _ in range(2)]
            self.views.append((pair[0], pair[1]))

    def teardown(self) -> None:
        try:
            for name in NAMES:
                self.touched = name
                self.the_stores_say_the_same()
            for store, _ in self.views:
                if isinstance(store, SqlStore):
                    self.run(assert_chains(store))
        finally:
            self.run(self.stack.aclose())
            self.runner.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.runner.run(work)

    def on_all(self, name: RepositoryName, act: Callable[[Store], Awaitable[object]]) -> list[object]:
        """Do the same in every store, by its two processes in turn; what each answered, be it a refusal."""
        self.touched = name
        self.views = [(second, first) for first, second in self.views]

        async def run() -> list[object]:
            answers: list[object] = []
            for store, _ in self.views:
                try:
                    answers.append(await act(store))
                except Refused as exc:
                    answers.append(type(exc))
            return answers

        return self.run(run())

    def expect(self, name: RepositoryName, act: Callable[[Store], Awaitable[object]], answer: object) -> None:
        assert self.on_all(name, act) == [answer] * len(self.views)

    def unknown(self, name: RepositoryName) -> type[Refused]:
        """How a manifest or tag that is not there is refused."""
        return ManifestUnknown if self.repositories[name].is_populated else NameUnknown

    @rule(name=NAME, content=BLOB, algorithm=ALGORITHM)
    def push_blob(self, name: RepositoryName, content: Content, algorithm: Algorithm) -> None:
        digest = Digest.of(content.body, algorithm)
        self.expect(name, lambda store: push_blob(store, content.body, name=name, algorithm=algorithm), digest)
        self.repositories[name].blobs.add(digest)
        self.ever.add(digest)

    @rule(name=NAME, source=st.none() | NAME, content=BLOB, algorithm=ALGORITHM)
    def mount(
        self, name: RepositoryName, source: RepositoryName | None, content: Content, algorithm: Algorithm
    ) -> None:
        digest = Digest.of(content.body, algorithm)
        works = digest in (self.ever if source is None else self.repositories[source].blobs)
        self.expect(name, lambda store: store.links.mount(name, digest, source=source), works)
        if works:
            self.repositories[name].blobs.add(digest)

    @rule(name=NAME, content=BLOB, algorithm=ALGORITHM)
    def unlink(self, name: RepositoryName, content: Content, algorithm: Algorithm) -> None:
        digest = Digest.of(content.body, algorithm)
        blobs = self.repositories[name].blobs
        if digest in blobs and self.repositories[name].is_needed(digest):
            # As with what is listed.
            for store in (store for store, _ in self.views if isinstance(store, SqlStore)):
                with pytest.raises(BlobReferenced):
                    self.run(store.links.unlink(name, digest, cause=NOBODY))
            return
        answer = None if digest in blobs else BlobUnknown
        self.expect(name, lambda store: store.links.unlink(name, digest, cause=NOBODY), answer)
        blobs.discard(digest)

    @rule(target=contents, layers=st.lists(BLOB, max_size=3), name=NAME, tags=TAGS, algorithm=ALGORITHM)
    def push_image(self, layers: list[Content], name: RepositoryName, tags: list[str], algorithm: Algorithm) -> Content:
        return self.push(image_manifest(BLOBS[-1], layers), name, tags, algorithm)

    @rule(target=contents, children=st.lists(contents, max_size=3), name=NAME, tags=TAGS)
    def push_index(self, children: list[Content], name: RepositoryName, tags: list[str]) -> Content:
        return self.push(index(children), name, tags)

    @rule(target=contents, subject=contents, name=NAME, kind=st.sampled_from(TYPES), tags=TAGS, algorithm=ALGORITHM)
    def push_referrer(
        self, *, subject: Content, name: RepositoryName, kind: str, tags: list[str], algorithm: Algorithm
    ) -> Content:
        described = subject.as_type(OCI_MANIFEST)
        return self.push(artifact(subject.digest, described, artifact_type=kind).manifest, name, tags, algorithm)

    @rule(content=contents, name=NAME, tags=TAGS, algorithm=ALGORITHM)
    def push_again(self, content: Content, name: RepositoryName, tags: list[str], algorithm: Algorithm) -> None:
        self.push(content, name, tags, algorithm)

    def push(self, content: Content, name: RepositoryName, tags: list[str], algorithm: Algorithm = "sha256") -> Content:
        digest = Digest.of(content.body, algorithm)
        self.expect(name, lambda store: push(store, content, *tags, name=name, algorithm=algorithm), digest)
        repository = self.repositories[name]
        repository.manifests[digest] = content
        repository.tags |= dict.fromkeys(tags, digest)
        repository.is_populated = True
        return content

    @rule(name=NAME, tags=TAGS)
    def untag(self, name: RepositoryName, tags: list[str]) -> None:
        for tag in tags:
            answer = None if tag in self.repositories[name].tags else self.unknown(name)
            self.expect(name, lambda store, tag=tag: store.manifests.untag(name, Tag(tag), cause=NOBODY), answer)  # type: ignore[misc]  # bound at once
            self.repositories[name].tags.pop(tag, None)

    @rule(name=NAME, content=contents, algorithm=ALGORITHM)
    def delete(self, name: RepositoryName, content: Content, algorithm: Algorithm) -> None:
        digest = Digest.of(content.body, algorithm)
        repository = self.repositories[name]
        if digest in repository.manifests and repository.is_listed(digest):
            # Link files do not know who lists what (ADR 0030), and would lose it.
            for store in (store for store, _ in self.views if isinstance(store, SqlStore)):
                with pytest.raises(ManifestReferenced):
                    self.run(store.manifests.delete(name, digest, cause=NOBODY))
            return
        answer = None if digest in repository.manifests else self.unknown(name)
        self.expect(name, lambda store: store.manifests.delete(name, digest, cause=NOBODY), answer)
        repository.manifests.pop(digest, None)
        repository.tags = {tag: target for tag, target in repository.tags.items() if target != digest}

    @rule(name=NAME, subject=contents, size=PAGE_SIZE, kind=st.none() | st.sampled_from(TYPES))
    def list_referrers(self, name: RepositoryName, subject: Content, size: int, kind: str | None) -> None:
        digest = Digest.parse(subject.digest)
        known = self.repositories[name].referrers(digest)
        wanted = [item for item in known if kind in (None, item.artifact_type)]
        for store, _ in self.views:
            found = self.run(
                self.whole(
                    lambda after, store=store: store.manifests.referrers(  # type: ignore[misc]  # bound at once
                        name, digest, artifact_type=kind, after=after, limit=size
                    ),
                    lambda item: str(item.digest),
                )
            )
            assert found == wanted

    @rule(size=PAGE_SIZE)
    def list_repositories(self, size: int) -> None:
        names = sorted(name for name, repository in self.repositories.items() if repository.is_populated)
        for store, _ in self.views:
            found = self.run(
                self.whole(
                    lambda after, store=store: store.catalogue.repositories(after=after, limit=size),  # type: ignore[misc]  # as above
                    lambda item: item.text,
                )
            )
            assert found == names

    @rule(name=NAME, size=PAGE_SIZE)
    def list_tags(self, name: RepositoryName, size: int) -> None:
        if not self.repositories[name].is_populated:
            self.expect(name, lambda store: store.catalogue.tags(name, after="", limit=size), NameUnknown)
            return
        for store, _ in self.views:
            found = self.run(
                self.whole(
                    lambda after, store=store: store.catalogue.tags(name, after=after, limit=size),  # type: ignore[misc]  # as above
                    lambda item: item.text,
                )
            )
            assert [tag.text for tag in found] == sorted(self.repositories[name].tags)

    async def whole(self, load: Callable[[str], Awaitable[Page[Item]]], key: Callable[[Item], str]) -> list[Item]:
        """All pages of a list."""
        found: list[Item] = []
        more = True
        while more:
            page = await load(key(found[-1]) if found else "")
            found += page.items
            more = page.more
        return found

    @invariant()
    def the_stores_say_the_same(self) -> None:
        for _, store in self.views:
            self.run(self.check(store, self.touched))

    async def check(self, store: Store, name: RepositoryName) -> None:
        repository = self.repositories[name]
        blobs = {Digest.of(content.body, kind) for content in BLOBS for kind in ("sha256", "sha512")}
        assert await store.links.missing(name, blobs) == blobs - repository.blobs
        known = {digest for other in self.repositories.values() for digest in other.manifests}
        assert await store.manifests.missing(name, known) == known - repository.manifests.keys()
        for digest, content in repository.manifests.items():
            found = await store.manifests.find(name, digest)
            assert (found.digest, found.media_type, found.payload) == (digest, content.media_type, content.body)
        for tag, digest in repository.tags.items():
            assert (await store.manifests.find(name, Tag(tag))).digest == digest
        if repository.is_populated:
            page = await store.catalogue.tags(name, after="", limit=None)
            assert [tag.text for tag in page.items] == sorted(repository.tags)


def test_link_files_and_sqlite_say_what_the_model_says() -> None:
    class LocalRegistry(Registry):
        openers = (partial(layout_opener, "layout-inmemory"), sqlite_opener)

    run_state_machine_as_test(LocalRegistry, settings=settings(max_examples=40, stateful_step_count=30))


def test_postgresql_says_what_the_model_says(postgres: Postgres) -> None:
    class PostgresRegistry(Registry):
        openers = (lambda _: postgres_opener(postgres),)

    run_state_machine_as_test(PostgresRegistry, settings=settings(max_examples=15, stateful_step_count=30))
