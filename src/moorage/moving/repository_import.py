"""The import of one repository: its blobs, its manifests, then its tags, so that nothing points to what is not there.

What an earlier import has taken over is not read again. Where the link files have lost something since then, the
database loses it too: what was deleted meanwhile does not come back.
"""

from collections.abc import Collection, Sequence

from moorage.metadata.imports import FoundBlob, FoundTag, ImportStore
from moorage.moving.link_folders import DigestLink, LinkFolders, TagLink
from moorage.moving.manifest_reading import ManifestReading
from moorage.moving.outcome import LeftOutKind, Outcome, Teller
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver

_PAGE = 500
TAGS = "tags"
MANIFESTS = "manifests"
NAME_REASON = "no client can ask for a repository of that name"
_PATH_LIMIT = 255
"""Characters of a path that a database takes."""


class RepositoryImport:
    """Takes over one repository."""

    def __init__(self, storage: StorageDriver, database: ImportStore, name: RepositoryName, teller: Teller) -> None:
        self._storage = storage
        self._database = database
        self._name = name
        self._teller = teller
        self._folders = LinkFolders(storage, name, teller)

    async def run(self, *, with_tags: bool, goes_on: bool) -> None:
        """Take it over; without tags it may go on being used meanwhile.

        *goes_on*: an earlier import has begun, so the database may have what is not there any more.
        """
        is_known = with_tags and goes_on and await self._database.has_content(self._name)
        if is_known and await self._folders.has_odd_folder():
            is_known = False  # What is in it cannot be seen now, and is not gone for that.
        await self._database.take_repository(self._name, is_populated=await self._has_manifests())
        await self._layers()
        await self._manifests(compares=is_known)
        if with_tags:
            await self._tags(compares=is_known)
        if is_known:
            await self._drop_blobs()

    async def leave(self) -> None:
        """Take out all that an earlier import has found of a repository that is not there any more."""
        await self._drop_manifests(None, None, ())
        await self._drop_blobs()
        await self._database.forget_repository(self._name)

    async def _layers(self) -> None:
        async for links in self._folders.layers():
            known = await self._database.blobs([link.digest for link in links])
            unknown = [link for link in links if link.digest not in known]
            stats = await self._storage.stat_each([paths.blob(link.digest) for link in unknown])
            sizes = {link.digest: stat.size_bytes for link, stat in zip(unknown, stats, strict=True) if stat}
            found = [
                FoundBlob(digest=link.digest, size_bytes=known[link.digest], linked_at=link.written_at)
                if link.digest in known
                else FoundBlob(digest=link.digest, size_bytes=sizes[link.digest], linked_at=link.written_at)
                for link in links
                if link.digest in known or link.digest in sizes
            ]
            gone = [link.digest for link in unknown if link.digest not in sizes]
            gone_paths = [paths.layer_link(self._name, digest) for digest in gone]
            self._teller.leave_out_each(LeftOutKind.BLOB, gone_paths, "the blob's bytes are not in storage")
            if found:
                await self._database.take_blobs(self._name, found)
            self._outcome.blobs += len(found)
            self._outcome.new_blobs += len(sizes)

    async def _manifests(self, *, compares: bool) -> None:
        reading = ManifestReading(self._storage, self._name, self._teller)
        lists: list[DigestLink] = []
        after: Digest | None = None
        async for links in self._folders.revisions():
            lists += await self._take(reading, links)
            if compares and links:
                there = {link.digest for link in links} | self._folders.odd_revisions
                await self._drop_manifests(after, links[-1].digest, there)
                after = links[-1].digest
        if compares:
            await self._drop_manifests(after, None, self._folders.odd_revisions)
        for start in range(0, len(lists), _PAGE):
            async for found, _ in reading.read(lists[start : start + _PAGE], self._database, lists_only=True):
                await self._database.take_manifests(self._name, found)
                self._count_manifests(len(found), new=len(found))

    async def _take(self, reading: ManifestReading, links: Sequence[DigestLink]) -> Sequence[DigestLink]:
        """Take manifests over but those that list others, which are returned."""
        known = await self._database.manifests(self._name, [link.digest for link in links])
        self._count_manifests(len(known), new=0)
        lists: list[DigestLink] = []
        async for found, waiting in reading.read([link for link in links if link.digest not in known], self._database):
            if found:
                await self._database.take_manifests(self._name, found)
            self._count_manifests(len(found), new=len(found))
            lists += waiting
        return lists

    async def _tags(self, *, compares: bool) -> None:
        after = ""
        async for links in self._folders.tags():
            await self._take_tags(links)
            if compares and links:
                await self._drop_tags(after, links[-1].name, {link.name for link in links} | self._folders.odd_tags)
                after = links[-1].name
            self._teller.reports.advanced(TAGS, len(links))
        if compares:
            await self._drop_tags(after, None, self._folders.odd_tags)

    async def _take_tags(self, links: Sequence[TagLink]) -> None:
        found = []
        for link in links:
            if link.target is None:
                self._leave_out_tag(link.name, LeftOutKind.LINK, "the link file does not say a digest")
            else:
                found.append(FoundTag(name=link.name, digest=link.target, linked_at=link.written_at))
        left = await self._database.take_tags(self._name, found) if found else ()
        for tag in left:
            reason = f"it points to {tag.digest}, and the repository has no such manifest, or it was left out"
            self._leave_out_tag(tag.name, LeftOutKind.TAG, reason)
        self._outcome.tags += len(found) - len(left)

    async def _drop_tags(self, after: str, last: str | None, there: set[str]) -> None:
        gone = [tag for tag in await self._database.tags_between(self._name, after, last) if tag not in there]
        if gone:
            await self._database.drop_tags(self._name, gone)
            self._outcome.removed += len(gone)

    async def _drop_manifests(self, after: Digest | None, last: Digest | None, there: Collection[Digest]) -> None:
        gone = (await self._database.manifests_between(self._name, after, last)).difference(there)
        if gone:
            await self._database.drop_manifests(self._name, gone)
            self._outcome.removed += len(gone)

    async def _drop_blobs(self) -> None:
        after = 0
        while rows := await self._database.page_of_blobs(self._name, after=after, limit=_PAGE):
            links = [paths.layer_link(self._name, digest) for _, digest in rows]
            stats = await self._storage.stat_each(links)
            gone = [
                row
                for (row, digest), stat in zip(rows, stats, strict=True)
                if (stat is None or not stat.size_bytes) and digest not in self._folders.odd_layers
            ]
            if gone:
                await self._database.drop_blobs(self._name, gone)
                self._outcome.removed += len(gone)
            after = rows[-1][0]

    async def _has_manifests(self) -> bool:
        return await self._storage.exists(paths.manifests(self._name))

    def _leave_out_tag(self, tag: str, kind: LeftOutKind, reason: str) -> None:
        self._teller.leave_out(kind, paths.tag_link(self._name, Tag(tag)), reason)

    def _count_manifests(self, count: int, *, new: int) -> None:
        self._outcome.manifests += count
        self._outcome.new_manifests += new
        self._teller.reports.advanced(MANIFESTS, count)

    @property
    def _outcome(self) -> Outcome:
        return self._teller.outcome


def can_be_taken(name: RepositoryName) -> bool:
    """Return whether a client can ask for a repository of that name, and a database take it."""
    return name.can_be_read and len(name.text) <= _PATH_LIMIT
