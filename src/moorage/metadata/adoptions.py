"""The interface to the rows of an adoption: for each repository of link files, where its truth is.

A repository without a row is in its link files alone, or new in the database. One that is ``taking`` is still in its
link files, and nobody writes to it; one that is ``taken`` is in the database, for good.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from moorage.oci.names import RepositoryName

AdoptionState = Literal["taking", "taken"]
AdoptionStage = Literal["taking", "waiting", "ending", "ended"]
"""The stages of a whole adoption; it is waiting while somebody has to agree to what is left out."""


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A thing of link files that could not be taken over: its kind, its place in storage, and the reason."""

    kind: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """The counts of a repository that was taken over."""

    tags: int = 0
    manifests: int = 0
    left_out: int = 0
    first_left_out: Sequence[LeftBehind] = ()


@dataclass(frozen=True, slots=True)
class AdoptionFault:
    """A repository that could not be taken over, and why."""

    path: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionProgress:
    """The whole adoption, as far as it is."""

    began_at: datetime
    repositories: int | None
    """Of link files; None: they are not counted yet."""
    taken_until: str
    """All repositories up to this name are taken."""
    accepted_at: datetime | None
    """None: nobody has agreed to what was left out."""
    ended_at: datetime | None
    """None: it goes on, and nothing may be collected."""
    taken: int = 0
    taking: int = 0
    tags: int = 0
    manifests: int = 0
    left_out: int = 0
    faults: int = 0

    @property
    def stage(self) -> AdoptionStage:
        """The stage that it is in."""
        if self.ended_at is not None:
            return "ended"
        if self.repositories is None or self.taken < self.repositories:
            return "taking"
        return "waiting" if self.left_out and self.accepted_at is None else "ending"

    def done_at(self, now: datetime) -> datetime | None:
        """Return when it will be done if it goes on as until now; None: nobody knows, or it is."""
        if self.ended_at is not None or self.repositories is None or not self.taken:
            return None
        left = max(0, self.repositories - self.taken)
        return now + (now - self.began_at) / self.taken * left


@dataclass(frozen=True, slots=True)
class AdoptionFindings:
    """The first of what was left out, and of the repositories that could not be taken over."""

    left_out: Sequence[LeftBehind] = field(default=())
    faults: Sequence[AdoptionFault] = field(default=())


class AdoptionStates(ABC):
    """The place of each repository's truth."""

    @abstractmethod
    async def state(self, name: RepositoryName) -> AdoptionState | None:
        """Return the state of a repository; None: it has no row."""

    @abstractmethod
    async def taken(self, names: Collection[str]) -> set[str]:
        """Those of *names* that are taken."""

    @abstractmethod
    async def claim(self, name: RepositoryName, holder: str, *, now: datetime, until: datetime) -> bool:
        """Begin to take a repository; False if somebody else does, or it is taken."""

    @abstractmethod
    async def renew(self, name: RepositoryName, holder: str, *, until: datetime) -> bool:
        """Hold a repository for longer; False if somebody else holds it by now."""

    @abstractmethod
    async def take(self, name: RepositoryName, holder: str, result: TakenOver) -> bool:
        """Let the database be the truth from now on; False, and nothing is done, if somebody else holds it by now."""

    @abstractmethod
    async def give_back(self, name: RepositoryName, holder: str, *, error: str) -> bool:
        """Let others try, and note why it failed; False, and nothing is done, if somebody else holds it."""


class AdoptionLedger(ABC):
    """The adoption as a whole."""

    @abstractmethod
    async def begin(self) -> None:
        """Note that an adoption has begun, unless one has."""

    @abstractmethod
    async def progress(self) -> AdoptionProgress | None:
        """Return how far it is; None: there is none and was none."""

    @abstractmethod
    async def is_ended(self) -> bool:
        """Return whether everything is taken, so that link files need not be looked at any more."""

    @abstractmethod
    async def taken_until(self) -> str:
        """Return the name up to which all repositories are taken."""

    @abstractmethod
    async def count(self, repositories: int) -> None:
        """Note how many repositories link files have."""

    @abstractmethod
    async def advance(self, until: str) -> None:
        """Note that all repositories up to *until* are taken."""

    @abstractmethod
    async def accept(self) -> None:
        """Note that somebody agrees to what was left out."""

    @abstractmethod
    async def end(self) -> bool:
        """End the adoption; False, and nothing is done, if a row is not taken or something left out not agreed to."""

    @abstractmethod
    async def findings(self, *, limit: int) -> AdoptionFindings:
        """Return what somebody has to look at."""
