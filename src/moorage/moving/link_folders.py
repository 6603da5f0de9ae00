"""Link files of one repository, read page by page, with the moments at which they were written."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.moving.outcome import LeftOutKind, Teller
from moorage.oci.digests import ALGORITHMS, Digest, digest_or_none, linked_digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import FolderEntry, Stat, StorageDriver
from moorage.storage.walk import entries_of, lies_at, pages_of

PAGE = 500
_NO_FOLDER = "what lies there is neither a folder nor a link to one"


@dataclass(frozen=True, slots=True)
class DigestLink:
    """A link to a blob or a manifest."""

    digest: Digest
    written_at: datetime


@dataclass(frozen=True, slots=True)
class TagLink:
    """A tag; *target* None: its link file says nothing that can be read."""

    name: str
    target: Digest | None
    written_at: datetime


class LinkFolders:
    """The folders of a repository that have link files in them."""

    def __init__(self, storage: StorageDriver, name: RepositoryName, teller: Teller) -> None:
        self._storage = storage
        self._name = name
        self._teller = teller
        self.odd_layers: set[Digest] = set()
        """The blobs and manifests whose link is neither a file nor absent, of what was read so far."""
        self.odd_revisions: set[Digest] = set()
        self.odd_tags: set[str] = set()

    async def has_odd_folder(self) -> bool:
        """Name each folder of the repository that is neither a folder nor absent, and return whether one is."""
        listed = (paths.layers(self._name), paths.revisions(self._name))
        above = (paths.repository(self._name), paths.manifests(self._name), paths.tags(self._name))
        folders = [*above, *listed, *(f"{folder}/{algorithm}" for folder in listed for algorithm in ALGORITHMS)]
        stats = await self._storage.stat_each(folders, folder=True)
        odd = [
            path
            for path, stat in zip(folders, stats, strict=True)
            if stat is None and await lies_at(self._storage, path)
        ]
        for path in odd:
            self._odd(path, _NO_FOLDER)
        return bool(odd)

    def layers(self) -> AsyncIterator[Sequence[DigestLink]]:
        """Yield the blobs of the repository, in the order of their digests."""
        return self._digests(paths.layers(self._name), self.odd_layers)

    def revisions(self) -> AsyncIterator[Sequence[DigestLink]]:
        """Yield the manifests of the repository, in the order of their digests."""
        return self._digests(paths.revisions(self._name), self.odd_revisions)

    async def tags(self) -> AsyncIterator[Sequence[TagLink]]:
        """Yield the tags, in their order; one that is half written or half removed is none."""
        async for entries in pages_of(self._storage, paths.tags(self._name), page=PAGE):
            names = [entry.name for entry in entries if self._is_tag(entry)]
            links = [paths.tag_link(self._name, Tag(name)) for name in names]
            stats = await self._storage.stat_each(links)
            for name, path, stat in zip(names, links, stats, strict=True):
                if await self._is_odd(path, stat):
                    self.odd_tags.add(name)
            there = [(name, path, stat) for name, path, stat in zip(names, links, stats, strict=True) if stat]
            contents = await self._storage.get_each([path for _, path, _ in there], lambda _, content: content)
            yield [
                TagLink(name, linked_digest(content), stat.modified_at)
                for (name, _, stat), content in zip(there, contents, strict=True)
                if content is not None
            ]

    async def _digests(self, folder: str, odd: set[Digest]) -> AsyncIterator[Sequence[DigestLink]]:
        async for entry in entries_of(self._storage, folder):
            if entry.name not in ALGORITHMS:
                self._odd(f"{folder}/{entry.name}", "it is not named by an algorithm of digests")
        for algorithm in sorted(ALGORITHMS):
            async for entries in pages_of(self._storage, f"{folder}/{algorithm}", page=PAGE):
                digests = [self._digest(folder, algorithm, entry) for entry in entries]
                found = [digest for digest in digests if digest is not None]
                links = [f"{folder}/{digest.algorithm}/{digest.encoded}/link" for digest in found]
                stats = await self._storage.stat_each(links)
                for digest, path, stat in zip(found, links, stats, strict=True):
                    if await self._is_odd(path, stat):
                        odd.add(digest)
                    if stat is not None and not stat.size_bytes:
                        self._odd(path, "the link file is empty")
                yield [
                    DigestLink(digest, stat.modified_at)
                    for digest, stat in zip(found, stats, strict=True)
                    if stat is not None and stat.size_bytes
                ]

    def _digest(self, folder: str, algorithm: str, entry: FolderEntry) -> Digest | None:
        digest = digest_or_none(f"{algorithm}:{entry.name}")
        if digest is None:
            self._odd(f"{folder}/{algorithm}/{entry.name}", "it is not named by a digest")
        return digest

    def _is_tag(self, entry: FolderEntry) -> bool:
        if Tag(entry.name).can_be_read:
            return True
        self._teller.leave_out(
            LeftOutKind.NAME, f"{paths.tags(self._name)}/{entry.name}", "no client can ask for a tag of that name"
        )
        return False

    async def _is_odd(self, path: str, stat: Stat | None) -> bool:
        if stat is not None or not await lies_at(self._storage, path):
            return False
        self._odd(path, "what lies there is neither a file nor a link to one")
        return True

    def _odd(self, path: str, reason: str) -> None:
        self._teller.leave_out(LeftOutKind.LINK, path, reason)
