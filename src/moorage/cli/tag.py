"""``moorage tag``: the commands of two files, as one group."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import typer

from moorage.cli.command_table import TAG_COMMANDS, CommandRow
from moorage.cli.lazy_group import LazyGroup


class TagGroup(LazyGroup):
    """The commands about tags."""

    words = "tag"
    rows: ClassVar[Mapping[str, Sequence[CommandRow]]] = {"Commands": TAG_COMMANDS}


tag_app = typer.Typer(
    cls=TagGroup, help="History of tags; undo; deleting many.", no_args_is_help=True, rich_markup_mode=None
)


@tag_app.callback()
def _tag() -> None:
    """History of tags; undo; deleting many."""
