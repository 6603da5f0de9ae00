"""``moorage gc``: how garbage collection stands, a run now, and why something stays; asked over HTTP."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import typer

from moorage.api.collection_answers import CollectionRan, CollectionStatus, ExplanationsAnswer, QueueDone
from moorage.api.history_answers import TagState
from moorage.cli.amounts import shown_bytes
from moorage.cli.gc_words import explained, print_status
from moorage.cli.options import AsJSON
from moorage.cli.reaching import ANY_PART, CA, Registry, RegistryURL, connect, reach
from moorage.cli.reporting import reported
from moorage.client.places import ImagePlace
from moorage.client.registry import DEFAULT_REGISTRY, CommandFailed, Remote

gc_app = typer.Typer(help="Online garbage collection.", no_args_is_help=True, rich_markup_mode=None)

_QUEUES = ("manifests", "blobs")
_COUNTS = ("reviewed", "needed", "removed", "removed_bytes", "failed")
_BUSY_PAUSE_S = 1.0
_BUSY_LIMIT = 10
"""So often in a row to ask again where somebody else holds all that is due."""


@gc_app.command()
@reported()
def status(
    host: Registry = None, *, registry: RegistryURL = DEFAULT_REGISTRY, ca: CA = None, as_json: AsJSON = False
) -> None:
    """Show how garbage collection stands: what waits, how fast it goes, and what will be given back by when."""
    found = reach(host, registry=registry, ca=ca).get("gc/status")
    if as_json:
        print(found.as_json(CollectionStatus))
    else:
        print_status(found.read(CollectionStatus))


@gc_app.command()
@reported()
def run(
    host: Registry = None,
    *,
    give_up_undo: Annotated[
        bool,
        typer.Option(
            "--give-up-undo",
            help="Do not wait for the review delay of what was deleted or lost its tags: it cannot come back then, and "
            "a push under way that relies on an old layer may have to be repeated.",
        ),
    ] = False,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Collect what is due now, until nothing is; status 1 if something could not be removed."""
    remote = reach(host, registry=registry, ca=ca)
    sums = _drain(lambda: remote.post("gc/run", {"give_up_undo": give_up_undo}).read(CollectionRan))
    if as_json:
        print(json.dumps(sums.to_json(), indent=2))
    else:
        _print_run(sums, gave_up=give_up_undo)
    if sums.total("failed"):
        raise typer.Exit(1)


@gc_app.command()
@reported()
def explain(
    place: Annotated[
        str,
        typer.Argument(metavar="[HOST/]REPO@DIGEST", help="A manifest or a blob; REPO:TAG is what the tag points to."),
    ],
    *,
    registry: RegistryURL = DEFAULT_REGISTRY,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Say who needs something, or since when nobody does and when it goes."""
    remote, found_place = connect(place, takes=ANY_PART, registry=registry, ca=ca)
    repository = found_place.repository
    digest = found_place.digest or _tagged(remote, found_place, place)
    found = remote.get("gc/explain", repository=repository, digest=digest)
    if as_json:
        print(found.as_json(ExplanationsAnswer))
    else:
        print("\n".join(explained(found.read(ExplanationsAnswer))))


def _tagged(remote: Remote, found: ImagePlace, place: str) -> str:
    if not found.tag:
        msg = f"{place} names no manifest and no blob; give REPO@DIGEST, or REPO:TAG"
        raise typer.BadParameter(msg)
    digest = remote.get("tag", repository=found.repository, tag=found.tag).read(TagState).digest
    if digest is None:
        msg = f"there is no tag {found.tag}; moorage tag history {place} says whether there was one"
        raise CommandFailed(msg)
    return digest


class _Sums:
    """Numbers of all answers so far, by queue; a queue that is not collected has none."""

    def __init__(self) -> None:
        self.done: dict[str, QueueDone | None] = dict.fromkeys(_QUEUES)
        self.hurried = 0

    def add(self, ran: CollectionRan) -> None:
        """Add what one more request did."""
        self.hurried += ran.hurried
        for queue, found in _done_in(ran).items():
            before = self.done[queue]
            if found is None or before is None:
                self.done[queue] = found or before
                continue
            sums = {name: getattr(before, name) + getattr(found, name) for name in _COUNTS}
            self.done[queue] = replace(found, **sums)

    def total(self, name: str) -> int:
        """Return the sum of a number over the queues."""
        return sum(getattr(found, name) for found in self.done.values() if found is not None)

    def to_json(self) -> dict[str, object]:
        """Return them for scripts."""
        shown = (*_COUNTS, "left")
        queues = {
            queue: None if found is None else {name: getattr(found, name) for name in shown}
            for queue, found in self.done.items()
        }
        return {**queues, "hurried": self.hurried}


def _done_in(ran: CollectionRan) -> dict[str, QueueDone | None]:
    return {"manifests": ran.manifests, "blobs": ran.blobs}


def _drain(ask: Callable[[], CollectionRan]) -> _Sums:
    """Ask again and again until nothing is left, and show how far it is."""
    from moorage.cli.bars import Bars  # noqa: PLC0415 - other commands need not wait for rich

    sums, idle = _Sums(), 0
    with Bars(counts=True, is_transient=True) as bars:
        bars.begins("reviewing", None)
        while True:
            found = ask()
            sums.add(found)
            reviewed, left = sums.total("reviewed"), sums.total("left")
            removed = shown_bytes(sums.total("removed_bytes"))
            bars.moved("reviewing", reviewed, total=reviewed + left, said=removed)
            if not left and not found.hurried:
                return sums
            if any(done is not None and done.reviewed > done.busy for done in _done_in(found).values()):
                idle = 0
                continue
            idle += 1
            if idle == _BUSY_LIMIT:
                msg = f"{left} are due and held by somebody else; moorage gc status shows whether that goes on"
                raise CommandFailed(msg)
            time.sleep(_BUSY_PAUSE_S)


def _print_run(sums: _Sums, *, gave_up: bool) -> None:
    for queue, found in sums.done.items():
        if found is None:
            print(f"{queue}: not collected by this node")
            continue
        size = f" ({shown_bytes(found.removed_bytes)})" if queue == "blobs" else ""
        print(f"{queue}: {found.reviewed} reviewed, {found.needed} needed, {found.removed} removed{size}")
        if found.failed:
            print(f"{queue}: {found.failed} could not be removed; moorage gc status says why")
    manifests = sums.done["manifests"]
    if manifests is not None and manifests.removed and not gave_up:
        print("what the removed manifests needed is reviewed after its own delay")
