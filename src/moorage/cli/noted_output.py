"""Things that were noted, a line each."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from moorage.work.noted import Noted

if TYPE_CHECKING:
    from moorage.moving.outcome import LeftOut

_LEFT_OUT = 20

_T = TypeVar("_T")


def print_noted(noted: Noted[_T], line: Callable[[_T], str], *, limit: int, rest: str) -> None:
    """Print the first of them, and how many more there are; *rest* says where those are."""
    for thing in noted.first[:limit]:
        print(line(thing))
    if noted.count > limit:
        print(f"and {noted.count - limit:,} more: {rest}")


def print_left_out(left_out: "Noted[LeftOut]") -> None:
    """Print what an import or export could not move; nothing if that is nothing."""
    if left_out.count:
        print(f"left out: {left_out.count}")
        print_noted(left_out, lambda found: found.in_words(), limit=_LEFT_OUT, rest="the log names all")
