"""``moorage database export``: what it takes; what it does is in ``exporting``."""

from typing import Annotated

import typer

from moorage.cli.options import AsJSON
from moorage.cli.storage_options import StorageAndDatabase


def export_link_files(
    config: StorageAndDatabase = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-d", help="Only say what would be written or removed.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare everything once more at the end; status 1 if anything differs.")
    ] = False,
    switch: Annotated[
        bool,
        typer.Option(
            "--switch",
            help="Say in storage at the end that its images are in link files, so that a registry without the database "
            "serves them. No registry may take pushes meanwhile.",
        ),
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Write link files of all that the database has, for Distribution, GitLab's registry, or Moorage without it.

    The registry may go on being used meanwhile, and the command may be ended and repeated: what is right already is
    left alone. Without --switch storage still says that its images are in the database.
    """
    from moorage.cli import exporting  # noqa: PLC0415 - other commands need not wait for its imports

    wish = exporting.ExportWish(dry_run=dry_run, verifies=verify, switches=switch, as_json=as_json)
    raise typer.Exit(exporting.run(config, wish))
