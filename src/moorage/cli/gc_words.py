"""Output of ``moorage gc``: tables, and sentences as a colleague would say them."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from moorage.api.collection_answers import (
    ChangeAnswer,
    CollectionStatus,
    ExplanationAnswer,
    ExplanationsAnswer,
    HolderAnswer,
    Past,
    QueueAnswer,
)
from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.tables import print_table
from moorage.client.registry import CommandFailed

_ROLES = {
    "layer": "has it as a layer",
    "config": "has it as its configuration",
    "child": "lists it",
    "subject": "is its subject, on which it hangs",
    "awaited": "named it before it was there",
}
_EVENTS = {
    "blob_upload": "it was pushed, mounted or brought back",
    "blob_delete": "it was taken out of a repository",
    "manifest_upload": "it was pushed or brought back",
    "manifest_delete": "it was deleted, or what it hung on or was the configuration of",
    "layer_delete": "a manifest that had it as a layer went",
    "manifest_list_delete": "an index that listed it went",
    "tag_delete": "a tag was deleted",
    "tag_switch": "a tag was moved away from it",
}


def shown_duration(time: timedelta) -> str:
    """A length of time in its two largest units: ``23 h 5 min``; under a minute in seconds."""
    seconds = max(int(time.total_seconds()), 0)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (smaller, part) in itertools.pairwise(units):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def print_status(found: CollectionStatus) -> None:
    """Print how garbage collection stands."""
    now = datetime.now(UTC)
    rows = []
    for title, queue in (("Manifests", found.manifests), ("Blobs", found.blobs)):
        past, _ = _recent(queue)
        row = (
            title,
            str(queue.waiting),
            str(queue.due),
            "" if queue.due_since is None else shown_duration(now - queue.due_since),
            "" if queue.next_at is None else shown_duration(queue.next_at - now),
            str(queue.claimed),
            str(queue.failed),
            f"{_per_hour(past.reviewed, past):.0f}",
            shown_bytes(_per_hour(past.removed_bytes, past)) if queue is found.blobs else "",
        )
        rows.append(row)
    head = ("QUEUE", "WAITING", "DUE", "OLDEST DUE SINCE", "NEXT IN", "CLAIMED", "FAILED", "REVIEWS/H", "FREED/H")
    print_table(head, rows)
    for line in _status_lines(found):
        print(line)


def explained(found: ExplanationsAnswer, now: datetime | None = None) -> Sequence[str]:
    """Return the lines of an explanation; *now*: what times are told from."""
    now = now or datetime.now(UTC)
    return [line for one in found.found for line in _explained(one, now)]


def _recent(queue: QueueAnswer) -> tuple[Past, Past]:
    """Return what was done in this hour and the one before it, and in the last 24 hours."""
    match queue.past:
        case [hour, day, *_]:
            return hour, day
    msg = "the registry does not say what was done in the last hour and the last day: is it of another version?"
    raise CommandFailed(msg)


def _per_hour(number: int, past: Past) -> float:
    return number / past.hours if past.hours > 0 else 0.0


def _status_lines(found: CollectionStatus) -> Iterator[str]:
    queues = (found.manifests, found.blobs)
    for thing, queue in zip(("manifest", "blob"), queues, strict=True):
        if not queue.collects:
            yield f"{thing}s are not collected by this node"
        if queue.failed:
            yield f"{counted(queue.failed, thing)} could not be removed so far, one because: {queue.error}"
    manifests, blobs = (_recent(queue)[1] for queue in queues)
    removed = f"{counted(manifests.removed, 'manifest')} and {counted(blobs.removed, 'blob')}"
    yield (
        f"in the last 24 hours: {manifests.reviewed + blobs.reviewed} reviewed, {removed} removed, "
        f"{shown_bytes(blobs.removed_bytes)} freed"
    )
    least = "at least " if any(queue.frees_at_least for queue in queues) else ""
    sums: dict[int, int] = {}
    for queue in queues:
        for freed in queue.frees:
            sums[freed.within_s] = sums.get(freed.within_s, 0) + freed.size_bytes
    parts = [
        f"{shown_bytes(size)} {f'within {shown_duration(timedelta(seconds=within))}' if within else 'now'}"
        for within, size in sorted(sums.items())
    ]
    yield f"if nothing changes, there will be given back: {least}{', '.join(parts) or 'nothing'}"


def _explained(one: ExplanationAnswer, now: datetime) -> Iterator[str]:
    yield f"{one.kind} of {shown_bytes(one.size_bytes)}, here since {_moment(one.created_at)}"
    if one.missing_since:
        yield f"its bytes are missing or damaged, as was found on {_moment(one.missing_since)}: push it again"
    yield from _verdict(one, now)
    if one.deleted_at and one.kind == "manifest":
        until = one.goes_at
        yield f"it was deleted on {_moment(one.deleted_at)} and can be brought back" + (
            f" until {_moment(until)}" if until else ""
        )
    elif one.deleted_at:
        yield f"it was taken out of the repository on {_moment(one.deleted_at)}"
    if one.changed and one.verdict != "kept":
        yield _changed(one.changed)
    yield from _review(one, now)


def _verdict(one: ExplanationAnswer, now: datetime) -> Iterator[str]:
    if one.verdict == "kept":
        if one.tags:
            yield f"kept: {_tags(one.tags)} to it"
        yield from (f"kept: {_holder(holder, now)}" for holder in one.held_by)
        if one.needed_elsewhere:
            yield "kept: a manifest of another repository needs it"
        if one.more:
            yield "kept: and by others"
        if one.held_by and not one.needed_elsewhere and all(holder.goes_at for holder in one.held_by):
            delay = shown_duration(timedelta(seconds=one.delay_s))
            yield f"once those are gone, it waits a review delay of its own ({delay})"
    elif one.verdict == "goes":
        yield f"goes {_when(one.goes_at, now)}: nothing needs it"
    elif one.verdict == "claimed":
        yield "a collector is at it right now: nothing needs it"
    else:
        yield "nothing needs it, and no review is to come: only a change of it, or offline collection, will find it"
    if not one.collected:
        yield f"this node does not collect {one.kind}s, so it stays unless another node does"


def _review(one: ExplanationAnswer, now: datetime) -> Iterator[str]:
    review = one.review
    if review is None:
        return
    reason = _EVENTS.get(review.event, review.event)
    end = f"; that ends {_when(review.due_at, now)}" if one.verdict == "kept" else ""
    yield f"under review because {reason}{end}"
    if review.failed:
        times = counted(review.failed, "time")
        yield f"it could not be removed {times} so far, the last time because: {review.error}"


def _holder(holder: HolderAnswer, now: datetime) -> str:
    kind = "the index" if holder.role == "child" else "the manifest"
    about = [f"tag {holder.tag}"] if holder.tag else []
    if holder.deleted:
        about.append("deleted")
    if holder.goes_at:
        about.append(f"goes {_when(holder.goes_at, now)}")
    more = f" ({', '.join(about)})" if about else ""
    return f"{kind} {holder.digest}{more} {_ROLES[holder.role]}"


def _changed(change: ChangeAnswer) -> str:
    what = {
        "tag_delete": f"the tag {change.tag} was deleted",
        "tag_move": f"the tag {change.tag} left it",
        "manifest_delete": "it was deleted",
        "blob_delete": "it was taken out",
    }.get(change.action, change.action)
    who = f" by {change.actor}" if change.actor else ""
    return f"{what} on {_moment(change.at)}{who} (request {change.request_id})"


def _tags(tags: Sequence[str]) -> str:
    return f"tag {tags[0]} points" if len(tags) == 1 else f"tags {', '.join(tags)} point"


def _when(at: datetime | None, now: datetime) -> str:
    if at is None or at <= now:
        return "as soon as a collector gets to it"
    return f"at {_moment(at)} (in {shown_duration(at - now)})"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
