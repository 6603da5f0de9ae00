"""Answers of ``/moorage/v1/``. The OpenAPI document is made from the same models."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer, WithJsonSchema

from moorage.core.history import Removal
from moorage.metadata import history
from moorage.metadata.history import JournalAction, JournalSubject, UndoOutcome
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag


def show_moment(moment: datetime) -> str:
    """A moment in UTC, with all its microseconds."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


Shown = Annotated[datetime, PlainSerializer(show_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Restorable = Annotated[
    bool | None,
    Field(description="Whether what the change took away can come back now; null: it took nothing away."),
]
RestorableUntil = Annotated[
    Shown | None,
    Field(description="Garbage collection may take it from then on; null: nothing is scheduled to."),
]


class Renamed(BaseModel):
    """The names of a repository before and after a rename."""

    before: str
    after: str


class Entry(BaseModel):
    """One change."""

    id: int
    at: Shown
    actor: str = Field(description="Who did it; empty: nobody in particular.")
    request_id: str = Field(description="What was done with it can be taken back by `request/undo`.")
    reason: str
    action: JournalAction
    repository: str = Field(description="Its name at that time.")
    tag: str | None
    before: str | None = Field(description="The digest that was there; null: none.")
    after: str | None = Field(description="The digest that is there since; null: none.")
    renamed: Renamed | None
    restorable: Restorable
    restorable_until: RestorableUntil


class HistoryPage(BaseModel):
    """A page of history, newest first. `Link` leads to the next."""

    entries: list[Entry]


class Pulls(BaseModel):
    """The number of pulls of something, and the last. A node tells of its pulls within seconds."""

    count: int
    last_at: Shown | None = Field(description="When it was pulled last; null: never.")


class TagState(BaseModel):
    """The state of a tag, now or at a time."""

    repository: str
    tag: str
    at: Shown | None = Field(description="The time that was asked for; null: now.")
    digest: str | None = Field(description="What to pull; null: there is, or was, no such tag.")
    pullable: bool = Field(description="Whether the manifest can be pulled now, by its digest.")
    restorable: Restorable
    restorable_until: RestorableUntil
    changed: Entry | None = Field(description="The change that made it so; null: from before there was a journal.")
    pulls: Pulls = Field(description="By this tag, whatever it pointed to.")
    manifest_pulls: Pulls = Field(description="Of the manifest, by any tag and by its digest.")


class Change(BaseModel):
    """One thing that was changed."""

    repository: str
    kind: JournalSubject
    name: str = Field(description="The tag or the digest; empty for the repository itself.")
    before: str | None
    after: str | None


class Obstacle(BaseModel):
    """One thing that was left as it is."""

    repository: str
    kind: JournalSubject
    name: str
    reason: Literal["changed", "in use", "gone"]
    message: str
    now: str | None


class Counts(BaseModel):
    """Numbers of things that were changed."""

    tag: int
    manifest: int
    blob: int
    repository: int


class Undone(BaseModel):
    """The result of an undo, or the result that it would have."""

    request_id: str = Field(description="Takes this undo back.")
    dry_run: bool
    counts: Counts
    already: int = Field(description="How many things were as they should be before it began.")
    changes: list[Change] = Field(description="The first of the changes.")
    left_count: int = Field(description="How many things were left as they are, with `partial`.")
    left: list[Obstacle] = Field(description="The first of them.")


class TagsDeleted(BaseModel):
    """The result of a removal of tags, or the result that it would have."""

    request_id: str = Field(description="Brings all of them back by `request/undo`.")
    dry_run: bool
    deleted: int
    kept: int = Field(description="How many `keep_newest` kept.")
    protected: int = Field(description="How many were meant and stay, as the credentials may not delete them.")
    unknown: int = Field(description="How many of the names given were no tags.")
    more: bool = Field(description="Whether `limit` ended it.")
    sample: list[str] = Field(description="The first of the deleted tags.")


def entry(found: history.JournalEntry) -> Entry:
    """An entry of the journal, as it is shown."""
    return Entry(
        id=found.id,
        at=found.at,
        actor=found.cause.actor,
        request_id=found.cause.request_id,
        reason=found.cause.reason,
        action=found.action,
        repository=found.repository.text,
        tag=None if found.tag is None else found.tag.text,
        before=_text(found.before),
        after=_text(found.after),
        renamed=None if found.renamed is None else Renamed(before=found.renamed[0], after=found.renamed[1]),
        restorable=None if found.fate is None else found.fate.is_restorable,
        restorable_until=None if found.fate is None else found.fate.until,
    )


def tag(name: RepositoryName, asked: Tag, state: history.PastTag, *, at: datetime | None) -> TagState:
    """The state of a tag, as it is shown."""
    return TagState(
        repository=name.text,
        tag=asked.text,
        at=at,
        digest=_text(state.digest),
        pullable=state.is_pullable,
        restorable=None if state.fate is None else state.fate.is_restorable,
        restorable_until=None if state.fate is None else state.fate.until,
        changed=None if state.changed is None else entry(state.changed),
        pulls=Pulls.model_validate(state.pulls, from_attributes=True),
        manifest_pulls=Pulls.model_validate(state.manifest_pulls, from_attributes=True),
    )


def undo(outcome: UndoOutcome, *, request_id: str, dry_run: bool) -> Undone:
    """The outcome of an undo, as it is shown."""
    return Undone(
        request_id=request_id,
        dry_run=dry_run,
        counts=Counts(**outcome.counts),
        already=outcome.already,
        changes=[Change.model_validate(change, from_attributes=True) for change in outcome.changes],
        left_count=outcome.left_count,
        left=[Obstacle.model_validate(obstacle, from_attributes=True) for obstacle in outcome.left],
    )


def removal(found: Removal, *, request_id: str, dry_run: bool) -> TagsDeleted:
    """Show what became of tags that were to be deleted."""
    return TagsDeleted(
        request_id=request_id,
        dry_run=dry_run,
        deleted=found.deleted,
        kept=found.kept,
        protected=found.protected,
        unknown=found.unknown,
        more=found.more,
        sample=[item.text for item in found.sample],
    )


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)
