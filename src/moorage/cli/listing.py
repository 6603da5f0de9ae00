"""``moorage repo list``, ``tag list``, ``image show`` and ``du``: they ask only what any registry answers."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from moorage.cli.amounts import shown_bytes
from moorage.cli.history import SIGNATURE, reported
from moorage.cli.options import AsJSON
from moorage.cli.reaching import CA, Registry, connect, reach
from moorage.client.registry import CommandFailed, Remote

repo_app = typer.Typer(help="Repositories of a registry.", no_args_is_help=True, rich_markup_mode=None)
image_app = typer.Typer(help="Images of a registry.", no_args_is_help=True, rich_markup_mode=None)

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)
_NEXT = re.compile(r"<([^>]+)>\s*;\s*rel=\"?next\"?")


@repo_app.command("list")
@reported()
def list_repositories(registry: Registry = None, *, ca: CA = None, as_json: AsJSON = False) -> None:
    """List the repositories of a registry, one a line. Example: moorage repo list registry.example."""
    names = list(_pages(reach(registry, ca=ca), "/v2/_catalog", "repositories"))
    _print_names(names, as_json=as_json)


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
    remote, found = connect(place, ca=ca)
    names = _pages(remote, f"/v2/{found.repository}/tags/list", "tags")
    shown = [name for name in names if with_signatures or not SIGNATURE.fullmatch(name)]
    _print_names(shown, as_json=as_json)


@image_app.command()
@reported()
def show(
    place: Annotated[str, typer.Argument(metavar="[HOST/]REPO:TAG", help="The image; REPO@DIGEST is one, too.")],
    *,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Show what an image consists of. Example: moorage image show group/app:1."""
    remote, found = connect(place, ca=ca)
    digest, manifest = _manifest(remote, found.repository, found.digest or found.tag or "latest")
    if as_json:
        print(json.dumps({"digest": digest, "manifest": manifest}, indent=2))
        return
    print(f"digest  {digest}")
    print(f"type    {manifest.get('mediaType', 'not said')}")
    parts = list(_parts(manifest))
    if "manifests" not in manifest:
        print(f"size    {shown_bytes(sum(size for _, size in parts))}")
    for child in manifest.get("manifests") or ():
        platform = child.get("platform") or {}
        name = "/".join(filter(None, (str(platform.get(key, "")) for key in ("os", "architecture", "variant"))))
        print(f"{name or 'unknown':<16}{child.get('digest')}")
    for blob, size in parts:
        print(f"{shown_bytes(size):>10}  {blob}")


@reported()
def du(
    place: Annotated[
        str | None, typer.Argument(metavar="[HOST/]REPO", help="One repository; if not given, all of the catalogue.")
    ] = None,
    *,
    ca: CA = None,
    as_json: AsJSON = False,
) -> None:
    """Show how large what is tagged is, and how much of it repositories share. Example: moorage du group/app."""
    if place is None:
        remote = reach(None, ca=ca)
        repositories = list(_pages(remote, "/v2/_catalog", "repositories"))
    else:
        remote, found = connect(place, ca=ca)
        repositories = [found.repository]
    content = {name: _content(remote, name) for name in repositories}
    owners = Counter(digest for parts in content.values() for digest in parts)
    rows = [
        {
            "repository": name,
            "bytes": sum(parts.values()),
            "shared_bytes": sum(size for digest, size in parts.items() if owners[digest] > 1),
        }
        for name, parts in content.items()
    ]
    total = sum({digest: size for parts in content.values() for digest, size in parts.items()}.values())
    if as_json:
        print(json.dumps({"repositories": rows, "bytes": total}, indent=2))
        return
    for row in rows:
        shared = f" ({shown_bytes(row['shared_bytes'])} shared)" if row["shared_bytes"] else ""
        print(f"{shown_bytes(row['bytes']):>10}  {row['repository']}{shared}")
    print(f"{shown_bytes(total):>10}  in all, what is shared counted once")


def _print_names(names: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(names, indent=2))
    elif names:
        print("\n".join(names))


def _pages(remote: Remote, path: str, member: str) -> Iterator[str]:
    seen = set()
    while path not in seen:
        seen.add(path)
        received = remote.fetch(path, accept="application/json")
        yield from _object(remote, received.body).get(member) or ()
        following = _NEXT.search(received.headers.get("Link", ""))
        if following is None:
            return
        # Only a path: nobody is led to another host.
        path = "/v2/" + following[1].partition("/v2/")[2]


def _manifest(remote: Remote, repository: str, reference: str) -> tuple[str, Mapping[str, Any]]:
    received = remote.fetch(f"/v2/{repository}/manifests/{reference}", accept=_MANIFESTS)
    return received.headers.get("Docker-Content-Digest", reference), _object(remote, received.body)


def _object(remote: Remote, body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        msg = f"what answers at {remote.url} is no registry"
        raise CommandFailed(msg)
    return value


def _parts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for part in (manifest.get("config"), *(manifest.get("layers") or ())):
        if part:
            yield str(part.get("digest")), int(part.get("size") or 0)


def _content(remote: Remote, repository: str) -> Mapping[str, int]:
    """The blobs of a repository that its tags need, each with its size."""
    content: dict[str, int] = {}
    waiting: list[str] = list(_pages(remote, f"/v2/{repository}/tags/list", "tags"))
    seen = set(waiting)
    while waiting:
        digest, manifest = _manifest(remote, repository, waiting.pop())
        if digest in content:
            continue
        content.update(_parts(manifest))
        for child in manifest.get("manifests") or ():
            if child.get("digest") not in seen:
                seen.add(child["digest"])
                waiting.append(child["digest"])
    return content
