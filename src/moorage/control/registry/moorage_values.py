"""Answers of Moorage's own API as values: the past of tags, and garbage collection."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_REQUEST = re.compile(r"[A-Z]+ /")
"""The beginning of a reason that the registry has written itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChange:
    """One change in a repository, as its journal has it."""

    id: int
    at: datetime | None
    actor: str
    request_id: str
    reason: str
    action: str
    repository: str
    """Its name at that time."""
    tag: str
    """Empty: the change is of a manifest, a blob, or the repository."""
    before: str
    """The digest that was there; empty: none."""
    after: str
    is_restorable: bool | None = None
    """True: what it took away can come back now; None: it took nothing away."""
    restorable_until: datetime | None = None
    """Garbage collection may take it from then on; None: nothing is scheduled to."""
    renamed: tuple[str, str] = ("", "")
    """The names before and after a rename."""

    @property
    def note(self) -> str:
        """The reason that somebody gave; empty: it is only the request that did it."""
        return "" if _REQUEST.match(self.reason) else self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedChanges:
    """A page of changes, newest first."""

    changes: Sequence[RecordedChange]
    after: str = ""
    """Give it as ``last`` for the next page; empty: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePast:
    """Reviews of the last hours."""

    hours: float
    reviewed: int
    removed: int
    removed_bytes: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueForecast:
    """The space that will have been given back after some seconds."""

    within_s: int
    blobs: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionQueue:
    """A queue of reviews of garbage collection."""

    name: str
    is_collecting: bool
    waiting: int
    due: int
    due_since: datetime | None
    next_at: datetime | None
    claimed: int
    failed: int
    error: str
    past: Sequence[QueuePast]
    frees: Sequence[QueueForecast]
    is_more: bool
    """True: only the next reviews were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentHolder:
    """A manifest that something hangs on."""

    digest: str
    role: str
    tag: str
    is_deleted: bool
    goes_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFate:
    """All that the registry knows of whether a manifest or a blob stays."""

    kind: str
    verdict: str
    """``kept``, ``goes``, ``claimed`` or ``unscheduled``."""
    goes_at: datetime | None
    is_collected: bool
    size_bytes: int | None
    created_at: datetime | None
    deleted_at: datetime | None
    missing_since: datetime | None
    tags: Sequence[str]
    holders: Sequence[ContentHolder]
    is_more: bool
    is_needed_elsewhere: bool
    event: str
    """The reason of the review that is to come; empty: none is."""
    failed: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """A server that the registry tells of what happens."""

    name: str
    url: str
    is_delivered: bool
    waiting: int
    waiting_since: datetime | None
    failed: int
    error: str
