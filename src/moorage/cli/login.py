"""``moorage login`` and ``moorage logout``: credentials where docker and podman keep theirs."""

import getpass
import os
import sys
from typing import Annotated

import typer

from moorage.cli.reaching import CA, Registry, usual_registry
from moorage.cli.reporting import reported
from moorage.client.credentials import Credentials
from moorage.client.docker_config import Login, LoginFiles
from moorage.client.places import host_of, registry_url
from moorage.client.registry import CommandFailed, Remote

FromInput = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


@reported()
def login(
    registry: Registry = None,
    *,
    username: Annotated[str | None, typer.Option("--username", "-u", metavar="NAME", help="Who you are.")] = None,
    password_stdin: FromInput = False,
    ca: CA = None,
) -> None:
    """Log in to a registry, and keep the credentials for docker, podman and this command.

    Example: moorage login registry.example -u ada
    """
    url = registry_url(registry) if registry else usual_registry()
    name = username or typer.prompt("Username")
    password = read_password(from_input=password_stdin)
    answer = Remote(url, ca=ca, credentials=Credentials(name, password)).fetch("/v2/")
    if answer.headers.get_content_type() == "text/html":
        msg = f"what answers at {url} is no registry: at /v2/ it has a page"
        raise CommandFailed(msg)
    where = LoginFiles.of(os.environ).store(host_of(url), Login(name, password))
    print(f"logged in to {host_of(url)} as {name}; the credentials are kept in {where}")


@reported()
def logout(registry: Registry = None) -> None:
    """Forget the credentials for a registry. Example: moorage logout registry.example."""
    host = host_of(registry_url(registry) if registry else usual_registry())
    was_there = LoginFiles.of(os.environ).erase(host)
    print(f"logged out from {host}" if was_there else f"not logged in to {host}")


def read_password(*, from_input: bool, twice: bool = False) -> str:
    """Ask for a password, unseen, or read the first line of standard input.

    Raises:
        typer.BadParameter: there is none, or two that differ.
    """
    if from_input:
        try:
            # As bytes: in some locales Python lets through as text what is none.
            password = sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            msg = "the password is no text in UTF-8"
            raise typer.BadParameter(msg) from None
    elif sys.stdin.isatty():
        password = getpass.getpass()
        if twice and getpass.getpass("Again: ") != password:
            msg = "the two passwords differ"
            raise typer.BadParameter(msg)
    else:
        msg = "there is nobody to ask for a password: give it with --password-stdin"
        raise typer.BadParameter(msg)
    if not password:
        msg = "the password is empty"
        raise typer.BadParameter(msg)
    return password
