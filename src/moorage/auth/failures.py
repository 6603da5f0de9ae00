"""Wrong passwords, counted by where they come from, so that guessing gets slower and slower for whoever guesses.

Only the answer to a wrong password waits. What is counted is forgotten after a while, and is each worker's own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from moorage.auth.addresses import network_of

_FORGOTTEN_S = 600.0
_ADDRESSES = 10_000
"""So many addresses are remembered, those that failed last."""

_DELAY_S = 0.1
_DELAY_LIMIT_S = 5.0
_SUSPECT_AT = 3


class _Record(NamedTuple):
    failures: int
    last_at: float


class Failures:
    """How often each address was wrong lately."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def note(self, address: str) -> float:
        """Count a failure; return for how many seconds its answer has to wait."""
        key = network_of(address)
        count = self._count(key) + 1
        self._records[key] = _Record(count, self._monotonic())
        self._records.move_to_end(key)
        if len(self._records) > _ADDRESSES:
            self._records.popitem(last=False)
        return min(_DELAY_S * 2.0 ** min(count - 1, 30), _DELAY_LIMIT_S)

    def is_suspect(self, address: str) -> bool:
        """Whether an address was wrong more often than somebody who mistypes."""
        return self._count(network_of(address)) >= _SUSPECT_AT

    def _count(self, key: str) -> int:
        found = self._records.get(key)
        return 0 if found is None or self._monotonic() - found.last_at > _FORGOTTEN_S else found.failures
