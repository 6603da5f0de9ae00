"""``moorage sync``: what it takes; what it does is in ``sync_runs``."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.copy import Jobs
from moorage.cli.options import AsJSON


def sync(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that says what is copied, in YAML.")],
    *,
    jobs: Jobs = 4,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find out what would be copied and deleted, and change nothing.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy all that a file lists from registries to others, and only what is new of it.

    Tags of the target are deleted only where the file says `delete: true`, and only those that the entry is about
    and that are gone from the source. Status 0: all is done. 1: something failed; it is listed. 2: the file has
    mistakes, and nothing was begun.
    """
    from moorage.cli import sync_runs  # noqa: PLC0415 - other commands need not wait for its imports

    raise typer.Exit(sync_runs.run(file, jobs=jobs, dry_run=dry_run, as_json=as_json))
