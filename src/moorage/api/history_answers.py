"""Answers about the past: entries of the journal, tags, undo, removals of tags."""

from dataclasses import dataclass
from typing import Annotated

from moorage.api.marks import Said, Shown
from moorage.metadata.words import JournalAction, JournalSubject, ObstacleReason

Restorable = Annotated[
    bool | None,
    Said("Whether what the change took away can come back now; null: it took nothing away."),
]
RestorableUntil = Annotated[
    Shown | None,
    Said("Garbage collection may take it from then on; null: nothing is scheduled to."),
]


@dataclass(kw_only=True, eq=False, repr=False)
class Renamed:
    """The names of a repository before and after a rename."""

    before: str
    after: str


@dataclass(kw_only=True, eq=False, repr=False)
class Entry:
    """One change."""

    id: int
    at: Shown
    actor: Annotated[str, Said("Who did it; empty: nobody in particular.")]
    request_id: Annotated[str, Said("What was done with it can be taken back by `request/undo`.")]
    reason: str
    action: JournalAction
    repository: Annotated[str, Said("Its name at that time.")]
    tag: str | None
    before: Annotated[str | None, Said("The digest that was there; null: none.")]
    after: Annotated[str | None, Said("The digest that is there since; null: none.")]
    renamed: Renamed | None
    restorable: Restorable
    restorable_until: RestorableUntil


@dataclass(kw_only=True, eq=False, repr=False)
class HistoryPage:
    """A page of history, newest first. `Link` leads to the next."""

    entries: list[Entry]


@dataclass(kw_only=True, eq=False, repr=False)
class Pulls:
    """The number of pulls of something, and the last. A node tells of its pulls within seconds."""

    count: int
    last_at: Annotated[Shown | None, Said("When it was pulled last; null: never.")]


@dataclass(kw_only=True, eq=False, repr=False)
class TagState:
    """The state of a tag, now or at a time."""

    repository: str
    tag: str
    at: Annotated[Shown | None, Said("The time that was asked for; null: now.")]
    digest: Annotated[str | None, Said("What to pull; null: there is, or was, no such tag.")]
    pullable: Annotated[bool, Said("Whether the manifest can be pulled now, by its digest.")]
    restorable: Restorable
    restorable_until: RestorableUntil
    changed: Annotated[Entry | None, Said("The change that made it so; null: from before there was a journal.")]
    pulls: Annotated[Pulls, Said("By this tag, whatever it pointed to.")]
    manifest_pulls: Annotated[Pulls, Said("Of the manifest, by any tag and by its digest.")]


@dataclass(kw_only=True, eq=False, repr=False)
class Change:
    """One thing that was changed."""

    repository: str
    kind: JournalSubject
    name: Annotated[str, Said("The tag or the digest; empty for the repository itself.")]
    before: str | None
    after: str | None


@dataclass(kw_only=True, eq=False, repr=False)
class Obstacle:
    """One thing that was left as it is."""

    repository: str
    kind: JournalSubject
    name: str
    reason: ObstacleReason
    message: str
    now: str | None


@dataclass(kw_only=True, eq=False, repr=False)
class UndoConflicts:
    """The detail of the error that says why an undo was refused."""

    count: int
    conflicts: list[Obstacle]
    """The first of them."""


@dataclass(kw_only=True, eq=False, repr=False)
class Counts:
    """Numbers of things that were changed."""

    tag: int
    manifest: int
    blob: int
    repository: int


@dataclass(kw_only=True, eq=False, repr=False)
class Undone:
    """The result of an undo, or the result that it would have."""

    request_id: Annotated[str, Said("Takes this undo back.")]
    dry_run: bool
    counts: Counts
    already: Annotated[int, Said("How many things were as they should be before it began.")]
    changes: Annotated[list[Change], Said("The first of the changes.")]
    left_count: Annotated[int, Said("How many things were left as they are, with `partial`.")]
    left: Annotated[list[Obstacle], Said("The first of them.")]


@dataclass(kw_only=True, eq=False, repr=False)
class TagsDeleted:
    """The result of a removal of tags, or the result that it would have."""

    request_id: Annotated[str, Said("Brings all of them back by `request/undo`.")]
    dry_run: bool
    deleted: int
    kept: Annotated[int, Said("How many `keep_newest` kept.")]
    protected: Annotated[int, Said("How many were meant and stay, as the credentials may not delete them.")]
    unknown: Annotated[int, Said("How many of the names given were no tags.")]
    more: Annotated[bool, Said("Whether `limit` ended it.")]
    sample: Annotated[list[str], Said("The first of the deleted tags.")]
    changed: Annotated[
        int, Said("How many that `matching` chose were pushed or deleted by others before their turn, and are left.")
    ] = 0
