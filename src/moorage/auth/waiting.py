"""Requests whose passwords are checked, or whose answers are held back, by where they come from."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from moorage.auth.addresses import networks_of

SUSPECT_LIMIT = 4
"""Of an address that guesses. A guess costs it up to five seconds, and so many at once are all it gets for them."""

ADDRESS_LIMIT = 64
LIMIT = 1024
"""Of everybody: it bounds memory, and takes more networks to use up than a stranger has."""

_RESERVE = 256
"""Of them, for those who were right lately."""
_WIDE = 2
"""Factor of the limit for a network around an address, compared with that of the address."""


class Waiting:
    """Counts of the waiting requests of each address."""

    def __init__(self) -> None:
        self._by_network: Counter[str] = Counter()
        self._total = 0

    def __len__(self) -> int:
        """Count the requests that wait."""
        return self._total

    def has_room(self, address: str, limit: int, *, was_right: bool = False) -> bool:
        """Return whether one more may wait, of at most *limit* per address; *was_right*: whatever its neighbours do."""
        narrow, *wider = [self._by_network[network.text] for network in networks_of(address)]
        if was_right:
            return self._total < LIMIT and narrow < limit
        return self._total < LIMIT - _RESERVE and narrow < limit and all(count < limit * _WIDE for count in wider)

    @contextmanager
    def one(self, address: str) -> Iterator[None]:
        """One more waits."""
        keys = [network.text for network in networks_of(address)]
        self._by_network.update(keys)
        self._total += 1
        try:
            yield
        finally:
            self._total -= 1
            for key in keys:
                self._by_network[key] -= 1
                if not self._by_network[key]:
                    del self._by_network[key]
