"""Details of repositories and tags: times, sizes, digests, referrers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from moorage.core.sizes import Size, Sizes
from moorage.errors import NameUnknown
from moorage.metadata.base import Page
from moorage.metadata.details import (
    DetailStore,
    Referrer,
    RepositoryDetails,
    TagDetails,
    TagEntry,
    TagPage,
    TagSelection,
)
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag


class SizeScope(Enum):
    """The repositories that a size covers: one, or also all below it."""

    SELF = "self"
    SELF_WITH_DESCENDANTS = "self_with_descendants"


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """A repository as it was asked for."""

    name: RepositoryName
    details: RepositoryDetails | None
    """None: it is no repository itself, and only stands for those below it."""
    size: Size | None
    """None: nobody asked."""


class Details:
    """Reads details."""

    def __init__(self, store: DetailStore, sizes: Sizes) -> None:
        self._store = store
        self._sizes = sizes

    async def repository(self, name: RepositoryName, *, scope: SizeScope | None) -> RepositoryView:
        """Return the details of a repository, with its size if *scope* says of what.

        Raises:
            NameUnknown: there is no such repository; with descendants: nor any whose name begins with the same part.
            DatabaseUnavailable: its size takes too long to measure.
        """
        with_descendants = scope is SizeScope.SELF_WITH_DESCENDANTS
        try:
            details = await self._store.repository(name)
        except NameUnknown:
            if not with_descendants or not await self._store.has_namespace(name):
                raise
            details = None
        size = None if scope is None else await self._sizes.of(name, with_descendants=with_descendants)
        return RepositoryView(name, details, size)

    async def repositories(self, under: RepositoryName, *, after: str, limit: int) -> Page[RepositoryDetails]:
        """Repositories that have a tag, *under* and those below it, in byte order, those after *after*.

        Raises:
            NameUnknown: there is none whose name begins with the same part.
        """
        page = await self._store.repositories(under, after=after, limit=limit)
        if not page.items and not await self._store.has_namespace(under):
            msg = "there is no repository in this namespace"
            raise NameUnknown(msg, namespace=under.text.partition("/")[0])
        return page

    async def tag(self, name: RepositoryName, tag: Tag) -> TagDetails:
        """Everything about one tag.

        Raises:
            NameUnknown: there is no such repository.
            TagUnknown: it has no such tag.
        """
        return await self._store.tag(name, tag)

    async def tag_entry(self, name: RepositoryName, tag: str) -> TagEntry | None:
        """One tag as a list shows it; None if there is no such tag.

        Raises:
            NameUnknown: there is no such repository.
        """
        return await self._store.tag_entry(name, tag)

    async def tags(self, name: RepositoryName, selection: TagSelection) -> TagPage:
        """A part of the list of tags.

        Raises:
            NameUnknown: there is no such repository.
            TagUnknown: the place to go on from is that of a tag which is not there, in a list by time.
        """
        return await self._store.tags(name, selection)

    async def referrers(
        self, name: RepositoryName, subjects: Sequence[Digest], *, artifact_types: Sequence[str]
    ) -> Mapping[Digest, Sequence[Referrer]]:
        """Manifests whose subject is one of *subjects*, by subject; only of *artifact_types* unless that is empty."""
        return await self._store.referrers(name, subjects, artifact_types=artifact_types)
