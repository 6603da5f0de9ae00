"""Link files of one repository, compared with what a database has of it, while nobody writes to either."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from moorage.metadata.exports import ExportStore
from moorage.moving.link_folders import LinkFolders
from moorage.moving.outcome import LeftOutKind, Teller
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.storage.base import StorageDriver
from moorage.work.reports import WorkReports

_PAGE = 500
_MANIFESTS = (LeftOutKind.MANIFEST_MISSING, LeftOutKind.MANIFEST_DAMAGED, LeftOutKind.SCHEMA1)


@dataclass(slots=True)
class Differences:
    """Counts of what one side has and the other has not."""

    blobs: int = 0
    """In link files only."""
    manifests: int = 0
    tags: int = 0
    moved: int = 0
    """Tags that point elsewhere."""
    more: int = 0
    """In the database only."""

    def but(self, left_out: Mapping[LeftOutKind, int]) -> Sequence[str]:
        """Return in words what is not explained by what was left out."""
        expected = {
            "blobs": left_out.get(LeftOutKind.BLOB, 0),
            "manifests": sum(left_out.get(kind, 0) for kind in _MANIFESTS),
            "tags": left_out.get(LeftOutKind.TAG, 0),
            "moved": 0,
            "more": 0,
        }
        words = {"blobs": "blobs missing", "manifests": "manifests missing", "tags": "tags missing"}
        words |= {"moved": "tags elsewhere", "more": "more than in link files"}
        return [
            f"{abs(getattr(self, what) - count)} {words[what]}"
            for what, count in expected.items()
            if getattr(self, what) != count
        ]


class LinkComparison:
    """Reads both sides, page by page."""

    def __init__(self, storage: StorageDriver, database: ExportStore, name: RepositoryName) -> None:
        self._database = database
        self._name = name
        self._folders = LinkFolders(storage, name, Teller(WorkReports()))
        self._found = Differences()

    async def run(self) -> Differences:
        """Compare blobs, manifests and tags."""
        await self._blobs()
        await self._manifests()
        await self._tags()
        return self._found

    async def _blobs(self) -> None:
        both = 0
        async for links in self._folders.layers():
            known = await self._database.linked(self._name, [link.digest for link in links])
            both += len(known)
            self._found.blobs += len(links) - len(known)
        after, there = 0, 0
        while rows := await self._database.page_of_blobs(self._name, after=after, limit=_PAGE):
            there += len(rows)
            after = rows[-1][0]
        self._found.more += there - both

    async def _manifests(self) -> None:
        both = 0
        async for links in self._folders.revisions():
            known = await self._database.known(self._name, [link.digest for link in links])
            both += len(known)
            self._found.manifests += len(links) - len(known)
        after: Digest | None = None
        there = 0
        while sized := await self._database.page_of_manifests(self._name, after=after, limit=_PAGE):
            there += len(sized)
            after = sized[-1].digest
        self._found.more += there - both

    async def _tags(self) -> None:
        targets = self._targets()
        ahead = await anext(targets, None)
        async for links in self._folders.tags():
            for link in links:
                while ahead is not None and ahead[0].encode() < link.name.encode():
                    self._found.more += 1
                    ahead = await anext(targets, None)
                if ahead is None or ahead[0] != link.name:
                    self._found.tags += link.target is not None
                    continue
                self._found.moved += ahead[1] != link.target
                ahead = await anext(targets, None)
        while ahead is not None:
            self._found.more += 1
            ahead = await anext(targets, None)

    async def _targets(self) -> AsyncIterator[tuple[str, Digest]]:
        after = ""
        while rows := await self._database.page_of_tags(self._name, after=after, limit=_PAGE):
            for row in rows:
                yield row
            after = rows[-1][0]
