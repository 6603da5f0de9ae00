"""The interfaces to metadata. Handlers and services cannot tell which store is behind them.

A store promises: what a method acknowledged is durable when it returns; a reader sees either the state before a
change or the state after it; a change is visible to every other process as soon as it is acknowledged.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar, Generic, TypeVar

from moorage.errors import NameUnknown, TagChanged
from moorage.notifications.events import SILENT, Announcer
from moorage.oci.digests import Digest
from moorage.oci.manifests import Descriptor, Manifest, StoredManifest
from moorage.oci.names import Reference, RepositoryName, Tag

Item = TypeVar("Item")

REFERRERS_PAGE_BYTES = (4 << 20) - 1024
"""A page of referrers has at most so many bytes of descriptors, so that it is no larger than a manifest may be."""

INLINE_BYTES = 256 << 10
"""The most of a caller's bytes that is parsed on the event loop: more would hold up the others."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list, and whether more follows it."""

    items: list[Item]
    more: bool


@dataclass(frozen=True, slots=True)
class Cause:
    """The journal's note on a change: the actor, the request, and the reason."""

    actor: str = ""
    """Empty: no actor in particular, as the client did not have to say who it is."""
    request_id: str = ""
    reason: str = ""
    announcer: Announcer = field(default=SILENT, compare=False, repr=False)
    """Makes the notices of the change, which the store writes in the same transaction."""

    def __post_init__(self) -> None:
        """Keep only what any database takes as text: what comes from headers may hold anything."""
        for name in ("actor", "request_id", "reason"):
            text: str = getattr(self, name)
            if "\0" in text or not text.isascii():
                object.__setattr__(self, name, text.replace("\0", "").encode("utf-8", "replace").decode())


UNEXPLAINED = Cause()
"""The cause of a change that has no actor, and that no notice is made of."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A note that :meth:`LinkStore.expect` made: good until garbage collection has dealt with it."""

    token: int = 0


@dataclass(frozen=True, slots=True)
class RemovalWatch:
    """A moment before a blob's bytes got their place: see :meth:`LinkStore.watch`."""

    removals: int
    """The number of times that garbage collection had removed blobs."""


@dataclass(frozen=True, slots=True)
class LinkedBlob:
    """A blob that a repository has. *size_bytes*: how many bytes it should have; None if the store does not know."""

    size_bytes: int | None = None


