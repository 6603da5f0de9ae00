"""Replicas that are left alone for a while: those that fail, flap or lag. Source: features MDB-047, MDB-048."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from moorage.sql.replicas.replica_discovery import ReplicaAddress
from moorage.telemetry import get_log

FAILURES = 3
"""So many failed attempts to connect in a row."""
EVENTS = 5
"""So often added or removed …"""
EVENTS_WITHIN_S = 60.0
"""… within so long."""
HELD_S = 300.0
LAG_S = 30.0
LAG_BYTES = 8 * 1024 * 1024

_log = get_log("sql.replicas")


def lags(seconds: float, lag_bytes: int) -> bool:
    """Return whether a replica is too far behind, in time and in bytes: an idle primary makes either alone look old."""
    return seconds > LAG_S and lag_bytes > LAG_BYTES


@dataclass(slots=True)
class _Record:
    failures: int = 0
    events: deque[float] = field(default_factory=deque)
    held_until: float | None = None


class ReplicaBench:
    """Facts about each address's connections; *clock* is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[ReplicaAddress, _Record] = {}
        self.events: Counter[tuple[str, str]] = Counter()
        """Counts what befell replicas, each with the reason, in GitLab's words. Source: features MET-023."""

    def holds(self, address: ReplicaAddress) -> bool:
        """Return whether the address is to be left alone. When its time is over, all is forgotten."""
        record = self._records.get(address)
        if record is None or record.held_until is None:
            return False
        if self._clock() < record.held_until:
            return True
        del self._records[address]
        self.events["replica_reintegrated", ""] += 1
        _log.info("a replica's quarantine is over", replica=str(address))
        return False

    def held_s(self) -> Mapping[ReplicaAddress, float]:
        """Return the addresses in quarantine, each with the seconds that it has been there."""
        now = self._clock()
        held = {address: record.held_until for address, record in self._records.items()}
        return {address: now - (until - HELD_S) for address, until in held.items() if until is not None and now < until}

    def note_failure(self, address: ReplicaAddress) -> None:
        """It took no connection, or lost it."""
        record = self._records.setdefault(address, _Record())
        record.failures += 1
        if record.failures >= FAILURES:
            self.events["replica_quarantined", "connectivity"] += record.held_until is None
            self._hold(address, record, "it took no connection several times in a row")

    def note_answer(self, address: ReplicaAddress) -> None:
        """It took a connection and answered."""
        if address in self._records:
            self._records[address].failures = 0

    def note_change(self, address: ReplicaAddress) -> None:
        """It was added to the replicas in use, or removed."""
        record = self._records.setdefault(address, _Record())
        now = self._clock()
        record.events.append(now)
        while record.events[0] <= now - EVENTS_WITHIN_S:
            record.events.popleft()
        if len(record.events) >= EVENTS:
            self.events["replica_quarantined", "flapping"] += record.held_until is None
            self._hold(address, record, "it came and went too often")

    def _hold(self, address: ReplicaAddress, record: _Record, reason: str) -> None:
        if record.held_until is None:
            record.held_until = self._clock() + HELD_S
            _log.warning("a replica is in quarantine", replica=str(address), reason=reason, held_s=HELD_S)
