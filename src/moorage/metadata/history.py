"""The interface to history: what the journal says, what a tag was, and taking back what was done.

Only stores with a database have it. An undo looks only at the present state: a tag that is where a request left it
can be taken back to where that request found it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from moorage.metadata.base import Cause, Page
from moorage.metadata.words import JournalAction, JournalSubject, ObstacleReason
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag

KINDS: tuple[JournalSubject, ...] = ("tag", "manifest", "blob", "repository")

SHOWN_LIMIT = 100
"""So many changes, conflicts or names an answer shows of a large piece of work; it counts the rest."""


@dataclass(frozen=True, slots=True)
class Fate:
    """The future of what a change took away: if it can come back, and until when."""

    is_restorable: bool
    until: datetime | None = None
    """Garbage collection may take it from then on; None: nothing is scheduled to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One change, as the journal has it."""

    id: int
    """Later changes of the same thing have higher ones."""
    at: datetime
    cause: Cause
    action: JournalAction
    repository: RepositoryName
    """Its name at that time."""
    tag: Tag | None
    before: Digest | None
    after: Digest | None
    renamed: tuple[str, str] | None = None
    """The old and the new name of a repository."""
    fate: Fate | None = None
    """None: the change took nothing away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFilter:
    """A choice of journal entries: by a repository, by a request, or by both."""

    repository: RepositoryName | None = None
    tag: Tag | None = None
    """Only with a repository."""
    request_id: str | None = None
    actor: str | None = None
    """Only changes of this actor, if several used the same id; None: of all actors. Only with a request."""
    action: JournalAction | None = None
    """Only changes of this kind. Only with a request."""
    since: datetime | None = None
    """At or after this moment."""
    until: datetime | None = None
    """Before this moment."""


@dataclass(frozen=True, slots=True)
class PullFacts:
    """The number of pulls, and the time of the last one (None: never); without those that were not flushed yet."""

    count: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTag:
    """The state of a tag, now or at some time."""

    digest: Digest | None
    """None: there is, or was, no such tag."""
    is_pullable: bool
    """True if the manifest can be pulled now, by its digest."""
    fate: Fate | None
    """The manifest's fate: if it can be had again; None without a digest."""
    changed: JournalEntry | None
    """The change that made it so; None if the journal does not have it."""
    pulls: PullFacts = PullFacts()
    """By this tag, whatever it pointed to."""
    manifest_pulls: PullFacts = PullFacts()
    """Of the manifest, by any tag and by its digest."""


@dataclass(frozen=True, slots=True)
class UndoSteps:
    """A target by count: the state of a tag so many of its changes ago."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class AsOf:
    """A target by time: the state of a tag at that time."""

    at: datetime


Target = UndoSteps | AsOf | Digest
"""The state to take a tag back to."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The digest that the caller believes a tag to have now; None: that there is no such tag."""

    digest: Digest | None


@dataclass(frozen=True, slots=True)
class TagChange:
    """One thing that was changed: what it was (None: not there), and what it is."""

    repository: str
    kind: JournalSubject
    name: str
    """A tag, a digest, or empty for the repository itself."""
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class UndoObstacle:
    """One thing that cannot be taken back."""

    repository: str
    kind: JournalSubject
    name: str
    reason: ObstacleReason
    message: str
    now: str | None = None
    """Its present state, where that is what stands in the way."""

    def to_json(self) -> Mapping[str, str | None]:
        """Return it in the form that the detail of an error has."""
        return {
            "repository": self.repository,
            "kind": self.kind,
            "name": self.name,
            "reason": self.reason,
            "message": self.message,
            "now": self.now,
        }


@dataclass(slots=True)
class UndoOutcome:
    """The changes that an undo made, or would make, and what stood in its way."""

    counts: dict[JournalSubject, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    changes: list[TagChange] = field(default_factory=list)
    """The first of them."""
    already: int = 0
    """Number of things that were as they should be before it began."""
    left: list[UndoObstacle] = field(default_factory=list)
    """The first of those that were left as they are."""
    left_count: int = 0

    @property
    def total(self) -> int:
        """Number of things that were changed."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, order=True)
class Published:
    """A tag, and when it was last pointed to something."""

    at: datetime
    tag: Tag


class HistoryStore(ABC):
    """The journal, and what can be done with it."""

    @abstractmethod
    async def entries(self, wanted: JournalFilter, *, before: int | None, limit: int) -> Page[JournalEntry]:
        """Entries, newest first, those with a lower id than *before* (None: all), at most *limit*.

        Raises:
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def tag(self, name: RepositoryName, tag: Tag, *, at: datetime | None) -> PastTag:
        """Return the state of a tag at a time; None: its state now.

        Raises:
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def touched(
        self, request_id: str, *, actor: str | None = None, repository: RepositoryName | None = None
    ) -> Sequence[RepositoryName]:
        """The repositories that a request changed something in.

        *actor*: of several who used the same id, only this one's changes count. *repository*: only those in it.

        Raises:
            NameUnknown: there is no such *repository*.
            RequestUnknown: it changed nothing, or there was no such request.
        """

    @abstractmethod
    async def undo_tag(
        self,
        name: RepositoryName,
        tag: Tag,
        target: Target,
        *,
        expected: Expected | None,
        cause: Cause,
        dry_run: bool = False,
    ) -> UndoOutcome:
        """Take a tag back to *target*, with the manifest that it needs, in one transaction.

        *expected* None: whatever the tag is when its turn comes. *dry_run*: everything but keeping it.

        Raises:
            NameUnknown, ManifestUnknown: there is no such repository; the journal has no such change or digest.
            UndoConflict: the tag is not what the caller expected. Nothing is changed.
            ContentGone: garbage collection took the manifest. Nothing is changed.
        """

    @abstractmethod
    async def undo_request(
        self,
        request_id: str,
        *,
        actor: str | None = None,
        repository: RepositoryName | None = None,
        cause: Cause,
        partial: bool = False,
        dry_run: bool = False,
    ) -> UndoOutcome:
        """Take back everything that a request did, in one transaction.

        *actor* and *repository* as for :meth:`touched`. *partial*: what cannot be taken back stays as it is, and the
        outcome lists it.

        Raises:
            NameUnknown: there is no such *repository*.
            RequestUnknown: it changed nothing, or there was no such request.
            AlreadyUndone: everything is as it was before the request.
            UndoConflict: somebody changed some of it since. Nothing is changed.
            ContentGone: garbage collection took some of it. Nothing is changed.
        """

    @abstractmethod
    async def published(self, name: RepositoryName, *, after: Published | None, limit: int) -> Sequence[Published]:
        """Tags of a repository, the last published first, those after *after*, at most *limit*.

        Raises:
            NameUnknown: there is no such repository.
        """

    @abstractmethod
    async def delete_tags(
        self, name: RepositoryName, tags: Sequence[Tag | Published], *, cause: Cause, dry_run: bool = False
    ) -> Sequence[Tag]:
        """Remove tags, at most a thousand, in one transaction; return those that were there.

        One that is given as it was published is removed only if it is still so: not if it was pushed since.

        Raises:
            NameUnknown: there is no such repository.
        """
