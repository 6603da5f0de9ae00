"""The interface to the database of GitLab's own registry, as far as an import reads it: one moment of it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName


@dataclass(frozen=True, slots=True)
class GitLabRepository:
    """A repository that is not deleted."""

    id: int
    namespace_id: int
    """The partitions' key."""
    name: RepositoryName
    has_manifests: bool


@dataclass(frozen=True, slots=True)
class GitLabBlob:
    """A blob of a repository."""

    digest: Digest
    size_bytes: int
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class GitLabManifest:
    """A manifest of a repository, with the configuration of an image if it is kept beside it."""

    digest: Digest
    media_type: str
    payload: bytes
    configuration: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GitLabTag:
    """A tag, and what it points to since when."""

    name: str
    digest: Digest
    pointed_at: datetime


class GitLabTables(ABC):
    """All that is there, page by page."""

    @abstractmethod
    async def count(self) -> int:
        """Count the repositories."""

    @abstractmethod
    def repositories(self) -> AsyncIterator[Sequence[GitLabRepository]]:
        """Yield the repositories."""

    @abstractmethod
    def blobs(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabBlob]]:
        """Yield the blobs of a repository."""

    @abstractmethod
    def manifests(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabManifest]]:
        """Yield the manifests of a repository; those that an index lists come before it."""

    @abstractmethod
    def tags(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabTag]]:
        """Yield the tags of a repository."""
