"""Things that long work notes on its way: how many there were, and the first of them to be shown."""

from dataclasses import dataclass, field
from typing import Generic, Self, TypeVar

SHOWN = 1000

_T = TypeVar("_T")


@dataclass(slots=True)
class Noted(Generic[_T]):
    """Number of all things of a kind, with the first of them: memory is bounded however many there are."""

    limit: int = SHOWN
    """So many are kept."""
    count: int = 0
    first: list[_T] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """True if all of them are among the first."""
        return self.count == len(self.first)

    def add(self, thing: _T) -> None:
        """Note one more."""
        self.count += 1
        if len(self.first) < self.limit:
            self.first.append(thing)

    def copy(self) -> Self:
        """Return the same, which does not change with this."""
        return type(self)(self.limit, self.count, list(self.first))

    def clear(self) -> None:
        """Forget all of them."""
        self.count = 0
        self.first.clear()
