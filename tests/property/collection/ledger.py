"""What the registry has promised, and to whom: the model that it is held to."""

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

DELAY_S = 3600.0
"""How long after an event something is reviewed."""
_MARGIN_S = 60.0
"""The two clocks are read at different moments, and the machine may be busy."""


class Key(NamedTuple):
    """A blob or a manifest in a repository."""

    name: RepositoryName
    kind: Literal["blob", "manifest"]
    digest: Digest


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something began: by the order of events, and by the clock."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a tag points to while nobody can know."""


UNKNOWN = Unknown()
TagKey = tuple[RepositoryName, str]


class Ledger:
    """Promises, until when they hold, and what voids them: that somebody removes the thing by name."""

    def __init__(self, *, delay_s: float = DELAY_S) -> None:
        """*delay_s*: with one that is shorter than the margin nothing is promised for any time."""
        self._delay_s = delay_s
        self.offset_s = 0.0
        self.tags: dict[TagKey, Digest | Unknown | None] = {}
        self._number = 0
        self._promised: dict[Key, float] = {}
        self._begun: dict[Key, int] = {}
        self._removing: Counter[Key] = Counter()
        self._removed: dict[Key, int] = defaultdict(int)
        self._shaking: Counter[RepositoryName] = Counter()
        self._shaken: dict[RepositoryName, int] = defaultdict(int)

    def clock(self) -> float:
        """Seconds; time can be made to pass."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) + self.offset_s

    def stamp(self) -> Stamp:
        """Now, before something is asked for."""
        self._number += 1
        return Stamp(self._number, self.clock())

    def promise(self, key: Key, since: Stamp, *, share: float = 1.0) -> None:
        """What was asked for at *since* was acknowledged: it stays for *share* of the delay from then on."""
        if self.is_removed(key, since):
            return
        if not self.holds(key):
            self._begun[key] = self.stamp().number
        until = since.at + share * self._delay_s
        self._promised[key] = max(until, self._promised.get(key, 0.0))

    def holds(self, key: Key) -> bool:
        """Whether the thing has to be there now."""
        return not self._removing[key] and self._promised.get(key, 0.0) > self.clock() + _MARGIN_S

    def has_held(self, key: Key, since: Stamp) -> bool:
        """Whether the thing has had to be there all the time from *since* until now."""
        return self.holds(key) and self._begun[key] <= since.number

    def held(self) -> Collection[Key]:
        """All that has to be there now."""
        return [key for key in self._promised if self.holds(key)]

    def is_removed(self, key: Key, since: Stamp) -> bool:
        """Whether somebody may have removed the thing by name after *since*."""
        return bool(self._removing[key]) or self._removed[key] > since.number

    def removed_since(self, number: int) -> set[Key]:
        """What somebody may have removed by name since the event of that number."""
        return {key for key, at in self._removed.items() if at > number}

    def is_shaken(self, name: RepositoryName, since: Stamp) -> bool:
        """Whether any tag of a repository may have come back after *since*."""
        return bool(self._shaking[name]) or self._shaken[name] > since.number

    @contextlib.contextmanager
    def shaking(self, names: Collection[RepositoryName]) -> Iterator[None]:
        """Somebody brings tags back that went with a manifest, whosever they are."""
        for name in names:
            self._shaking[name] += 1
            self.tags |= {place: UNKNOWN for place in self.tags if place[0] == name}
        try:
            yield
        finally:
            for name in names:
                self._shaking[name] -= 1
                self._shaken[name] = self.stamp().number

    @contextlib.contextmanager
    def removing(self, keys: Collection[Key]) -> Iterator[None]:
        """Somebody removes these by name, or tries to, or may bring it about."""
        for key in keys:
            self._removing[key] += 1
            self._promised.pop(key, None)
            for place, target in self.tags.items():
                if key.kind == "manifest" and place[0] == key.name and target == key.digest:
                    self.tags[place] = UNKNOWN
        try:
            yield
        finally:
            for key in keys:
                self._removing[key] -= 1
                self._removed[key] = self.stamp().number
