"""The ``moorage`` command line: what all commands share. Which there are stands in ``command_table.py``."""

from typing import Annotated

import typer

from moorage import __version__
from moorage.cli.lazy_group import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    help="Moorage, a container registry.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer passes it on
    if wanted:
        print(f"moorage {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", "-v", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Moorage, a container registry."""
    del show_version
