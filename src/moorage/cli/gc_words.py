"""Output of ``moorage gc``: tables, and sentences as a colleague would say them."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.tables import print_table

_TITLES = {"manifests": "Manifests", "blobs": "Blobs"}
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


def print_status(found: Mapping[str, Any]) -> None:
    """Print how garbage collection stands."""
    now = datetime.now(UTC)
    rows = []
    for queue, title in _TITLES.items():
        one = found[queue]
        past = one["past"][0]
        row = (
            title,
            str(one["waiting"]),
            str(one["due"]),
            _ago(one["due_since"], now),
            _ahead(one["next_at"], now),
            str(one["claimed"]),
            str(one["failed"]),
            f"{past['reviewed'] / past['hours']:.0f}",
            shown_bytes(past["removed_bytes"] / past["hours"]) if queue == "blobs" else "",
        )
        rows.append(row)
    head = ("QUEUE", "WAITING", "DUE", "OLDEST DUE SINCE", "NEXT IN", "CLAIMED", "FAILED", "REVIEWS/H", "FREED/H")
    print_table(head, rows)
    for line in _status_lines(found):
        print(line)


def explained(found: Mapping[str, Any], now: datetime | None = None) -> Sequence[str]:
    """The lines of an explanation; *now*: what times are told from."""
    now = now or datetime.now(UTC)
    return [line for one in found["found"] for line in _explained(one, now)]


def _status_lines(found: Mapping[str, Any]) -> Iterator[str]:
    for queue in _TITLES:
        one = found[queue]
        if not one["collects"]:
            yield f"{queue} are not collected by this node"
        if one["failed"]:
            what = counted(one["failed"], queue.removesuffix("s"))
            yield f"{what} could not be removed so far, one because: {one['error']}"
    manifests, blobs = (found[queue]["past"][1] for queue in _TITLES)
    removed = f"{counted(manifests['removed'], 'manifest')} and {counted(blobs['removed'], 'blob')}"
    yield (
        f"in the last 24 hours: {manifests['reviewed'] + blobs['reviewed']} reviewed, {removed} removed, "
        f"{shown_bytes(blobs['removed_bytes'])} freed"
    )
    least = "at least " if any(found[queue]["frees_at_least"] for queue in _TITLES) else ""
    sums: dict[int, int] = {}
    for queue in _TITLES:
        for freed in found[queue]["frees"]:
            sums[freed["within_s"]] = sums.get(freed["within_s"], 0) + freed["size_bytes"]
    parts = [
        f"{shown_bytes(size)} {f'within {shown_duration(timedelta(seconds=within))}' if within else 'now'}"
        for within, size in sorted(sums.items())
    ]
    yield f"if nothing changes, there will be given back: {least}{', '.join(parts) or 'nothing'}"


def _explained(one: Mapping[str, Any], now: datetime) -> Iterator[str]:
    yield f"{one['kind']} of {shown_bytes(one['size_bytes'])}, here since {_moment(one['created_at'])}"
    if one["missing_since"]:
        yield f"its bytes are missing or damaged, as was found on {_moment(one['missing_since'])}: push it again"
    yield from _verdict(one, now)
    if one["deleted_at"] and one["kind"] == "manifest":
        until = one["goes_at"]
        yield f"it was deleted on {_moment(one['deleted_at'])} and can be brought back" + (
            f" until {_moment(until)}" if until else ""
        )
    elif one["deleted_at"]:
        yield f"it was taken out of the repository on {_moment(one['deleted_at'])}"
    if one["changed"] and one["verdict"] != "kept":
        yield _changed(one["changed"])
    yield from _review(one, now)


def _verdict(one: Mapping[str, Any], now: datetime) -> Iterator[str]:
    if one["verdict"] == "kept":
        if one["tags"]:
            yield f"kept: {_tags(one['tags'])} to it"
        yield from (f"kept: {_holder(holder, now)}" for holder in one["held_by"])
        if one["needed_elsewhere"]:
            yield "kept: a manifest of another repository needs it"
        if one["more"]:
            yield "kept: and by others"
        if one["held_by"] and not one["needed_elsewhere"] and all(holder["goes_at"] for holder in one["held_by"]):
            delay = shown_duration(timedelta(seconds=one["delay_s"]))
            yield f"once those are gone, it waits a review delay of its own ({delay})"
    elif one["verdict"] == "goes":
        yield f"goes {_when(one['goes_at'], now)}: nothing needs it"
    elif one["verdict"] == "claimed":
        yield "a collector is at it right now: nothing needs it"
    else:
        yield "nothing needs it, and no review is to come: only a change of it, or offline collection, will find it"
    if not one["collected"]:
        yield f"this node does not collect {one['kind']}s, so it stays unless another node does"


def _review(one: Mapping[str, Any], now: datetime) -> Iterator[str]:
    review = one["review"]
    if review is None:
        return
    reason = _EVENTS.get(review["event"], review["event"])
    end = f"; that ends {_when(review['due_at'], now)}" if one["verdict"] == "kept" else ""
    yield f"under review because {reason}{end}"
    if review["failed"]:
        times = counted(review["failed"], "time")
        yield f"it could not be removed {times} so far, the last time because: {review['error']}"


def _holder(holder: Mapping[str, Any], now: datetime) -> str:
    kind = "the index" if holder["role"] == "child" else "the manifest"
    about = [f"tag {holder['tag']}"] if holder["tag"] else []
    if holder["deleted"]:
        about.append("deleted")
    if holder["goes_at"]:
        about.append(f"goes {_when(holder['goes_at'], now)}")
    more = f" ({', '.join(about)})" if about else ""
    return f"{kind} {holder['digest']}{more} {_ROLES[holder['role']]}"


def _changed(change: Mapping[str, Any]) -> str:
    what = {
        "tag_delete": f"the tag {change['tag']} was deleted",
        "tag_move": f"the tag {change['tag']} left it",
        "manifest_delete": "it was deleted",
        "blob_delete": "it was taken out",
    }.get(change["action"], change["action"])
    who = f" by {change['actor']}" if change["actor"] else ""
    return f"{what} on {_moment(change['at'])}{who} (request {change['request_id']})"


def _tags(tags: Sequence[str]) -> str:
    return f"tag {tags[0]} points" if len(tags) == 1 else f"tags {', '.join(tags)} point"


def _when(text: str, now: datetime) -> str:
    at = datetime.fromisoformat(text)
    if at <= now:
        return "as soon as a collector gets to it"
    return f"at {_moment(text)} (in {shown_duration(at - now)})"


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M} UTC"


def _ago(text: str | None, now: datetime) -> str:
    return "" if text is None else shown_duration(now - datetime.fromisoformat(text))


def _ahead(text: str | None, now: datetime) -> str:
    return "" if text is None else shown_duration(datetime.fromisoformat(text) - now)