class LinkStore(ABC):
    """The blobs of each repository. A blob is visible in a repository only through a link."""

    @abstractmethod
    async def expect(self, digest: Digest) -> Expectation:
        """Note that a blob's bytes are about to be where blobs are, so that a crash leaves nothing unknown there.

        Waits a short time if garbage collection is removing the same digest now.

        Raises:
            BeingRemoved: it is still removing it after that.
        """

    async def watch(self) -> RemovalWatch | None:
        """Begin to watch garbage collection, for a blob that is going to be linked without having been expected.

        What a crash leaves of it has to be known from elsewhere. None: nothing collects beside this store, and
        expecting costs nothing.
        """
        return None

    @abstractmethod
    async def find(self, name: RepositoryName | None, digest: Digest) -> LinkedBlob | None:
        """The blob, if the repository has it; *name* None: wherever it is."""

    @abstractmethod
    async def promise(self, name: RepositoryName, digest: Digest) -> LinkedBlob | None:
        """Find the blob like :meth:`find`, and hold it: the client may now push a manifest that names it.

        A blob that was returned stays for half of the review delay at least, whatever else happens to it.
        """

    @abstractmethod
    async def find_each(self, name: RepositoryName, digests: Collection[Digest]) -> Mapping[Digest, LinkedBlob]:
        """Those of *digests* that the repository has as blobs. Whether their bytes are in storage is not looked at."""

    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Return whether the repository has the blob."""
        return await self.find(name, digest) is not None

    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository does not have as blobs."""
        return set(digests) - set(await self.find_each(name, digests))

    @abstractmethod
    async def link(
        self,
        name: RepositoryName,
        digest: Digest,
        expectation: Expectation | RemovalWatch,
        *,
        size_bytes: int,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        """Put a blob, whose *size_bytes* bytes are in storage and durable, into the repository.

        False, and nothing is done, if the *expectation* has lapsed, or what was watched has gone on: garbage collection
        may have removed the bytes since. Expect it (again), and see whether they are there.
        """

    @abstractmethod
    async def mount(
        self,
        name: RepositoryName,
        digest: Digest,
        *,
        source: RepositoryName | None,
        size_bytes: int | None = None,
        cause: Cause = UNEXPLAINED,
    ) -> bool:
        """Put a blob of *source* into the repository too (None: wherever it is); False if it is not there.

        *size_bytes*: the bytes that storage has, for the notice of the change.
        """

    @abstractmethod
    async def unlink(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        """Take a blob out of the repository; its bytes stay.

        Raises:
            BlobReferenced: a manifest of the repository needs it. Nothing is changed. Only of stores that know who
                needs what (ADR 0030).
            BlobUnknown: it was not there.
        """


class TagThere(Exception):
    """A tag that must not have been there yet is there: a push of it was faster."""

    def __init__(self, tag: str) -> None:
        super().__init__(f"the tag {tag} is there already")
        self.tag = tag


NOTHING_EXPECTED: Mapping[Tag, Digest | None] = MappingProxyType({})


class ManifestStore(ABC):
    """The manifests and tags of each repository."""

    keeps_configurations: ClassVar[bool]
    """True if :meth:`put` wants the bytes of an image's configuration."""

    @abstractmethod
    async def has(self, name: RepositoryName, digest: Digest) -> bool:
        """Return whether the repository has the manifest."""

    @abstractmethod
    async def find(self, name: RepositoryName, reference: Reference) -> StoredManifest:
        """The manifest that a tag points to or a digest names.

        Raises:
            ManifestUnknown: there is none.
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def promise(self, name: RepositoryName, digest: Digest) -> StoredManifest:
        """Find the manifest like :meth:`find`, and hold it: the client may now push an index that lists it.

        A manifest that was returned stays for half of the review delay at least, unless a client deletes it.
        """

    @abstractmethod
    async def missing(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        """Those of *digests* that the repository does not have as manifests that can be read."""

    @abstractmethod
    async def put(
        self,
        name: RepositoryName,
        stored: StoredManifest,
        manifest: Manifest,
        *,
        tags: Sequence[Tag],
        cause: Cause,
        required: Collection[Digest] = (),
        configuration: bytes | None = None,
        expected: Mapping[Tag, Digest | None] = NOTHING_EXPECTED,
    ) -> None:
        """Store a manifest (checked by the caller), list it among its subject's referrers, then point *tags* to it.

        *expected*: what some of *tags* have to point to at that moment; None: they must not be there. Of two pushes at
        the same moment one is refused. Without transactions new ones are made one by one, before the others, and taken
        back if one is there; the manifest stays, without them. What others point to is looked at before anything is
        written: a push in the moment after that is not seen.
        *required*: blobs and manifests that the caller has seen in the repository. A store with transactions looks
        again: a deletion or a rename in between must not leave an image that cannot be pulled.
        *configuration*: that of an image, if it is small; see :attr:`keeps_configurations`.

        A failure in between leaves at most a manifest without some of its tags.

        Raises:
            ReferencesUnknown: something *required* is not there any more. Nothing is written.
            TagThere: one that must not be there is, by now. No tag is pointed.
            TagChanged: one points elsewhere than is *expected*. No tag is pointed.
        """

    @abstractmethod
    async def delete(self, name: RepositoryName, digest: Digest, *, cause: Cause) -> None:
        """Remove a manifest, every tag that points to it, and its place among its subject's referrers.

        Raises:
            ManifestReferenced: an index of the repository lists it. Nothing is changed. Only of stores that know who
                lists what (ADR 0030).
            ManifestUnknown: it was not there.
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def untag(self, name: RepositoryName, tag: Tag, *, cause: Cause, seen: Digest | None = None) -> None:
        """Remove a tag; the manifest stays. *seen*: only if it points to this, looked at and removed in one step.

        Raises:
            ManifestUnknown: there was no such tag.
            NameUnknown: there is no such repository.
            TagChanged: it points elsewhere than to *seen*. Nothing is changed.
        """

    @abstractmethod
    async def referrers(
        self, name: RepositoryName, subject: Digest, *, artifact_type: str | None, after: str, limit: int
    ) -> Page[Descriptor]:
        """The manifests with this subject, in the order of their digests, those after *after*; filtered unless None.

        An unknown repository or subject has none.
        """


class CatalogueStore(ABC):
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


class PullStore(ABC):
    """Counts of pulls, and the time of the last one: noted off the request's path, written in batches."""

    @abstractmethod
    def note(self, name: RepositoryName, reference: Reference, digest: Digest) -> None:
        """Remember one pull of the manifest *digest* by *reference*. Never waits; its time is that of the flush."""

    @abstractmethod
    async def flush(self) -> None:
        """Write what was noted. A process that is killed loses what it noted since the last time."""


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload session that was started and not ended."""

    name: RepositoryName
    id: str
    started_at: datetime


class SessionStore(ABC):
    """The upload sessions that have not ended, so that old ones are found without walking through storage."""

    @abstractmethod
    def note(self, name: RepositoryName, session: str) -> None:
        """Remember a session that was started. Never waits; known to others after the next :meth:`flush`."""

    @abstractmethod
    def forget(self, session: str) -> None:
        """Note that a session has ended."""

    @abstractmethod
    async def flush(self) -> None:
        """Write what was noted and forgotten."""

    @abstractmethod
    async def stale(self, *, before: datetime, limit: int) -> Sequence[UploadSession]:
        """Sessions that were started earlier than *before*, oldest first."""


def no_repository(name: RepositoryName) -> NameUnknown:
    """Return the error for a repository that does not exist: in all APIs with GitLab's and Distribution's text."""
    return NameUnknown("repository name not known to registry", name=name.text)


def moved_since(tag: Tag) -> TagChanged:
    """Return the refusal to change a tag that points elsewhere than somebody has seen."""
    msg = f'the tag "{tag}" points elsewhere by now'
    return TagChanged(msg, tag=tag.text)
