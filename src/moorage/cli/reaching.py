"""Ways for commands to reach a registry, and the options that say where it is."""

import os
from collections.abc import Callable
from typing import Annotated

import typer

from moorage.client.credentials import Credentials
from moorage.client.places import ImagePlace, is_same_registry, read_place, registry_url, repository_in
from moorage.client.registry import DEFAULT_REGISTRY, REGISTRY_VARIABLE, CommandFailed, Remote

CA = Annotated[
    str | None, typer.Option("--ca", metavar="FILE", help="Trust the certificates in this file, not the system's.")
]
Registry = Annotated[
    str | None,
    typer.Argument(metavar="HOST", help=f"The registry; else {REGISTRY_VARIABLE}; else {DEFAULT_REGISTRY}."),
]
RegistryURL = Annotated[
    str,
    typer.Option(
        "--registry", metavar="URL", envvar=REGISTRY_VARIABLE, help="Where the registry is, if no HOST says it."
    ),
]

REPO = "[HOST/]REPO"
REPO_OR_TAG = "[HOST/]REPO[:TAG]"
ANY_PART = "[HOST/]REPO:TAG or [HOST/]REPO@DIGEST"


def connect(
    place: str,
    *,
    takes: str = REPO_OR_TAG,
    registry: str | None = None,
    reason: str | None = None,
    ca: str | None = None,
) -> tuple[Remote, ImagePlace]:
    """Reach the registry that a place names, else the one at *registry*, else the usual one; *takes*: what it may name.

    Raises:
        CommandFailed: there can be none, or *place* has a part that would be passed over.
    """
    found = read_place(place)
    if not found.repository:
        msg = f"{place} names no repository; give {takes}"
        raise CommandFailed(msg)
    for part, value in (("tag", found.tag), ("digest", found.digest)):
        if value and part.upper() not in takes:
            msg = f"{place} names a {part}, which is not asked for here; give {takes}"
            raise CommandFailed(msg)
    usual = registry or usual_registry()
    return _remote(found.url or usual, usual, repository=found.repository, reason=reason, ca=ca), found


def reach(host: str | None, *, registry: str | None = None, reason: str | None = None, ca: str | None = None) -> Remote:
    """Reach a registry by its host, else the one at *registry*, else the usual one.

    Raises:
        CommandFailed: there can be none.
    """
    usual = registry or usual_registry()
    return _remote(registry_url(host) if host else usual, usual, reason=reason, ca=ca)


def undo_command(request: str, place: str | None, *, registry: str) -> str:
    """Return the command that takes a request back, which leads to where *place* and the option *registry* led.

    Credentials are kept by a registry's name, and tokens are for repositories: the id alone would not do.
    """
    words = ["moorage undo", request]
    if place is not None:
        words += ["--repository", repository_in(place)]
    if registry != usual_registry() and not (place and read_place(place).url):
        words += ["--registry", registry]
    return " ".join(words)


def _remote(url: str, usual: str, *, repository: str = "", reason: str | None, ca: str | None) -> Remote:
    # The credentials of the environment belong to one registry: a host that is only typed does not get them.
    is_elsewhere = not is_same_registry(url, usual)
    credentials = Credentials.of(os.environ, repository=repository, is_elsewhere=is_elsewhere)
    return Remote(url, reason=reason, ca=ca, credentials=credentials)


def credentials_for(url: str) -> Callable[[str], Credentials]:
    """Return a maker of the credentials for a repository of the registry at *url*; as above."""
    is_elsewhere = not is_same_registry(url, usual_registry())
    return lambda repository: Credentials.of(os.environ, repository=repository, is_elsewhere=is_elsewhere)


def usual_registry() -> str:
    """Return the registry that the environment names; if it names none, the default."""
    return os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY
