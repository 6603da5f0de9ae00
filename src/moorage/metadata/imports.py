"""The interface to a database that takes over what link files say.

Nobody else writes to the database meanwhile, as no registry uses it yet. Everything may be done again: what is there
already stays as it is, so that an import which was killed is finished by the next one.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.oci.digests import Digest
from moorage.oci.manifests import Manifest, StoredManifest
from moorage.oci.names import RepositoryName


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlob:
    """A blob whose bytes are there, and that a link file puts into a repository."""

    digest: Digest
    size_bytes: int
    linked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundManifest:
    """A manifest that a link file puts into a repository, as it was read."""

    stored: StoredManifest
    manifest: Manifest
    configuration: bytes | None
    """That of an image, if it is small and in the repository."""
    linked_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTag:
    """A tag, and what its link file says."""

    name: str
    digest: Digest
    linked_at: datetime


class ImportReads(ABC):
    """Questions of an import to its database."""

    @abstractmethod
    async def has_tags(self) -> bool:
        """Return whether there is a tag in any repository."""

    @abstractmethod
    async def has_content(self, name: RepositoryName) -> bool:
        """Return whether anything is known of a repository."""

    @abstractmethod
    async def blobs(self, digests: Collection[Digest]) -> Mapping[Digest, int]:
        """The sizes of those of *digests* whose bytes are known to be there, in whatever repository."""

    @abstractmethod
    async def linked(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository has as blobs."""

    @abstractmethod
    async def manifests(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository has as manifests with all that they refer to."""

    @abstractmethod
    async def needed(self, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that a manifest needs as blobs, or that are known and wait for a review."""

    @abstractmethod
    async def tags_between(self, name: RepositoryName, after: str, last: str | None) -> Sequence[str]:
        """The tags after *after* up to *last* (None: all), in their order."""

    @abstractmethod
    async def manifests_between(self, name: RepositoryName, after: Digest | None, last: Digest | None) -> set[Digest]:
        """The manifests after *after* (None: from the first on) up to *last* (None: all), which can be pulled."""

    @abstractmethod
    async def page_of_blobs(self, name: RepositoryName, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        """The blobs of a repository with their rows' ids, those after a row."""

    @abstractmethod
    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        """The paths of all repositories, in their order."""

    @abstractmethod
    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        """The digests of all manifests with their rows' ids, those after a row."""

    @abstractmethod
    async def row_counts(self) -> Mapping[str, int]:
        """Count the rows of the tables that an import writes to."""


class ImportStore(ImportReads):
    """Those questions, and the changes; each method is one transaction."""

    @abstractmethod
    async def take_repository(self, name: RepositoryName, *, is_populated: bool) -> None:
        """Make a repository; *is_populated*: it has, or had, a manifest, so that it is in the catalogue."""

    @abstractmethod
    async def take_blobs(self, name: RepositoryName, blobs: Sequence[FoundBlob]) -> None:
        """Put blobs into a repository."""

    @abstractmethod
    async def take_manifests(self, name: RepositoryName, manifests: Sequence[FoundManifest]) -> None:
        """Put manifests into a repository. What they refer to and the repository does not have may come later."""

    @abstractmethod
    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        """Point tags to manifests; return those whose manifest the repository does not have, which are left out."""

    @abstractmethod
    async def drop_tags(self, name: RepositoryName, tags: Collection[str]) -> None:
        """Take tags out that an earlier import has found and that are not there any more."""

    @abstractmethod
    async def drop_manifests(self, name: RepositoryName, digests: Collection[Digest]) -> None:
        """Likewise manifests, with the tags that point to them."""

    @abstractmethod
    async def drop_blobs(self, name: RepositoryName, ids: Collection[int]) -> None:
        """Likewise blobs, by their rows' ids."""

    @abstractmethod
    async def forget_repository(self, name: RepositoryName) -> None:
        """Leave a repository that is not there any more out of the catalogue."""

    @abstractmethod
    async def review(self, digests: Collection[Digest]) -> None:
        """Have garbage collection look at bytes after the usual delay, unless it is going to anyway."""
