"""Answers of Moorage's own API about the registry itself, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_HEARD_OF = timedelta(minutes=1)
"""A check at work writes every few seconds; one that hashes a large blob may be silent for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryPart:
    """A part of the registry."""

    name: str
    kind: str
    state: str
    """``good``, ``look``, ``broken`` or ``off``."""
    since: datetime | None
    said: str
    next_step: str

    @property
    def wants_somebody(self) -> bool:
        """True if it does not work, or somebody should look."""
        return self.state in ("broken", "look")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryState:
    """The state of the registry, as the node that answered saw it."""

    version: str
    node: str
    started_at: datetime | None
    is_read_only: bool
    has_database: bool
    parts: Sequence[RegistryPart]
    nodes: Sequence[tuple[str, int]]
    """Nodes that take pushes, with the number of their processes."""

    @property
    def wanting(self) -> list[RegistryPart]:
        """The parts that want somebody, the broken ones first."""
        return sorted((part for part in self.parts if part.wants_somebody), key=lambda part: part.state != "broken")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownState:
    """A state that was told before, and when."""

    state: RegistryState
    told_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceKind:
    """Differences of one kind."""

    kind: str
    meaning: str
    count: int
    size_bytes: int
    repaired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDifference:
    """One difference between metadata and storage."""

    kind: str
    subject: str
    repository: str
    size_bytes: int
    detail: str
    repair: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrityCheck:
    """A check of storage against metadata."""

    started_at: datetime | None
    ended_at: datetime | None
    saved_at: datetime | None
    has_verified: bool
    """True if every byte was read."""
    has_repaired: bool
    phase: str
    share: float
    """The part of its phase that is done, from 0 to 1."""
    blobs: int
    size_bytes: int
    manifests: int
    kinds: Sequence[DifferenceKind]
    first: Sequence[FoundDifference]

    @property
    def differences(self) -> int:
        """The number of differences."""
        return sum(kind.count for kind in self.kinds)

    @property
    def left(self) -> int:
        """The number of differences that were not repaired."""
        return sum(kind.count - kind.repaired for kind in self.kinds)

    @property
    def took_s(self) -> float | None:
        """The seconds from its beginning to its end, pauses in between counted."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    def is_at_work(self, now: datetime) -> bool:
        """Return whether it was heard of lately."""
        return self.saved_at is not None and now - self.saved_at < _HEARD_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIntegrity:
    """The last check, and one that has not ended."""

    last: IntegrityCheck | None
    unfinished: IntegrityCheck | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMigration:
    """A background migration of the registry's database."""

    name: str
    status: str
    share: float
    finished_jobs: int
    failed_jobs: int
    failure: str

    @property
    def moves(self) -> bool:
        """True if it goes on."""
        return self.status in ("active", "running")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMigrations:
    """All background migrations."""

    is_on: bool
    """True if the node that answered does their work."""
    migrations: Sequence[DataMigration]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdopted:
    """A thing of link files that could not be taken over."""

    kind: str
    """Empty: a whole repository."""
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAdoption:
    """The adoption of link files into the registry's database."""

    stage: str
    """``none``, ``taking``, ``waiting``, ``ending`` or ``ended``."""
    began_at: datetime | None
    ended_at: datetime | None
    done_at: datetime | None
    repositories: int | None
    """None: they are not counted yet."""
    taken: int
    tags: int
    manifests: int
    left_out: int
    is_accepted: bool
    first_left_out: Sequence[NotAdopted]
    faults: int
    first_faults: Sequence[NotAdopted]

    @property
    def moves(self) -> bool:
        """True if it goes on by itself."""
        return self.stage in ("taking", "ending")
