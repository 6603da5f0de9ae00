"""The interface to explanations: what needs a manifest or a blob, or since when nothing does and when it goes.

It is for a client that may pull from the repository: of others it says only whether any of them needs the thing.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moorage.metadata.words import Queue, Role, Verdict
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag

SHOWN_LIMIT = 20
"""So many tags or holders an explanation names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A manifest of the repository that something hangs on."""

    digest: Digest
    role: Role
    tag: Tag | None
    """One of its tags."""
    is_deleted: bool
    goes_at: datetime | None
    """The time at which it goes itself, as nothing needs it; None: it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A review that is in a queue."""

    event: str
    """The event that put it there."""
    due_at: datetime
    attempts: int
    """Number of reviews that failed."""
    error: str | None
    """The reason for its last failure."""
    claimed_until: datetime | None
    """A collector has claimed it until then; None: no collector has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastChange:
    """The last change by which something lost a tag, or was deleted."""

    action: str
    tag: Tag | None
    at: datetime
    actor: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The facts on a manifest or a blob in a repository, and on its review."""

    kind: Queue
    size_bytes: int
    created_at: datetime
    deleted_at: datetime | None
    """Nobody can see it in this repository since then."""
    missing_since: datetime | None = None
    """Its bytes were found missing or damaged then."""
    is_needed: bool
    """True if a review would keep it."""
    tags: Sequence[Tag] = ()
    holders: Sequence[Holder] = ()
    """The first of each kind of those that need it, in this repository."""
    has_more: bool = False
    """True if there are more tags or holders than those."""
    is_needed_elsewhere: bool = False
    """True if a manifest of another repository needs it."""
    review: Scheduled | None
    changed: LastChange | None = None
    delay: timedelta
    """The time from when it goes to the review of what it holds."""

    @property
    def verdict(self) -> Verdict:
        """The fate to expect. ``kept``: something needs it; ``goes``: its review is to remove it.

        ``claimed``: a collector is at it right now; ``unscheduled``: nothing needs it, and no review is to come.
        """
        if self.is_needed:
            return "kept"
        if self.review is None:
            return "unscheduled"
        return "goes" if self.review.claimed_until is None else "claimed"


class ExplanationStore(ABC):
    """Explains what garbage collection does to one thing."""

    @abstractmethod
    async def explain(self, name: RepositoryName, digest: Digest) -> Sequence[Explanation]:
        """Explain *digest* in a repository, as a manifest, as a blob, or as both; empty: nothing is known of it.

        Raises:
            NameUnknown: there is no such repository.
        """
