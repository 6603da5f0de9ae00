"""Requests whose passwords are checked, or whose answers are held back, by where they come from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from moorage.auth.addresses import network_of

SUSPECT_LIMIT = 4
"""Of an address that guesses. A guess costs it up to five seconds, and so many at once are all it gets for them."""

ADDRESS_LIMIT = 64
LIMIT = 1024
"""Of everybody: it bounds memory, and takes sixteen addresses to use up."""


class Waiting:
    """How many requests of each address wait."""

    def __init__(self) -> None:
        self._by_network: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._total

    def has_room(self, address: str, limit: int) -> bool:
        """Whether one more may wait, of at most *limit* of its address."""
        return self._total < LIMIT and self._by_network[network_of(address)] < limit

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """One more waits."""
        key = network_of(address)
        self._by_network[key] += 1
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            self._by_network[key] -= 1
            if not self._by_network[key]:
                del self._by_network[key]
