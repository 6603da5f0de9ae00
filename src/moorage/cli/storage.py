"""``moorage storage``: what its commands take; what they do is in ``storage_runs``."""

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.check import byte_rate
from moorage.cli.options import AsJSON

storage_app = typer.Typer(help="Storage: copy, compare.", no_args_is_help=True, rich_markup_mode=None)

Source = Annotated[Path, typer.Argument(metavar="SOURCE", help="The configuration of the registry that is copied.")]
Target = Annotated[Path, typer.Argument(metavar="TARGET", help="The configuration that it will have afterwards.")]


@storage_app.command("copy")
def copy_storage(
    source: Source,
    target: Target,
    *,
    delete: Annotated[
        bool,
        typer.Option("--delete", help="At the end, if all went well, remove from the target what the source has not."),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="Go on copying what is pushed meanwhile, until Ctrl-C or SIGTERM; then one last time.",
        ),
    ] = False,
    rate_limit: Annotated[
        float | None,
        typer.Option(parser=byte_rate, metavar="BYTES", help="Copy at most so much in a second, such as 50MiB."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Find out what would be copied and removed, and change nothing.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Copy all images of a registry to another storage, of any kind; the registry may go on serving meanwhile.

    What the target has already is not copied again, so after an interruption the same command goes on. Only storage
    is read from the two files, and no variable. Status 0: both sides have the same. 1: they do not, or something
    could not be copied. 2: it could not be done to its end.
    """
    from moorage.cli import storage_runs  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.starting.copy_start import CopyWish  # noqa: PLC0415 - as above

    wish = CopyWish(
        dry_run=dry_run, deletes=delete, follows=follow and not dry_run, bytes_per_s=rate_limit, counts=not dry_run
    )
    raise typer.Exit(storage_runs.copy(source, target, wish, as_json=as_json))


@storage_app.command("compare")
def compare_storage(source: Source, target: Target, *, as_json: AsJSON = False) -> None:
    """Count what two storages have, by kind, and say which objects differ; nothing is changed.

    Blobs and links are compared by their sizes, tags byte by byte; `moorage check --verify-digests` reads every blob.
    Status 0: both have the same. 1: they do not. 2: it could not be done to its end.
    """
    from moorage.cli import storage_runs  # noqa: PLC0415 - other commands need not wait for its imports
    from moorage.starting.copy_start import CopyWish  # noqa: PLC0415 - as above

    wish = CopyWish(dry_run=True, deletes=True)
    raise typer.Exit(storage_runs.copy(source, target, wish, as_json=as_json, compares=True))
