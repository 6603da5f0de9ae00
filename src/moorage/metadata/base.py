"""The interfaces to metadata. Handlers and services cannot tell which store is behind them.

A store promises: what a method acknowledged is durable when it returns; a reader sees either the state before a
change or the state after it; a change is visible to every other process as soon as it is acknowledged.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import Reference, RepositoryName, Tag

Item = TypeVar("Item")

REFERRERS_PAGE_BYTES = (4 << 20) - 1024
"""A page of referrers has at most so many bytes of descriptors, so that it is no larger than a manifest may be."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list, and whether more follows it."""

    items: list[Item]
    more: bool


class Links(ABC):
    """Which blobs are in which repository. A blob is visible in a repository only through a link."""

    @abstractmethod
    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the blob."""

    @abstractmethod
    async def link(self, name: RepositoryName, digest: Digest) -> None:
        """Put a blob, whose bytes are in storage and durable, into the repository."""

    @abstractmethod
    async def unlink(self, name: RepositoryName, digest: Digest) -> None:
        """Take a blob out of the repository; its bytes stay.

        Raises:
            BlobUnknown: it was not there.
        """


class Manifests(ABC):
    """The manifests and tags of each repository."""

    @abstractmethod
    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Whether the repository has the manifest."""

    @abstractmethod
    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        """The manifest that a tag points to or a digest names.

        Raises:
            ManifestUnknown: there is none.
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def put(
        self, name: RepositoryName, stored: StoredManifest, manifest: Manifest, *, tags: Sequence[Tag]
    ) -> None:
        """Store a manifest (checked by the caller), list it among its subject's referrers, then point *tags* to it.

        A failure in between leaves at most a manifest without some of its tags.
        """

    @abstractmethod
    async def delete(self, name: RepositoryName, digest: Digest) -> None:
        """Remove a manifest, every tag that points to it, and its place among its subject's referrers.

        Raises:
            ManifestUnknown: it was not there.
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def untag(self, name: RepositoryName, tag: Tag) -> None:
        """Remove a tag; the manifest stays.

        Raises:
            ManifestUnknown: there was no such tag.
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        """The manifests with this subject, in the order of their digests, those after *after*; filtered unless None.

        An unknown repository or subject has none.
        """


class Catalogue(ABC):
    """Lists, all in byte order and paged by the last name seen."""

    @abstractmethod
    async def repositories(self, *, after: str, limit: int) -> Page[RepositoryName]:
        """Names of repositories that have, or had, a manifest."""

    @abstractmethod
    async def tags(self, name: RepositoryName, *, after: str, limit: int | None) -> Page[Tag]:
        """Tags of a repository; all with *limit* None.

        Raises:
            NameUnknown: there is no such repository.
        """
