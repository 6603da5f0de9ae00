"""Answers about garbage collection."""

from dataclasses import dataclass
from typing import Annotated

from moorage.api.marks import Said, Shown
from moorage.metadata.words import Queue, Role, Verdict


@dataclass(kw_only=True, eq=False, repr=False)
class Past:
    """Results of reviews, on all nodes together."""

    since: Shown
    hours: Annotated[float, Said("How long that is; a number here by this is how fast it goes.")]
    reviewed: int
    removed: int
    removed_bytes: int
    failed: int


@dataclass(kw_only=True, eq=False, repr=False)
class FreedWithin:
    """The space that will have been given back after some time, if nothing changes."""

    within_s: Annotated[int, Said("Seconds from now; 0: what is due.")]
    blobs: int
    size_bytes: int


@dataclass(kw_only=True, eq=False, repr=False)
class QueueAnswer:
    """One review queue."""

    collects: Annotated[bool, Said("Whether the node that answers collects from it.")]
    waiting: Annotated[int, Said("How many reviews are in it, due or not.")]
    due: int
    due_since: Annotated[Shown | None, Said("Since when the longest waiting is due; null: none is due.")]
    next_at: Annotated[Shown | None, Said("When the next one will be due; null: there is none that is not due.")]
    claimed: Annotated[int, Said("How many are being worked on.")]
    failed: Annotated[int, Said("How many were tried without success, and will be tried again.")]
    error: Annotated[str | None, Said("Why, for the one that failed most often.")]
    past: Annotated[list[Past], Said("In this hour and the one before it; in the last 24 hours.")]
    frees: Annotated[
        list[FreedWithin],
        Said(
            "What reviews of this queue will give back; each contains those before it. The layers of a "
            "manifest go one review delay after it, and are counted with the manifest."
        ),
    ]
    frees_at_least: Annotated[bool, Said("Whether only the next 20,000 were looked at, so that it may be more.")]


@dataclass(kw_only=True, eq=False, repr=False)
class CollectionStatus:
    """The state of garbage collection."""

    manifests: QueueAnswer
    blobs: QueueAnswer


@dataclass(kw_only=True, eq=False, repr=False)
class QueueDone:
    """The work that was done on one review queue."""

    reviewed: int
    needed: Annotated[int, Said("How many stay.")]
    removed: int
    removed_bytes: int
    failed: Annotated[int, Said("How many could not be removed, and will be tried again.")]
    busy: Annotated[int, Said("How many somebody else held; they are looked at again within seconds.")]
    left: Annotated[int, Said("How many are due now: ask again.")]


@dataclass(kw_only=True, eq=False, repr=False)
class CollectionRan:
    """The result of a run."""

    manifests: Annotated[QueueDone | None, Said("Null: this node does not collect manifests.")]
    blobs: Annotated[QueueDone | None, Said("Null: this node does not collect blobs.")]
    hurried: Annotated[int, Said("How many did not have to wait, with `give_up_undo`.")]


@dataclass(kw_only=True, eq=False, repr=False)
class HolderAnswer:
    """A manifest of the repository that something hangs on."""

    digest: str
    role: Annotated[
        Role, Said("What it is for that manifest; `awaited`: it was named by it when it was not there yet.")
    ]
    tag: Annotated[str | None, Said("One of that manifest's tags.")]
    deleted: bool
    goes_at: Annotated[Shown | None, Said("When that manifest goes itself; null: it does not.")]


@dataclass(kw_only=True, eq=False, repr=False)
class ReviewAnswer:
    """The review that is to come."""

    event: Annotated[str, Said("What it is because of.")]
    due_at: Shown
    failed: Annotated[int, Said("How many attempts failed.")]
    error: Annotated[str | None, Said("Why the last one failed.")]
    claimed_until: Annotated[Shown | None, Said("Somebody is at it, and has until then; null: nobody is.")]


@dataclass(kw_only=True, eq=False, repr=False)
class ChangeAnswer:
    """The last change by which it lost a tag or was deleted."""

    action: str
    tag: str | None
    at: Shown
    actor: str
    request_id: str


@dataclass(kw_only=True, eq=False, repr=False)
class ExplanationAnswer:
    """All that is known of a manifest, or of a blob."""

    kind: Queue
    verdict: Annotated[
        Verdict,
        Said(
            "`kept`: something needs it. `goes`: nothing does, and the review that finds so is to come. "
            "`claimed`: that review is going on. `unscheduled`: nothing needs it, and no review is to come."
        ),
    ]
    goes_at: Annotated[Shown | None, Said("When it can go; null: it does not.")]
    collected: Annotated[bool, Said("Whether the node that answers collects such things.")]
    size_bytes: int
    created_at: Shown
    deleted_at: Annotated[Shown | None, Said("Nobody can see it here since then; null: it is to be seen.")]
    missing_since: Annotated[Shown | None, Said("Its bytes were found missing or damaged then; null: never.")]
    tags: list[str]
    held_by: list[HolderAnswer]
    more: Annotated[bool, Said("Whether there are more tags or holders than these.")]
    needed_elsewhere: Annotated[bool, Said("Whether a manifest of another repository needs it.")]
    review: Annotated[ReviewAnswer | None, Said("Null: none is to come.")]
    changed: Annotated[ChangeAnswer | None, Said("Null: none that is known.")]
    delay_s: Annotated[float, Said("How long what it needs is kept after it.")]


@dataclass(kw_only=True, eq=False, repr=False)
class ExplanationsAnswer:
    """All that is known of a digest: as a manifest, as a blob, or as both."""

    repository: str
    digest: str
    found: list[ExplanationAnswer]
