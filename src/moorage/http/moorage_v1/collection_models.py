"""Garbage collection in ``/moorage/v1/``: what is asked and answered. The OpenAPI document is made from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from moorage.gc.online.gc_administration import Done, QueueStatus, RequestedRun
from moorage.http.moorage_v1.answers import Shown
from moorage.http.moorage_v1.requests import Asked, DigestText, RepositoryText
from moorage.metadata.explanations import Explanation, Role, Verdict
from moorage.metadata.queues import Queue
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


class Past(BaseModel):
    """Results of reviews, on all nodes together."""

    since: Shown
    hours: float = Field(description="How long that is; a number here by this is how fast it goes.")
    reviewed: int
    removed: int
    removed_bytes: int
    failed: int


class FreedWithin(BaseModel):
    """The space that will have been given back after some time, if nothing changes."""

    within_s: int = Field(description="Seconds from now; 0: what is due.")
    blobs: int
    size_bytes: int


class QueueAnswer(BaseModel):
    """One review queue."""

    collects: bool = Field(description="Whether the node that answers collects from it.")
    waiting: int = Field(description="How many reviews are in it, due or not.")
    due: int
    due_since: Shown | None = Field(description="Since when the longest waiting is due; null: none is due.")
    next_at: Shown | None = Field(description="When the next one will be due; null: there is none that is not due.")
    claimed: int = Field(description="How many are being worked on.")
    failed: int = Field(description="How many were tried without success, and will be tried again.")
    error: str | None = Field(description="Why, for the one that failed most often.")
    past: list[Past] = Field(description="In this hour and the one before it; in the last 24 hours.")
    frees: list[FreedWithin] = Field(
        description="What reviews of this queue will give back; each contains those before it. The layers of a "
        "manifest go one review delay after it, and are counted with the manifest."
    )
    frees_at_least: bool = Field(description="Whether only the next 20,000 were looked at, so that it may be more.")


class CollectionStatus(BaseModel):
    """The state of garbage collection."""

    manifests: QueueAnswer
    blobs: QueueAnswer


class QueueDone(BaseModel):
    """The work that was done on one review queue."""

    reviewed: int
    needed: int = Field(description="How many stay.")
    removed: int
    removed_bytes: int
    failed: int = Field(description="How many could not be removed, and will be tried again.")
    busy: int = Field(description="How many somebody else held; they are looked at again within seconds.")
    left: int = Field(description="How many are due now: ask again.")


class CollectionRan(BaseModel):
    """The result of a run."""

    manifests: QueueDone | None = Field(description="Null: this node does not collect manifests.")
    blobs: QueueDone | None = Field(description="Null: this node does not collect blobs.")
    hurried: int = Field(description="How many did not have to wait, with `give_up_undo`.")


class HolderAnswer(BaseModel):
    """A manifest of the repository that something hangs on."""

    digest: str
    role: Role = Field(
        description="What it is for that manifest; `awaited`: it was named by it when it was not there yet."
    )
    tag: str | None = Field(description="One of that manifest's tags.")
    deleted: bool
    goes_at: Shown | None = Field(description="When that manifest goes itself; null: it does not.")


class ReviewAnswer(BaseModel):
    """The review that is to come."""

    event: str = Field(description="What it is because of.")
    due_at: Shown
    failed: int = Field(description="How many attempts failed.")
    error: str | None = Field(description="Why the last one failed.")
    claimed_until: Shown | None = Field(description="Somebody is at it, and has until then; null: nobody is.")


class ChangeAnswer(BaseModel):
    """The last change by which it lost a tag or was deleted."""

    action: str
    tag: str | None
    at: Shown
    actor: str
    request_id: str


class ExplanationAnswer(BaseModel):
    """All that is known of a manifest, or of a blob."""

    kind: Queue
    verdict: Verdict = Field(
        description="`kept`: something needs it. `goes`: nothing does, and the review that finds so is to come. "
        "`claimed`: that review is going on. `unscheduled`: nothing needs it, and no review is to come."
    )
    goes_at: Shown | None = Field(description="When it can go; null: it does not.")
    collected: bool = Field(description="Whether the node that answers collects such things.")
    size_bytes: int
    created_at: Shown
    deleted_at: Shown | None = Field(description="Nobody can see it here since then; null: it is to be seen.")
    missing_since: Shown | None = Field(description="Its bytes were found missing or damaged then; null: never.")
    tags: list[str]
    held_by: list[HolderAnswer]
    more: bool = Field(description="Whether there are more tags or holders than these.")
    needed_elsewhere: bool = Field(description="Whether a manifest of another repository needs it.")
    review: ReviewAnswer | None = Field(description="Null: none is to come.")
    changed: ChangeAnswer | None = Field(description="Null: none that is known.")
    delay_s: float = Field(description="How long what it needs is kept after it.")


class ExplanationsAnswer(BaseModel):
    """All that is known of a digest: as a manifest, as a blob, or as both."""

    repository: str
    digest: str
    found: list[ExplanationAnswer]


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
        past=[Past.model_validate(past, from_attributes=True) for past in found.past],
        frees=[
            FreedWithin(within_s=_whole_seconds(freed.within), blobs=freed.blobs, size_bytes=freed.size_bytes)
            for freed in found.forecast.within
        ],
        frees_at_least=not found.forecast.is_whole,
    )


def _done(done: Done | None) -> QueueDone | None:
    return None if done is None else QueueDone.model_validate(done, from_attributes=True)


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
