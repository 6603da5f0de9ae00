"""Options of the commands that work on storage by themselves; those that ask a registry need not import this."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import config_argument
from moorage.config.durations import parse_duration

StorageAndDatabase = Annotated[
    Path | None,
    config_argument("The file, which names storage and database; else REGISTRY_CONFIGURATION_PATH."),
]
DebugServer = Annotated[
    str | None,
    typer.Option("--debug-server", "-s", metavar="ADDR", help="Accepted for GitLab's scripts; does nothing."),
]


def duration_option(text: str) -> timedelta:
    """Read the value of an option that is a time, such as ``48h``.

    Raises:
        BadParameter: it is none.
    """
    try:
        found = parse_duration(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc)) from None
    if found < timedelta(0):
        # What is younger than a time to come is everything.
        msg = f"{text} is less than nothing; write it as 30s, 1h30m or 500ms"
        raise typer.BadParameter(msg)
    return found
