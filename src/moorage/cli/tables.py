"""Tables for people: columns under capitals, nothing wrapped, and no column that is empty."""

import shutil
import sys
from collections.abc import Sequence

_GAP = "  "


def say_none(things: str) -> None:
    """Say on standard error that a list is empty: a program that reads the list is not told, and a person is."""
    print(f"no {things} yet", file=sys.stderr)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, things: str = "") -> None:
    """Print rows; where the terminal is too narrow for a line, one value a line, so that all can be copied whole.

    *things*: of which it is said that there are none, instead of a head over nothing.
    """
    if things and not rows:
        say_none(things)
        return
    kept = [index for index in range(len(head)) if not rows or any(row[index] for row in rows)]
    names = [head[index].upper() for index in kept]
    cells = [[row[index] for index in kept] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    if sys.stdout.isatty() and sum(widths) + len(_GAP) * (len(widths) - 1) > shutil.get_terminal_size().columns:
        _print_records(names, cells)
        return
    for row in (names, *cells):
        print(_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print_records(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    width = max(map(len, names))
    for index, row in enumerate(rows):
        if index:
            print()
        for name, cell in zip(names, row, strict=True):
            if cell:
                print(f"{name.ljust(width)}  {cell}")
