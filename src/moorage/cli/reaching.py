"""How commands reach a registry: the options that say where it is, and what became of a refusal."""

import os
from typing import Annotated

import typer

from moorage.client.places import ImagePlace, read_place, registry_url
from moorage.client.registry import DEFAULT_REGISTRY, REGISTRY_VARIABLE, CommandFailed, Remote

CA = Annotated[
    str | None, typer.Option("--ca", metavar="FILE", help="Trust the certificates in this file, not the system's.")
]
Registry = Annotated[
    str | None,
    typer.Argument(metavar="HOST", help=f"The registry; else {REGISTRY_VARIABLE}; else {DEFAULT_REGISTRY}."),
]


def connect(
    place: str, *, registry: str | None = None, reason: str | None = None, ca: str | None = None
) -> tuple[Remote, ImagePlace]:
    """Reach the registry that a place names, else the one at *registry*, else the usual one.

    Raises:
        CommandFailed: there can be none.
    """
    found = read_place(place)
    if not found.repository:
        msg = f"{place} names no repository; give [HOST/]REPO[:TAG]"
        raise CommandFailed(msg)
    return Remote(found.url or registry or usual_registry(), reason=reason, ca=ca), found


def reach(host: str | None, *, ca: str | None = None) -> Remote:
    """Reach a registry by its host, or the usual one.

    Raises:
        CommandFailed: there can be none.
    """
    return Remote(registry_url(host) if host else usual_registry(), ca=ca)


def usual_registry() -> str:
    """Where the environment says that the registry is."""
    return os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY
