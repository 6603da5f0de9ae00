"""``moorage tag history``, ``moorage tag undo``, ``moorage tag delete`` and ``moorage undo``: history of a registry."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated

import typer

from moorage.api.history_answers import Change, Entry, HistoryPage, TagState, Undone
from moorage.cli.amounts import counted
from moorage.cli.change_words import named, short
from moorage.cli.deleting import delete_tags
from moorage.cli.options import AsJSON
from moorage.cli.reaching import CA, REPO, RegistryURL, connect, undo_command
from moorage.cli.reporting import reported
from moorage.cli.signatures import SIGNATURE
from moorage.cli.tables import print_table
from moorage.client.places import ImagePlace, read_place, repository_in
from moorage.client.registry import DEFAULT_REGISTRY, Answer, CommandFailed, Remote

_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PAGE_LIMIT = 1000
_SHORT_ID = 8
_SEARCHED_LIMIT = 10_000
"""So many changes of a repository are looked through for a request."""


Place = Annotated[str, typer.Argument(metavar="[HOST/]REPO[:TAG]", help="The repository, or one tag of it.")]
TagPlace = Annotated[str, typer.Argument(metavar="[HOST/]REPO:TAG", help="The tag.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Why, for the journal.")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="A time such as 2026-11-23T15:00, in UTC unless it says otherwise, or 2h ago: 2h."
    ),
]


@reported()
def history(  # noqa: PLR0913 - one argument an option
    place: Place,
    *,
    at: At = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only changes since this time.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only changes before this time.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="COUNT", min=1, max=1_000_000, help="How many changes.")
    ] = 20,
    with_signatures: Annotated[
        bool, typer.Option("--signatures", help="Also changes of the tags that signatures are kept under.")
    ] = False,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Show what was done in a repository or to a tag, newest first; with --at, print the digest that a tag had then."""
    remote, found = connect(place, registry=registry, ca=ca)
    repository, tag = found.repository, found.tag or None
    if at is not None:
        _show_at(remote, found, place, at=at, as_json=as_json)
        return
    query = {"repository": repository, "tag": tag, "since": _time(since), "until": _time(until)}
    pages = list(_pages(remote, query, limit))
    entries = [entry for page, _ in pages for entry in page.entries]
    if as_json:
        print(json.dumps({"entries": [entry for _, answer in pages for entry in answer.value["entries"]]}, indent=2))
    elif shown := [entry for entry in entries if with_signatures or tag or not SIGNATURE.fullmatch(entry.tag or "")]:
        _print_entries(shown)
    else:
        print("nothing was changed")


