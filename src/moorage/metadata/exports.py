"""The interface to all that a database has of each repository, to be written as link files.

The registry may go on serving meanwhile: each answer is of its own moment, so what is written is as new as that.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest
from moorage.oci.names import RepositoryName


@dataclass(frozen=True, slots=True)
class SizedManifest:
    """A manifest and the number of its bytes."""

    digest: Digest
    size_bytes: int


class ExportStore(ABC):
    """All that is there, page by page, and whether something still is."""

    @abstractmethod
    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        """The paths of all repositories, in their order."""

    @abstractmethod
    async def are_repositories(self, paths: Collection[str]) -> set[str]:
        """Those of *paths* that are repositories."""

    @abstractmethod
    async def is_in_catalogue(self, name: RepositoryName) -> bool:
        """Return whether a repository has, or had, a manifest."""

    @abstractmethod
    async def page_of_blobs(self, name: RepositoryName, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        """The blobs of a repository with their rows' ids, those after a row."""

    @abstractmethod
    async def page_of_manifests(
        self, name: RepositoryName, *, after: Digest | None, limit: int
    ) -> Sequence[SizedManifest]:
        """The manifests of a repository, in the order of their digests."""

    @abstractmethod
    async def manifests(self, name: RepositoryName, digests: Collection[Digest]) -> Sequence[StoredManifest]:
        """These manifests, those of them that are there."""

    @abstractmethod
    async def page_of_tags(self, name: RepositoryName, *, after: str, limit: int) -> Sequence[tuple[str, Digest]]:
        """The tags of a repository with what they point to, in their order."""

    @abstractmethod
    async def linked(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository has as blobs."""

    @abstractmethod
    async def known(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository has as manifests."""

    @abstractmethod
    async def tagged(self, name: RepositoryName, tags: Collection[str]) -> set[str]:
        """Those of *tags* that the repository has."""
