"""The interfaces to what is known of repositories and tags beyond their names, and to giving them other names."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from moorage.json_nesting import json_text
from moorage.metadata.base import Cause, Page
from moorage.oci.digests import Digest
from moorage.oci.json_documents import let_go, read_json
from moorage.oci.names import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class RepositoryDetails:
    """A repository and its times."""

    name: RepositoryName
    created_at: datetime
    updated_at: datetime | None
    """The time at which it was given another name; None: never."""
    last_published_at: datetime | None
    """The time at which one of its tags was last created or moved; None: it never had one."""


@dataclass(frozen=True, slots=True)
class Times:
    """The times at which a tag was created and last moved (None: never); *published_at* is the later of the two."""

    created_at: datetime
    updated_at: datetime | None
    published_at: datetime


@dataclass(frozen=True, slots=True)
class TagEntry:
    """A tag as a list shows it."""

    name: str
    digest: Digest
    media_type: str
    config_digest: Digest | None
    size_bytes: int
    """Bytes of the manifest and of all that it names directly."""
    times: Times


@dataclass(frozen=True, slots=True)
class Platform:
    """The architecture and the operating system that an image's configuration names; empty where it does not."""

    architecture: str
    os: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration of an image. *platform* is None if the configuration was not kept, or is no object."""

    digest: Digest
    media_type: str
    platform: Platform | None


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest, and those that it refers to if it is an index."""

    digest: Digest
    media_type: str
    size_bytes: int
    configuration: Configuration | None
    references: tuple["Image", ...] = ()


@dataclass(frozen=True, slots=True)
class TagDetails:
    """Everything about one tag."""

    name: Tag
    image: Image
    times: Times


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that has another one as its subject."""

    artifact_type: str
    digest: Digest


class Order(Enum):
    """The order of a list of tags; tags of one moment are sorted by name."""

    NAME = "name"
    PUBLISHED_AT = "published_at"


@dataclass(frozen=True, slots=True)
class TagPosition:
    """A place in a list of tags, whether or not there is a tag.

    Without *published_at*, a list by time is asked about the place where the tag *name* is now.
    """

    name: str
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSelection:
    """The tags of a repository to list, and their order."""

    limit: int
    order: Order = Order.NAME
    descending: bool = False
    after: TagPosition | None = None
    """List those that follow this place. At most one of *after* and *before* is given."""
    before: TagPosition | None = None
    """List those right before this place, in the list's order all the same."""
    containing: str = ""
    """List only tags whose name has this in it, letter for letter."""


@dataclass(frozen=True, slots=True)
class TagPage:
    """A part of a list of tags, and whether there is something before and after it."""

    items: Sequence[TagEntry]
    has_before: bool
    has_after: bool


class DetailStore(ABC):
    """Repositories and tags, with more than their names."""

    @abstractmethod
    async def repository(self, name: RepositoryName) -> RepositoryDetails:
        """Return the details of one repository.

        Raises:
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def has_namespace(self, name: RepositoryName) -> bool:
        """Return whether there is, or was, a repository whose name begins with the same part up to the first slash."""

    @abstractmethod
    async def repositories(self, under: RepositoryName, *, after: str, limit: int) -> Page[RepositoryDetails]:
        """Repositories that have a tag, *under* and those below it, in byte order, those after *after*."""

    @abstractmethod
    async def tag(self, name: RepositoryName, tag: Tag) -> TagDetails:
        """Everything about one tag.

        Raises:
            NameUnknown: there is no such repository.
            TagUnknown: it has no such tag.
        """

    @abstractmethod
    async def tags(self, name: RepositoryName, selection: TagSelection) -> TagPage:
        """A part of the list of tags.

        Raises:
            NameUnknown: there is no such repository.
            TagUnknown: the place to go on from is that of a tag which is not there, in a list by time.
        """

    @abstractmethod
    async def tag_entry(self, name: RepositoryName, tag: str) -> TagEntry | None:
        """One tag as a list shows it; None if there is no such tag.

        Raises:
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def referrers(
        self, name: RepositoryName, subjects: Sequence[Digest], *, artifact_types: Sequence[str]
    ) -> Mapping[Digest, Sequence[Referrer]]:
        """Manifests whose subject is one of *subjects*, by subject, in the order of their digests.

        *artifact_types*: only those, in lower case; empty: all.
        """


class SizeStore(ABC):
    """Bytes that the images of repositories need."""

    @abstractmethod
    async def measure(self, name: RepositoryName, *, with_descendants: bool) -> int:
        """Bytes of the layers that tagged manifests need, directly or through an index; each layer once.

        Configurations and manifests do not count. *with_descendants*: in the repositories below *name* too.
        A repository that is not there needs nothing.
        """

    @abstractmethod
    async def estimate(self, name: RepositoryName) -> int:
        """Bytes of all blobs in *name* and the repositories below it, tagged or not; each once. Quicker."""

    @abstractmethod
    async def last_change(self, name: RepositoryName, *, with_descendants: bool) -> int:
        """Return a number that is another one after every change that :meth:`measure` can see."""


class RenameStore(ABC):
    """Gives repositories other names. What they are, and what they have, stays as it is."""

    @abstractmethod
    async def check(self, name: RepositoryName, target: RepositoryName, *, limit: int) -> None:
        """See whether :meth:`rename` would do it now; change nothing.

        Raises: as :meth:`rename` does.
        """

    @abstractmethod
    async def rename(self, name: RepositoryName, target: RepositoryName, *, limit: int, cause: Cause) -> int:
        """Rename *name* and the repositories below it to *target* and below; all of them or none.

        *name* need not be a repository itself. Returns how many repositories it was. A reader sees either all
        the old names or all the new ones; a write to one of them meanwhile comes before or after.

        Raises:
            NameUnknown: there is no such repository, and none below it.
            NameInvalid: a repository below would get a name that is too long. Nothing is changed.
            TooManyRepositories: they are more than *limit*. Nothing is changed.
            RenameConflict: there is something at *target*, or below it. Nothing is changed.
        """


def platform_of(payload: bytes | None) -> Platform | None:
    """Read the platform from an image's configuration; None if it is no JSON object, or was not kept."""
    if payload is None:
        return None
    try:
        value = read_json(json_text(payload))
    except ValueError:
        return None
    try:
        return Platform(_text(value.get("architecture")), _text(value.get("os"))) if isinstance(value, dict) else None
    finally:
        let_go(value, len(payload))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
