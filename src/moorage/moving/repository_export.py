"""The export of one repository: blobs, manifests, then tags, and what is not there any more."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from moorage.metadata.exports import ExportStore, SizedManifest
from moorage.metadata.layout_pointers import beside
from moorage.moving.link_folders import LinkFolders
from moorage.moving.link_writing import LinkWriter
from moorage.moving.outcome import LeftOutKind, Teller
from moorage.moving.stored_manifests import manifest_of
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import StorageDriver

TAGS = "tags"

_PAGE = 500
_TOGETHER_BYTES = 8 << 20


class RepositoryExport:
    """Writes the link files of one repository."""

    def __init__(self, storage: StorageDriver, database: ExportStore, name: RepositoryName, teller: Teller) -> None:
        self._storage = storage
        self._database = database
        self._name = name
        self._teller = teller
        self._folders = LinkFolders(storage, name, teller)

    async def run(self, writer: LinkWriter) -> None:
        """Write what the database has, and remove what it has not."""
        await self._layers(writer)
        await self._manifests(writer)
        await self._tags(writer)
        await self._remove_tags(writer)
        await self._remove_digests(writer)

    async def _layers(self, writer: LinkWriter) -> None:
        after = 0
        while rows := await self._database.page_of_blobs(self._name, after=after, limit=_PAGE):
            digests = [digest for _, digest in rows]
            stats = await self._storage.stat_each([paths.blob(digest) for digest in digests])
            there = [digest for digest, stat in zip(digests, stats, strict=True) if stat is not None]
            gone = [paths.blob(digest) for digest, stat in zip(digests, stats, strict=True) if stat is None]
            self._teller.leave_out_each(LeftOutKind.BLOB, gone, f"the bytes are not in storage, for {self._name.text}")
            await writer.write({paths.layer_link(self._name, digest): str(digest).encode() for digest in there})
            writer.counts.blobs += len(there)
            after = rows[-1][0]

    async def _manifests(self, writer: LinkWriter) -> None:
        after: Digest | None = None
        while sized := await self._database.page_of_manifests(self._name, after=after, limit=_PAGE):
            for portion in _portions(sized):
                stored = await self._database.manifests(self._name, portion)
                # What leads somewhere is there after what it leads to.
                await writer.write({paths.blob(each.digest): each.payload for each in stored})
                await writer.write(await asyncio.to_thread(_links, self._name, stored))
                writer.counts.manifests += len(stored)
            after = sized[-1].digest
        if after is None and await self._database.is_in_catalogue(self._name):
            await self._keep(writer)

    async def _keep(self, writer: LinkWriter) -> None:
        """Let a repository be there that has no manifest any more."""
        if not await self._storage.exists(paths.manifests(self._name)):
            await writer.write({paths.kept(self._name): b""})

    async def _tags(self, writer: LinkWriter) -> None:
        after = ""
        while rows := await self._database.page_of_tags(self._name, after=after, limit=_PAGE):
            links = [(Tag(name), digest, str(digest).encode()) for name, digest in rows]
            await writer.write({paths.tag_index_link(self._name, tag, digest): link for tag, digest, link in links})
            await writer.write({paths.tag_link(self._name, tag): link for tag, _, link in links})
            writer.counts.tags += len(rows)
            self._teller.reports.advanced(TAGS, len(rows))
            after = rows[-1][0]

    async def _remove_tags(self, writer: LinkWriter) -> None:
        async for links in self._folders.tags():
            known = await self._database.tagged(self._name, [link.name for link in links])
            gone = [paths.tag(self._name, Tag(link.name)) for link in links if link.name not in known]
            await writer.remove(gone)

    async def _remove_digests(self, writer: LinkWriter) -> None:
        async for links in self._folders.revisions():
            known = await self._database.known(self._name, [link.digest for link in links])
            await writer.remove([paths.revision(self._name, link.digest) for link in links if link.digest not in known])
        async for links in self._folders.layers():
            linked = await self._database.linked(self._name, [link.digest for link in links])
            await writer.remove([paths.layer(self._name, link.digest) for link in links if link.digest not in linked])


def _portions(sized: Sequence[SizedManifest]) -> Iterator[Sequence[Digest]]:
    portion, size_bytes = list[Digest](), 0
    for manifest in sized:
        if portion and size_bytes + manifest.size_bytes > _TOGETHER_BYTES:
            yield portion
            portion, size_bytes = [], 0
        portion.append(manifest.digest)
        size_bytes += manifest.size_bytes
    yield portion


def _links(name: RepositoryName, stored: Sequence[StoredManifest]) -> Mapping[str, bytes]:
    """Return what manifests have beside them, and after that their links."""
    found: dict[str, bytes] = {}
    for each in stored:
        found |= beside(name, each, manifest_of(each.payload, each.media_type))
    return found | {paths.revision_link(name, each.digest): str(each.digest).encode() for each in stored}
