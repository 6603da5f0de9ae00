"""A map with bounds: so many entries, or so much of them, and each for so long."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key. Those that were put longest ago go first, and those whose time is over are not there any more."""

    def __init__(
        self,
        limit: int,
        *,
        age: timedelta | None = None,
        is_kept_by_use: bool = False,
        size_of: Callable[[Value], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the bounds.

        Args:
            limit: the most that is remembered: entries, or with *size_of* the sum of their sizes.
            age: how long an entry is remembered; None: for as long as there is room.
            is_kept_by_use: those that were not asked for longest go first.
            size_of: the size of a value.
            monotonic: seconds that only go forward.
        """
        self._limit = limit
        self._age_s = None if age is None else age.total_seconds()
        self._is_kept_by_use = is_kept_by_use
        self._size_of = size_of
        self._monotonic = monotonic
        self._size = 0
        self._entries: OrderedDict[Key, tuple[Value, float | None]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many entries there are, those among them whose time is over and that nobody has asked for."""
        return len(self._entries)

    def keys(self) -> Sequence[Key]:
        """Return the keys of all entries, whose time may be over."""
        return tuple(self._entries)

    def get(self, key: Key) -> Value | None:
        """Return the value, if it is remembered."""
        found = self._entries.get(key)
        if found is None:
            return None
        value, ends_at = found
        if ends_at is not None and self._monotonic() >= ends_at:
            self.pop(key)
            return None
        if self._is_kept_by_use:
            self._entries.move_to_end(key)
        return value

    def put(self, key: Key, value: Value, *, age_s: float | None = None) -> Sequence[Value]:
        """Remember a value; return those that are forgotten for it, the one before it under this key among them.

        *age_s*: how long it is remembered, in seconds; None: as all are.
        """
        if age_s is None:
            age_s = self._age_s
        replaced = self._entries.pop(key, None)
        self._entries[key] = value, None if age_s is None else self._monotonic() + age_s
        if self._size_of is None and len(self._entries) <= self._limit:
            return () if replaced is None else (replaced[0],)
        forgotten = [] if replaced is None else [self._drop(replaced)]
        if self._size_of is not None:
            self._size += self._size_of(value)
        while self._entries and self._held() > self._limit:
            forgotten.append(self._drop(self._entries.popitem(last=False)[1]))
        return forgotten

    def pop(self, key: Key) -> Value | None:
        """Forget a value, and return it if it was there, its time over or not."""
        found = self._entries.pop(key, None)
        return None if found is None else self._drop(found)

    def clear(self) -> Sequence[Value]:
        """Forget all, and return it."""
        forgotten = [value for value, _ in self._entries.values()]
        self._entries.clear()
        self._size = 0
        return forgotten

    def _held(self) -> int:
        return len(self._entries) if self._size_of is None else self._size

    def _drop(self, entry: tuple[Value, float | None]) -> Value:
        if self._size_of is not None:
            self._size -= self._size_of(entry[0])
        return entry[0]