@reported()
def undo(  # noqa: PLR0913 - one argument an option
    place: TagPlace,
    *,
    to: Annotated[str | None, typer.Option(metavar="DIGEST", help="Back to this manifest.")] = None,
    at: At = None,
    steps: Annotated[int | None, typer.Option(metavar="COUNT", min=1, max=1000, help="Back so many changes.")] = None,
    expect: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="Only if the tag is this now; else what it is when asked.")
    ] = None,
    redo: Annotated[
        bool, typer.Option("--redo", help="Also where the last change was an undo: take that back.")
    ] = False,
    dry_run: DryRun = False,
    reason: Reason = None,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Take a tag back: to before its last change, or to what --to, --at or --steps says."""
    remote, found = connect(place, registry=registry, reason=reason, ca=ca)
    repository, tag = found.repository, found.tag
    if not tag:
        msg = f"{place} names no tag; give REPO:TAG"
        raise typer.BadParameter(msg)
    if expect is None:
        # Before the look at its history: what is done to the tag between that and the undo is then a conflict.
        expect = remote.get("tag", repository=repository, tag=tag).read(TagState).digest
    if not redo and to is None and at is None and steps is None:
        _see_that_it_is_no_redo(remote, repository, tag)
    target = {"to": to, "at": _time(at), "steps": steps}
    body = {name: value for name, value in target.items() if value is not None} | {"dry_run": dry_run}
    answer = remote.post("tag/undo", {**body, "expected": expect}, repository=repository, tag=tag)
    _print_undo(answer, place, registry=registry, as_json=as_json)


@reported()
def delete(  # noqa: PLR0913 - one argument an option
    repository: Annotated[str, typer.Argument(metavar="[HOST/]REPO", help="The repository.")],
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG...", help="The tags to delete.")] = None,
    *,
    matching: Annotated[
        str | None, typer.Option(metavar="RE2", help="Delete the tags that this pattern matches as a whole.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(metavar="RE2", help="Of those, keep what this pattern matches as a whole.")
    ] = None,
    keep_newest: Annotated[
        int, typer.Option(metavar="COUNT", min=0, help="Of what is left, keep so many that were last pushed.")
    ] = 0,
    dry_run: DryRun = False,
    reason: Reason = None,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Delete tags, by name or by pattern. Their manifests stay until garbage collection: before it, undo works."""
    remote, place = connect(repository, registry=registry, reason=reason, ca=ca)
    if place.tag:
        tags = [place.tag, *(tags or ())]
    if bool(tags) == (matching is not None):
        msg = "give tags, or --matching with a pattern"
        raise typer.BadParameter(msg)
    if tags and (keep is not None or keep_newest):
        msg = "--keep and --keep-newest go with --matching"
        raise typer.BadParameter(msg)
    pattern = {"matching": matching, "keep_matching": keep, "keep_newest": keep_newest}
    selection = {"tags": tags} if tags else {name: value for name, value in pattern.items() if value is not None}

    def way_back(request: str) -> str:
        return undo_command(request, repository, registry=registry)

    delete_tags(remote, place.repository, selection, dry_run=dry_run, as_json=as_json, way_back=way_back)


@reported()
def undo_request(
    request: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request, as the history shows it.")],
    *,
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="REPO",
            help="Its repository: needed where tokens are, and for the beginning of an id instead of all of it.",
        ),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Leave what was changed since, undo the rest.")] = False,
    dry_run: DryRun = False,
    reason: Reason = None,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Take back everything that one request did."""
    name = None
    if repository is None:
        remote = Remote(registry, reason=reason, ca=ca)
    else:
        remote, place = connect(repository, takes=REPO, registry=registry, reason=reason, ca=ca)
        name = place.repository
        request = _whole_id(remote, name, request)
    answer = remote.post("request/undo", {"partial": partial, "dry_run": dry_run}, id=request, repository=name)
    _print_undo(answer, repository, registry=registry, as_json=as_json)


def split(place: str) -> tuple[str, str | None]:
    """A repository and the tag behind the colon, if there is one."""
    repository, _, tag = place.partition(":")
    return repository, tag or None


def read_time(text: str, now: datetime) -> datetime:
    """A time: ISO 8601, in UTC unless it says otherwise, or how long ago (``2h``, ``3d``).

    Raises:
        typer.BadParameter: it is none.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        msg = f"{text} is no time; give one such as 2026-11-23T15:00, or 2h for two hours ago"
        raise typer.BadParameter(msg) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _time(text: str | None) -> str | None:
    return None if text is None else read_time(text, datetime.now(UTC)).isoformat()


def _see_that_it_is_no_redo(remote: Remote, repository: str, tag: str) -> None:
    last = next(_entries(remote, {"repository": repository, "tag": tag}, 1), None)
    if last is None or not last.reason.startswith("undo of "):
        return
    back = "is deleted" if last.before is None else f"points to {short(last.before)}"
    msg = (
        f"the last change of {repository}:{tag} was an {last.reason}; to take that back, so that the tag {back} "
        "again, give --redo; to go further back, --steps 3 or --to DIGEST"
    )
    raise CommandFailed(msg)


def _whole_id(remote: Remote, repository: str, prefix: str) -> str:
    """The request whose id begins so; as it is, if the history knows none, or no repository of this name any more."""
    found = set()
    try:
        for entry in _entries(remote, {"repository": repository}, _SEARCHED_LIMIT):
            if entry.request_id == prefix:
                return prefix
            if entry.request_id.startswith(prefix):
                found.add(entry.request_id)
    except CommandFailed as exc:
        if exc.code != HTTPStatus.NOT_FOUND:
            raise
    if len(found) > 1:
        msg = f"{len(found)} requests have ids that begin with {prefix}: give more of it"
        raise CommandFailed(msg)
    return found.pop() if found else prefix


