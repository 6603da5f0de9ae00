"""Answers of ``/moorage/v1/``: the past, as it is shown; and the writing of any answer."""

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from moorage.api.history_answers import (
    Change,
    Counts,
    Entry,
    Obstacle,
    Pulls,
    Renamed,
    TagsDeleted,
    TagState,
    Undone,
)
from moorage.core.history import Removal
from moorage.metadata import history
from moorage.metadata.history import UndoOutcome
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.web.responses import Response

_WRITERS = dict[type[object], TypeAdapter[Any]]()
"""Made when they are needed first: a start does not wait for them."""


def to_json(answer: object) -> bytes:
    """Write an answer, of any of the classes in :mod:`moorage.api`."""
    kind = type(answer)
    if kind not in _WRITERS:
        _WRITERS[kind] = TypeAdapter(kind)
    return _WRITERS[kind].dump_json(answer)


def json_response(answer: object) -> Response:
    """Return the response that has an answer."""
    return Response(200, {"Content-Type": "application/json"}, to_json(answer))


def entry(found: history.JournalEntry) -> Entry:
    """Show an entry of the journal."""
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
    """Show the state of a tag."""
    return TagState(
        repository=name.text,
        tag=asked.text,
        at=at,
        digest=_text(state.digest),
        pullable=state.is_pullable,
        restorable=None if state.fate is None else state.fate.is_restorable,
        restorable_until=None if state.fate is None else state.fate.until,
        changed=None if state.changed is None else entry(state.changed),
        pulls=_pulls(state.pulls),
        manifest_pulls=_pulls(state.manifest_pulls),
    )


def undo(outcome: UndoOutcome, *, request_id: str, dry_run: bool) -> Undone:
    """Show the outcome of an undo."""
    return Undone(
        request_id=request_id,
        dry_run=dry_run,
        counts=Counts(**outcome.counts),
        already=outcome.already,
        changes=[_change(change) for change in outcome.changes],
        left_count=outcome.left_count,
        left=[_obstacle(obstacle) for obstacle in outcome.left],
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
        changed=found.changed,
    )


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def _pulls(found: history.PullFacts) -> Pulls:
    return Pulls(count=found.count, last_at=found.last_at)


def _change(found: history.TagChange) -> Change:
    return Change(repository=found.repository, kind=found.kind, name=found.name, before=found.before, after=found.after)


def _obstacle(found: history.UndoObstacle) -> Obstacle:
    return Obstacle(
        repository=found.repository,
        kind=found.kind,
        name=found.name,
        reason=found.reason,
        message=found.message,
        now=found.now,
    )
