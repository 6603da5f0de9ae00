"""Lists of repositories and of their tags."""

from moorage.metadata.base import CatalogueStore, Page
from moorage.oci.names import RepositoryName, Tag


class Repositories:
    """The repositories of this registry."""

    def __init__(self, catalogue: CatalogueStore) -> None:
        self._catalogue = catalogue

    async def list(self, *, after: str, limit: int) -> Page[RepositoryName]:
        """Repositories in byte order, those after *after*, at most *limit*."""
        return await self._catalogue.repositories(after=after, limit=limit)

    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        """Tags of a repository in byte order, those after *after*, at most *limit* (None: all).

        Raises:
            NameUnknown: there is no such repository.
        """
        return await self._catalogue.tags(name, after=after, limit=limit)
