"""Failures of a request to a registry, as a command says them."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from moorage.cli.change_words import named
from moorage.client.registry import CommandFailed


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what went wrong into a message and a status: 1, or 3 where somebody changed something since."""
    try:
        yield
    except CommandFailed as exc:
        print(f"error: {exc}", file=sys.stderr)
        if exc.detail:
            _print_conflicts(exc.detail)
        raise typer.Exit(exc.status) from None


def _print_conflicts(detail: Mapping[str, Any]) -> None:
    from moorage.api.history_answers import UndoConflicts  # noqa: PLC0415 - only what was refused needs them
    from moorage.client.reading import AnswerUnreadable, printable, read_answer  # noqa: PLC0415 - as above

    try:
        found = read_answer(UndoConflicts, detail)
    except AnswerUnreadable:
        return  # The detail of another error.
    for conflict in found.conflicts:
        print(f"  {printable(f'{named(conflict)}: {conflict.message}')}", file=sys.stderr)
    if (left := found.count - len(found.conflicts)) > 0:
        print(f"  and {left} more", file=sys.stderr)
    if found.conflicts:
        print("nothing was changed; --partial undoes the rest", file=sys.stderr)
