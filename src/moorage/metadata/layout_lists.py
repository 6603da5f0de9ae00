"""Lists of repositories and tags, read from folders; where each look is a request, many are made together.

A tag whose link is not there yet is half-written, or already half removed: it is no tag, though its folder is there.
"""

from collections.abc import AsyncIterator, Sequence

from moorage.metadata.aside import in_turns
from moorage.metadata.base import CatalogueStore, Page, no_repository
from moorage.metadata.layout_pointers import is_linked
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from moorage.storage.base import Capability, FolderEntry, StorageDriver
from moorage.storage.file_storage import keeps_files
from moorage.storage.walk import pages_of, repository_folders

BATCH = 1000
_TOGETHER = 16
_CURRENT = "/current/link"
_LEAST_IN_A_PAGE = 200
"""Tags in a page of all keys, below which it is cheaper to ask for each: most keys are of what tags once were."""
_PATIENCE = 4


class LayoutCatalogue(CatalogueStore):
    """Lists read from the folders."""

    def __init__(self, storage: StorageDriver) -> None:
        self._storage = storage

    async def repositories(self, *, after: str, limit: int) -> Page[RepositoryName]:
        """See the interface."""
        found: list[RepositoryName] = []
        async for name in self._repositories(after):
            if len(found) == limit:
                return Page(found, more=True)
            found.append(name)
        return Page(found, more=False)

    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        """See the interface."""
        if not keeps_files(self._storage):
            return await self._tags_at_once(name, after, limit)
        found: list[Tag] = []
        batch = BATCH if limit is None else min(limit + 1, BATCH)
        is_empty = True
        async for entries in pages_of(self._storage, paths.tags(name), after=after, page=batch):
            is_empty = is_empty and not entries
            async for entry in in_turns(entries):
                # A tag whose link is not there yet is half-written, or already half removed.
                tag = Tag(entry.name)
                if entry.is_folder and tag.can_be_read and await is_linked(self._storage, paths.tag_link(name, tag)):
                    if limit is not None and len(found) == limit:
                        return Page(found, more=True)
                    found.append(tag)
        if is_empty and not await self._storage.exists(paths.manifests(name)):
            raise no_repository(name)
        return Page(found, more=False)

    async def _tags_at_once(self, name: RepositoryName, after: str, limit: int | None) -> Page[Tag]:
        found: list[Tag] = []
        async for tags in pages_of_tags(self._storage, name, after=after, limit=limit):
            found += tags
            if limit is not None and len(found) > limit:
                return Page(found[:limit], more=True)
        if not found and not await self._storage.exists(paths.manifests(name)):
            raise no_repository(name)
        return Page(found, more=False)

    async def _repositories(self, after: str) -> AsyncIterator[RepositoryName]:
        """Those that have or had a manifest; where each look is a request, some are looked at together."""
        together = 1 if keeps_files(self._storage) else _TOGETHER
        waiting: list[RepositoryName] = []
        async for name in repository_folders(self._storage, after=after):
            waiting += [name] if name.can_be_read else []
            if len(waiting) == together:
                for there in await self._with_manifests(waiting):
                    yield there
                waiting = []
        for there in await self._with_manifests(waiting):
            yield there

    async def _with_manifests(self, names: Sequence[RepositoryName]) -> Sequence[RepositoryName]:
        if len(names) == 1:
            return names if await self._storage.exists(paths.manifests(names[0])) else ()
        stats = await self._storage.stat_each([paths.manifests(name) for name in names], folder=True)
        return [name for name, stat in zip(names, stats, strict=True) if stat is not None]


async def linked(storage: StorageDriver, name: RepositoryName, entries: Sequence[FolderEntry]) -> list[Tag]:
    """Return those of a page of folders that are tags, in their order."""
    tags = [tag for tag in (Tag(entry.name) for entry in entries if entry.is_folder) if tag.can_be_read]
    stats = await storage.stat_each([paths.tag_link(name, tag) for tag in tags])
    # An empty link is what a crash leaves of Distribution, which writes in place.
    return [tag for tag, stat in zip(tags, stats, strict=True) if stat is not None and stat.size_bytes]


async def pages_of_tags(
    storage: StorageDriver, name: RepositoryName, *, after: str, limit: int | None
) -> AsyncIterator[Sequence[Tag]]:
    """Yield the tags that come after a name, in order, at least *limit* and one more if there are so many."""
    if limit is None and Capability.FLAT_LISTS in storage.capabilities:
        found = await _all_at_once(storage, name, after)
        if found is not None:
            yield found
            return
    batch = BATCH if limit is None else min(limit + 1, BATCH)
    async for entries in pages_of(storage, paths.tags(name), after=after, page=batch):
        yield await linked(storage, name, entries)


async def _all_at_once(storage: StorageDriver, name: RepositoryName, after: str) -> list[Tag] | None:
    """All tags, by a list of all keys below; None if there is more beside them than is worth to read."""
    folder, pages, found = f"{paths.tags(name)}/", 0, set[str]()
    async for page in storage.all_below(paths.tags(name)):
        pages += 1
        found |= {
            path.removeprefix(folder).removesuffix(_CURRENT)
            for path, stat in page
            if path.endswith(_CURRENT) and stat.size_bytes
        }
        if pages > _PATIENCE and len(found) < pages * _LEAST_IN_A_PAGE:
            return None
    names = sorted((text for text in found if text > after and "/" not in text), key=str.encode)
    return [tag for tag in map(Tag, names) if tag.can_be_read]
