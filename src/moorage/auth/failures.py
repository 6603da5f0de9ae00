"""Wrong passwords, counted by where they come from, so that guessing gets slower and slower for whoever guesses.

An address is counted in its networks too, as a stranger may have all of one; where a password was right lately, that
is nobody's guess, and what its neighbours do does not matter.

Only the answer to a wrong password waits. What is counted is forgotten after a while, and is each worker's own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from moorage.auth.addresses import Network, network_of, networks_of

_FORGOTTEN_S = 600.0
_ADDRESSES = 10_000
"""So many addresses are remembered, those that failed last."""

_DELAY_S = 0.1
_DELAY_LIMIT_S = 5.0
_SUSPECT_AT = 3

_RIGHT_S = 7 * 86400.0
"""Seconds that an address stays known after a right password: over a holiday, for one that logs in on workdays."""

T = TypeVar("T")


class _Record(NamedTuple):
    failures: int
    last_at: float


class Failures:
    """Counts of how often each address was wrong lately, and a list of those that were right."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # One for each width: whoever has a wide network has so many narrow ones that they would push out the others.
        self._records: dict[int, OrderedDict[str, _Record]] = {}
        self._right: OrderedDict[str, float] = OrderedDict()

    def note(self, address: str) -> float:
        """Count a failure; return for how many seconds its answer has to wait."""
        delay_s, is_known = 0.0, self.was_right(address)
        for network in networks_of(address):
            count = self._count(network) + 1
            records = self._records.setdefault(network.weight, OrderedDict())
            records[network.text] = _Record(count, self._monotonic())
            _trim(records, network.text)
            times = count // network.weight
            if times and not (is_known and network.weight > 1):
                delay_s = max(delay_s, _DELAY_S * 2.0 ** min(times - 1, 30))
        return min(delay_s, _DELAY_LIMIT_S)

    def note_right(self, address: str) -> None:
        """Remember that a password was right there."""
        key = network_of(address)
        self._right[key] = self._monotonic()
        _trim(self._right, key)

    def was_right(self, address: str) -> bool:
        """Return whether a password was right there lately."""
        found = self._right.get(network_of(address))
        return found is not None and self._monotonic() - found < _RIGHT_S

    def is_suspect(self, address: str) -> bool:
        """Return whether an address, or a network of it, was wrong more often than a user who mistypes."""
        is_known = self.was_right(address)
        return any(
            self._count(network) >= _SUSPECT_AT * network.weight
            for network in networks_of(address)
            if network.weight == 1 or not is_known
        )

    def _count(self, network: Network) -> int:
        records = self._records.get(network.weight)
        found = None if records is None else records.get(network.text)
        return 0 if found is None or self._monotonic() - found.last_at > _FORGOTTEN_S else found.failures


def _trim(records: OrderedDict[str, T], key: str) -> None:
    records.move_to_end(key)
    if len(records) > _ADDRESSES:
        records.popitem(last=False)