def _short_ids(ids: Sequence[str]) -> Mapping[str, str]:
    """Each id, as short as it can be and still be told from the others."""
    whole = set(ids)
    return {
        name: next(
            (name[:size] for size in range(_SHORT_ID, len(name)) if sum(o.startswith(name[:size]) for o in whole) == 1),
            name,
        )
        for name in whole
    }


def _show_at(remote: Remote, found: ImagePlace, place: str, *, at: str, as_json: bool) -> None:
    if not found.tag:
        msg = "--at is about one tag; give REPO:TAG"
        raise typer.BadParameter(msg)
    answer = remote.get("tag", repository=found.repository, tag=found.tag, at=_time(at))
    if as_json:
        print(answer.as_json(TagState))
        return
    state = answer.read(TagState)
    if state.digest is None:
        msg = f"there was no tag {found.tag} then"
        raise CommandFailed(msg)
    if not state.pullable:
        way = f"moorage tag undo {place} --at {at} brings it back" if state.restorable else "it is gone"
        msg = f"the tag was {state.digest}, which cannot be pulled now: {way}"
        raise CommandFailed(msg)
    print(state.digest)


def _pages(remote: Remote, query: Mapping[str, str | None], limit: int) -> Iterator[tuple[HistoryPage, Answer]]:
    last: int | None = None
    while limit > 0:
        size = min(limit, _PAGE_LIMIT)
        answer = remote.get("history", n=size, last=last, **query)
        page = answer.read(HistoryPage)
        yield page, answer
        if len(page.entries) < size:
            return
        limit, last = limit - size, page.entries[-1].id


def _entries(remote: Remote, query: Mapping[str, str | None], limit: int) -> Iterator[Entry]:
    for page, _ in _pages(remote, query, limit):
        yield from page.entries


def _print_undo(answer: Answer, place: str | None, *, registry: str, as_json: bool) -> None:
    if as_json:
        print(answer.as_json(Undone))
        return
    found = answer.read(Undone)
    counts = {kind.name: getattr(found.counts, kind.name) for kind in fields(found.counts)}
    for change in found.changes:
        print(f"{named(change)}: {short(change.before)} -> {short(change.after)}")
    total = sum(counts.values())
    if total > len(found.changes):
        print(f"and {total - len(found.changes)} more")
    for left in found.left:
        print(f"left as it is: {named(left)}: {left.message}")
    nouns = {"repository": "repository name"}
    said = ", ".join(counted(count, nouns.get(kind, kind)) for kind, count in counts.items() if count)
    if not total:
        print("it is so already")
    elif found.dry_run:
        print(f"would be changed: {said}")
    else:
        there = _as_renamed(place, found.changes)
        print(f"changed: {said}\nundo with: {undo_command(found.request_id, there, registry=registry)}")


def _as_renamed(place: str | None, changes: Sequence[Change]) -> str | None:
    """A place by the name that its repository has after *changes*."""
    if place is None:
        return None
    name = read_place(place).repository
    now = {one.before: one.after for one in changes if one.kind == "repository"}.get(name) or name
    return repository_in(place).removesuffix(name) + now


def _print_entries(entries: Sequence[Entry]) -> None:
    short = _short_ids([entry.request_id for entry in entries])
    rows = [_row(entry, short[entry.request_id]) for entry in entries]
    print_table(
        ("TIME (UTC)", "ACTION", "TAG", "FROM", "TO", "WHO", "REQUEST", "CAN COME BACK"), rows, things="changes"
    )


def _row(entry: Entry, request: str) -> Sequence[str]:
    names = entry.renamed or entry
    return (
        _second(entry.at),
        entry.action.replace("_", " "),
        entry.tag or "",
        short(names.before),
        short(names.after),
        entry.actor,
        request,
        _fate(entry),
    )


def _fate(entry: Entry) -> str:
    if entry.restorable is None:
        return ""
    if not entry.restorable:
        return "no, it is gone"
    return "yes" if entry.restorable_until is None else f"until {_second(entry.restorable_until)}"


def _second(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
