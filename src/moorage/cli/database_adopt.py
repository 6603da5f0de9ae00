"""``moorage database adopt``: what its commands take; what they do is in ``adopting``."""

import typer

from moorage.cli.options import AsJSON
from moorage.cli.storage_options import StorageAndDatabase

adopt_app = typer.Typer(
    help="Look after the adoption of link files, which `database.adopt: true` begins.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@adopt_app.command()
def status(config: StorageAndDatabase = None, *, as_json: AsJSON = False) -> None:
    """Print how far the adoption is, when it will be done, and what could not be taken over.

    Exits with status 0 once everything is in the database, with 1 before that.
    """
    from moorage.cli import adopting  # noqa: PLC0415 - other commands need not wait for its imports

    raise typer.Exit(adopting.status(config, as_json=as_json))


@adopt_app.command()
def accept(config: StorageAndDatabase = None) -> None:
    """Agree to what was left out, so that the adoption can end and garbage collection begins.

    Bytes that only something left out needs are collected afterwards.
    """
    from moorage.cli import adopting  # noqa: PLC0415 - as above

    raise typer.Exit(adopting.accept(config))
