"""Garbage collection in ``/moorage/v1/``: what is asked and answered. The OpenAPI document is made from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import Field

from moorage.api.collection_answers import (
    ChangeAnswer,
    CollectionRan,
    CollectionStatus,
    ExplanationAnswer,
    ExplanationsAnswer,
    FreedWithin,
    HolderAnswer,
    Past,
    QueueAnswer,
    QueueDone,
    ReviewAnswer,
)
from moorage.gc.online.requested_runs import Done, QueueStatus, RequestedRun
from moorage.http.moorage_v1.requests import Asked, DigestText, RepositoryText
from moorage.metadata.explanations import Explanation
from moorage.metadata.queues import ReviewRate
from moorage.metadata.words import Queue
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName


class ExplainQuery(Asked):
    """The choice of a digest to explain."""

    repository: RepositoryText = Field(description="The repository in which it is.")
    digest: DigestText = Field(description="The digest of a manifest or of a blob.")


class CollectionRun(Asked):
    """Options for a run of garbage collection."""

    give_up_undo: bool = Field(
        False,
        description="Do not wait for the review delay of what was deleted or lost its tags: it cannot come back then. "
        "What was pushed lately keeps its delay. A push under way that leaves out an old layer, as the registry said "
        "that it has it, may be refused and has to be repeated.",
    )


def status(found: Mapping[Queue, QueueStatus]) -> CollectionStatus:
    """Show how garbage collection stands."""
    return CollectionStatus(manifests=_queue(found["manifest"]), blobs=_queue(found["blob"]))


def ran(run: RequestedRun) -> CollectionRan:
    """Show what a run did."""
    return CollectionRan(
        manifests=_done(run.done.get("manifest")), blobs=_done(run.done.get("blob")), hurried=run.hurried
    )


def explanations(
    name: RepositoryName, digest: Digest, found: Sequence[Explanation], *, collected: Sequence[Queue]
) -> ExplanationsAnswer:
    """Show what is known of a digest."""
    return ExplanationsAnswer(
        repository=name.text,
        digest=str(digest),
        found=[_explanation(item, is_collected=item.kind in collected) for item in found],
    )


def _queue(found: QueueStatus) -> QueueAnswer:
    state = found.state
    return QueueAnswer(
        collects=found.is_on,
        waiting=state.waiting,
        due=state.due,
        due_since=state.due_since,
        next_at=state.next_at,
        claimed=state.claimed,
        failed=state.failed,
        error=state.error,
        past=[_past(past) for past in found.past],
        frees=[
            FreedWithin(within_s=_whole_seconds(freed.within), blobs=freed.blobs, size_bytes=freed.size_bytes)
            for freed in found.forecast.within
        ],
        frees_at_least=not found.forecast.is_whole,
    )


def _done(done: Done | None) -> QueueDone | None:
    if done is None:
        return None
    return QueueDone(
        reviewed=done.reviewed,
        needed=done.needed,
        removed=done.removed,
        removed_bytes=done.removed_bytes,
        failed=done.failed,
        busy=done.busy,
        left=done.left,
    )


def _past(rate: ReviewRate) -> Past:
    return Past(
        since=rate.since,
        hours=rate.hours,
        reviewed=rate.reviewed,
        removed=rate.removed,
        removed_bytes=rate.removed_bytes,
        failed=rate.failed,
    )


def _explanation(found: Explanation, *, is_collected: bool) -> ExplanationAnswer:
    review, changed = found.review, found.changed
    goes_at: datetime | None = review.due_at if review is not None and found.verdict in ("goes", "claimed") else None
    return ExplanationAnswer(
        kind=found.kind,
        verdict=found.verdict,
        goes_at=goes_at,
        collected=is_collected,
        size_bytes=found.size_bytes,
        created_at=found.created_at,
        deleted_at=found.deleted_at,
        missing_since=found.missing_since,
        tags=[tag.text for tag in found.tags],
        held_by=[
            HolderAnswer(
                digest=str(holder.digest),
                role=holder.role,
                tag=None if holder.tag is None else holder.tag.text,
                deleted=holder.is_deleted,
                goes_at=holder.goes_at,
            )
            for holder in found.holders
        ],
        more=found.has_more,
        needed_elsewhere=found.is_needed_elsewhere,
        review=None
        if review is None
        else ReviewAnswer(
            event=review.event,
            due_at=review.due_at,
            failed=review.attempts,
            error=review.error,
            claimed_until=review.claimed_until,
        ),
        changed=None
        if changed is None
        else ChangeAnswer(
            action=changed.action,
            tag=None if changed.tag is None else changed.tag.text,
            at=changed.at,
            actor=changed.actor,
            request_id=changed.request_id,
        ),
        delay_s=found.delay.total_seconds(),
    )


def _whole_seconds(time: timedelta) -> int:
    return int(time.total_seconds())
