"""Wrong passwords, counted by where they come from, so that guessing gets slower and slower.

An address is counted in its networks too, as a stranger may have all of one; where a password was right lately, that
is nobody's guess, and what its neighbours do does not matter.

Only the answer to a wrong password waits. What is counted is forgotten after a while, and is each worker's own.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from moorage.auth.addresses import Network, network_of, networks_of
from moorage.cache.remembered import Remembered

_FORGOTTEN = timedelta(minutes=10)
_ADDRESSES = 10_000
"""So many addresses are remembered, those that failed last."""

_DELAY_S = 0.1
_DELAY_LIMIT_S = 5.0
_SUSPECT_AT = 3

_RIGHT = timedelta(days=7)
"""Time that an address stays known after a right password: over a holiday, for one that logs in on workdays."""


class Failures:
    """Counts of how often each address was wrong lately, and a list of those that were right."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # One for each width: a wide network has so many narrow ones that they would push out the others.
        self._failures: dict[int, Remembered[str, int]] = {}
        self._right: Remembered[str, bool] = Remembered(_ADDRESSES, age=_RIGHT, monotonic=monotonic)

    def note(self, address: str) -> float:
        """Count a failure; return for how many seconds its answer has to wait."""
        delay_s, is_known = 0.0, self.was_right(address)
        for network in networks_of(address):
            count = self._count(network) + 1
            if network.weight not in self._failures:
                self._failures[network.weight] = Remembered(_ADDRESSES, age=_FORGOTTEN, monotonic=self._monotonic)
            self._failures[network.weight].put(network.text, count)
            times = count // network.weight
            if times and not (is_known and network.weight > 1):
                delay_s = max(delay_s, _DELAY_S * 2.0 ** min(times - 1, 30))
        return min(delay_s, _DELAY_LIMIT_S)

    def note_right(self, address: str) -> None:
        """Remember that a password was right there."""
        self._right.put(network_of(address), value=True)

    def was_right(self, address: str) -> bool:
        """Return whether a password was right there lately."""
        return self._right.get(network_of(address)) is not None

    def is_suspect(self, address: str) -> bool:
        """Return whether an address, or a network of it, was wrong more often than a user who mistypes."""
        return bool(self.suspects(address))

    def suspects(self, address: str) -> Sequence[Network]:
        """List the networks of an address, it among them, that were wrong so often."""
        is_known = self.was_right(address)
        return [
            network
            for network in networks_of(address)
            if (network.weight == 1 or not is_known) and self._count(network) >= _SUSPECT_AT * network.weight
        ]

    def _count(self, network: Network) -> int:
        failures = self._failures.get(network.weight)
        return 0 if failures is None else failures.get(network.text) or 0
