"""Tables for people."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH = 160


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in a frame, whole even where the terminal is narrow."""
    table = Table(*head, box=box.ASCII)
    for row in rows:
        table.add_row(*row)
    console = Console(width=_WIDTH, highlight=False, markup=False, soft_wrap=True)
    console.print(table, soft_wrap=True)
