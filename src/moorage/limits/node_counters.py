"""Counters of one node: a table in memory that all its processes share, of a fixed size however many clients come."""

import contextlib
import errno
import fcntl
import hashlib
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from moorage.handed_on import SharedMemory, hand_on
from moorage.limits.rates import Rate, RateVerdict

SETS = 8192
WAYS = 8
"""Clients that share a place; of those, the one whose bucket is nearest to full makes room for a ninth."""

_ENTRY = struct.Struct("=16sd")
_SET_BYTES = _ENTRY.size * WAYS
_TRIES = 100


class NodeCounters:
    """A table of SETS times WAYS clients and rates. Made before processes are forked, it is theirs together.

    Which place a client has cannot be known from outside, so that nobody can push out another one on purpose.
    """

    def __init__(self, *, sets: int = SETS, monotonic: Callable[[], float] = time.monotonic) -> None:
        """*monotonic*: the same in all processes, as the system's is."""
        self._sets = sets
        self._monotonic = monotonic
        self._shared = SharedMemory(sets * _SET_BYTES)
        self._table = self._shared.memory
        self._secret = os.urandom(16)
        self._locks, path = tempfile.mkstemp(prefix="moorage-limits-")
        os.unlink(path)  # noqa: PTH108 - only its descriptor is used, as long as the process lives

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        hand_on(self._locks)
        state = {name: value for name, value in vars(self).items() if name != "_table"}
        return _handed_on, (state,)

    async def take(self, client: str, rates: Sequence[Rate]) -> Sequence[RateVerdict]:
        """See :class:`moorage.limits.rates.Counters`."""
        verdicts: list[RateVerdict] = []
        for rate in rates:
            verdicts.append(self._take(client, rate))
            if verdicts[-1].stops:
                break
        return verdicts

    def _take(self, client: str, rate: Rate) -> RateVerdict:
        key = hashlib.blake2b(f"{rate.name}\0{client}".encode("utf-8", "backslashreplace"), key=self._secret).digest()
        number = int.from_bytes(key[16:20], "big") % self._sets
        with self._locked(number):
            now = self._monotonic()
            place, full_at = self._find(number * _SET_BYTES, key[:16])
            verdict = rate.verdict(full_at - now)
            if verdict.is_allowed:
                _ENTRY.pack_into(self._table, place, key[:16], now + verdict.lacking_s)
        return verdict

    def _find(self, start: int, key: bytes) -> tuple[int, float]:
        """The place of a key and when its bucket is full; without one, the place of who loses least, and 0."""
        free, free_at = start, float("inf")
        for place in range(start, start + _SET_BYTES, _ENTRY.size):
            found, full_at = _ENTRY.unpack_from(self._table, place)
            if found == key:
                return place, full_at
            if full_at < free_at:
                free, free_at = place, full_at
        return free, 0.0

    @contextlib.contextmanager
    def _locked(self, number: int) -> Iterator[None]:
        """Hold a set. A process that was stopped while it held one must not hold up the others: they go on without."""
        for _ in range(_TRIES):
            try:
                fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
            except OSError as exc:
                if exc.errno not in (errno.EACCES, errno.EAGAIN):
                    raise
                os.sched_yield()
                continue
            try:
                yield
            finally:
                fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, number)
            return
        yield


def _handed_on(state: dict[str, object]) -> NodeCounters:
    found = NodeCounters.__new__(NodeCounters)
    vars(found).update(state, _table=cast("SharedMemory", state["_shared"]).memory)
    return found
