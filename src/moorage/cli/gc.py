"""``moorage gc``: how garbage collection stands, a run now, and why something stays; asked over HTTP."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.gc_words import explained, print_status
from moorage.cli.history import RegistryURL, reported
from moorage.cli.options import AsJSON
from moorage.cli.reaching import CA, Registry, connect, reach
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
    found = reach(host, registry=registry, ca=ca).get("gc/status").value
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print_status(found)


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
    sums = _drain(lambda: remote.post("gc/run", {"give_up_undo": give_up_undo}).value)
    if as_json:
        print(json.dumps(sums, indent=2))
    else:
        _print_run(sums, gave_up=give_up_undo)
    if any(sums[queue]["failed"] for queue in _QUEUES if sums[queue] is not None):
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
    remote, found_place = connect(place, registry=registry, ca=ca)
    repository = found_place.repository
    digest = found_place.digest or _tagged(remote, found_place, place)
    found = remote.get("gc/explain", repository=repository, digest=digest).value
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(explained(found)))


def _tagged(remote: Remote, found: ImagePlace, place: str) -> str:
    if not found.tag:
        msg = f"{place} names no manifest and no blob; give REPO@DIGEST, or REPO:TAG"
        raise typer.BadParameter(msg)
    digest = remote.get("tag", repository=found.repository, tag=found.tag).value["digest"]
    if digest is None:
        msg = f"there is no tag {found.tag}; moorage tag history {place} says whether there was one"
        raise CommandFailed(msg)
    return str(digest)


def _drain(ask: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Ask again and again until nothing is left, and show how far it is."""
    from moorage.cli.bars import Bars  # noqa: PLC0415 - other commands need not wait for rich

    sums: dict[str, Any] = {**dict.fromkeys(_QUEUES), "hurried": 0}
    idle = 0
    with Bars(counts=True, is_transient=True) as bars:
        bars.begins("reviewing", None)
        while True:
            found = ask()
            for queue in _QUEUES:
                _add(sums, queue, found[queue])
            sums["hurried"] += found["hurried"]
            reviewed, left = (_total(sums, name) for name in ("reviewed", "left"))
            removed = shown_bytes(_total(sums, "removed_bytes"))
            bars.moved("reviewing", reviewed, total=reviewed + left, said=removed)
            if not left and not found["hurried"]:
                return sums
            if any(_settled(found[queue]) for queue in _QUEUES):
                idle = 0
                continue
            idle += 1
            if idle == _BUSY_LIMIT:
                msg = f"{left} are due and held by somebody else; moorage gc status shows whether that goes on"
                raise CommandFailed(msg)
            time.sleep(_BUSY_PAUSE_S)


def _add(sums: dict[str, Any], queue: str, found: Mapping[str, int] | None) -> None:
    if found is None:
        return
    before = sums[queue] or dict.fromkeys(_COUNTS, 0)
    sums[queue] = {name: before[name] + found[name] for name in _COUNTS} | {"left": found["left"]}


def _settled(found: Mapping[str, int] | None) -> bool:
    return found is not None and found["reviewed"] > found["busy"]


def _total(sums: Mapping[str, Any], name: str) -> int:
    return sum(sums[queue][name] for queue in _QUEUES if sums[queue] is not None)


def _print_run(sums: Mapping[str, Any], *, gave_up: bool) -> None:
    for queue in _QUEUES:
        found = sums[queue]
        if found is None:
            print(f"{queue}: not collected by this node")
            continue
        size = f" ({shown_bytes(found['removed_bytes'])})" if queue == "blobs" else ""
        print(f"{queue}: {found['reviewed']} reviewed, {found['needed']} needed, {found['removed']} removed{size}")
        if found["failed"]:
            print(f"{queue}: {found['failed']} could not be removed; moorage gc status says why")
    removed = sums["manifests"] is not None and sums["manifests"]["removed"]
    if removed and not gave_up:
        print("what the removed manifests needed is reviewed after its own delay")
