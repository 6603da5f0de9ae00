"""``moorage repo list``, ``tag list``, ``image show`` and ``du``: they ask only what any registry answers."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.options import AsJSON
from moorage.cli.reaching import ANY_PART, CA, REPO, Registry, connect, reach
from moorage.cli.reporting import reported
from moorage.cli.signatures import SIGNATURE
from moorage.cli.tables import say_none
from moorage.client.contents import ContentSizes, children_of, manifest_of, measured, pages, parts_of, tags_of
from moorage.client.places import is_host_alone
from moorage.client.reading import printable
from moorage.oci.mediatypes import REFERENCE_TYPE

repo_app = typer.Typer(help="Repositories of a registry.", no_args_is_help=True, rich_markup_mode=None)
image_app = typer.Typer(help="Images of a registry.", no_args_is_help=True, rich_markup_mode=None)


@repo_app.command("list")
@reported()
def list_repositories(registry: Registry = None, *, ca: CA = None, as_json: AsJSON = False) -> None:
    """List the repositories of a registry, one a line. Example: moorage repo list registry.example."""
    names = list(pages(reach(registry, ca=ca), "/v2/_catalog", "repositories"))
    _print_names(names, as_json=as_json, things="repositories")


@reported()
def list_tags(
    place: Annotated[str, typer.Argument(metavar="[HOST/]REPO", help="The repository.")],
    *,
    with_signatures: Annotated[
        bool, typer.Option("--signatures", help="Also the tags that signatures and other referrers are kept under.")
    ] = False,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """List the tags of a repository, one a line. Example: moorage tag list group/app."""
    remote, found = connect(place, takes=REPO, ca=ca)
    names = tags_of(remote, found.repository)
    # Distribution 2 lists tags in any order.
    shown = sorted(name for name in names if with_signatures or not SIGNATURE.fullmatch(name))
    _print_names(shown, as_json=as_json, things=f"tags in {found.repository}")


@image_app.command()
@reported()
def show(
    place: Annotated[str, typer.Argument(metavar="[HOST/]REPO:TAG", help="The image; REPO@DIGEST is one, too.")],
    *,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Show what an image consists of. Example: moorage image show group/app:1."""
    remote, found = connect(place, takes=ANY_PART, ca=ca)
    digest, manifest = manifest_of(remote, found.repository, found.digest or found.tag or "latest")
    if as_json:
        print(json.dumps({"digest": digest, "manifest": manifest}, indent=2))
        return
    print(f"digest  {digest}")
    print(printable(f"type    {manifest.get('mediaType', 'not said')}"))
    parts = list(parts_of(manifest))
    if parts or "manifests" not in manifest:
        print(f"size    {shown_bytes(sum(size for _, size in parts))}")
    for child in children_of(manifest):
        print(printable(f"{_shown_child(child):<16}{child.get('digest')}"))
    for blob, size in parts:
        print(printable(f"{shown_bytes(size):>10}  {blob}"))


def _shown_child(child: Mapping[str, Any]) -> str:
    """Name an entry of an index: its platform, or what a builder has put beside the platforms."""
    notes, platform = child.get("annotations"), child.get("platform")
    if isinstance(notes, dict) and REFERENCE_TYPE in notes:
        return str(notes[REFERENCE_TYPE]).removesuffix("-manifest")
    found = platform if isinstance(platform, dict) else {}
    return "/".join(filter(None, (str(found.get(key, "")) for key in ("os", "architecture", "variant")))) or "unknown"


@reported()
def du(
    place: Annotated[
        str | None, typer.Argument(metavar="[HOST/][REPO]", help="One repository; else all of the catalogue.")
    ] = None,
    *,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Show how large what is tagged is, and how much of it repositories share. Example: moorage du group/app.

    The status is 1 if something could not be measured and was left out; standard error says what.
    """
    from moorage.cli.bars import Bars  # noqa: PLC0415 - other commands need not wait for rich

    if place is None or is_host_alone(place):
        remote = reach(place, ca=ca)
        repositories = list(pages(remote, "/v2/_catalog", "repositories"))
    else:
        remote, found = connect(place, takes=REPO, ca=ca)
        repositories = [found.repository]
    missing: list[str] = []

    def left_out(place: str, why: str) -> None:
        print(f"error: {place} is left out: {why}", file=sys.stderr)
        missing.append(place)

    with Bars(counts=True, is_transient=True) as bars:
        bars.begins("asking", len(repositories))
        sizes = measured(remote, repositories, measured_one=lambda: bars.advanced("asking"), left_out=left_out)
    _print_sizes(sizes, as_json=as_json)
    if missing:
        raise typer.Exit(1)


def _print_sizes(sizes: ContentSizes, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"repository": one.repository, "bytes": one.size_bytes, "shared_bytes": one.shared_bytes}
            for one in sizes.repositories
        ]
        print(json.dumps({"repositories": rows, "bytes": sizes.size_bytes}, indent=2))
        return
    for one in sizes.repositories:
        shared = f" ({shown_bytes(one.shared_bytes)} shared)" if one.shared_bytes else ""
        print(f"{shown_bytes(one.size_bytes):>10}  {one.repository}{shared}")
    print(f"{shown_bytes(sizes.size_bytes):>10}  in all, what is shared counted once")


def _print_names(names: Sequence[str], *, as_json: bool, things: str) -> None:
    if as_json:
        print(json.dumps(names, indent=2))
    elif names:
        print("\n".join(names))
    else:
        say_none(things)
