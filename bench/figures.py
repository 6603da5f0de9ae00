"""What comes out: figures with their rounds, targets and verdicts, and what the machine was. Pure values."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class TimesBetter:
    """The candidate is to be at least so many times better than the reference."""

    times: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """The candidate is to stay at or below a limit, whatever the reference does."""

    limit: float


Target = TimesBetter | AtMost


@dataclass(frozen=True, slots=True)
class Series:
    """One measure of both servers, round by round. A server that was not measured has no rounds."""

    unit: str
    reference: Sequence[float]
    candidate: Sequence[float]
    is_higher_better: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times better the candidate's median is; None if one of them has no rounds."""
        if not self.reference or not self.candidate:
            return None
        better, worse = statistics.median(self.candidate), statistics.median(self.reference)
        if not self.is_higher_better:
            better, worse = worse, better
        return better / worse if worse else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the report."""

    work: str
    title: str
    judged: Series
    store: str = ""
    """Where the candidate's metadata was; empty: where it is by default."""
    against: str = ""
    """Who the reference is, if not the reference of the whole run."""
    target: Target
    others: Sequence[Series] = ()
    """Measured at the same time, without a target."""

    @property
    def is_met(self) -> bool:
        """Whether the target is reached, by the median of the rounds."""
        if isinstance(self.target, TimesBetter):
            return (self.judged.ratio or 0) >= self.target.times
        return statistics.median(self.judged.candidate) <= self.target.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it ran."""

    cores: int
    cpu_model: str
    memory_gib: float
    kernel: str
    python: str
    file_system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Works that were measured again, or for the first time, after the whole run."""

    date: str
    command: str
    works: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole run, and what was measured after it."""

    date: str
    command: str
    is_quick: bool
    seed: int
    machine: Machine
    reference: str
    candidate: str
    reference_version: str
    candidate_version: str
    candidate_workers: int
    database_version: str = ""
    """Of PostgreSQL."""
    duration_s: float
    figures: Sequence[Figure] = field(default_factory=list)
    later: Sequence[Later] = field(default_factory=list)

    def with_later(self, run: "Results") -> "Results":
        """With the figures of *run* in the place of those of the same works."""
        works = list(dict.fromkeys(figure.work for figure in run.figures))
        kept = [figure for figure in self.figures if figure.work not in works]
        earlier = [
            replace(item, works=left) for item in self.later if (left := [w for w in item.works if w not in works])
        ]
        later = [*earlier, Later(date=run.date, command=run.command, works=works)]
        return replace(self, figures=[*kept, *run.figures], later=later)


def percentile(values: Sequence[float], share: float) -> float:
    """The least of *values* that a *share* of them does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def to_json(results: Results) -> bytes:
    """Write *results* as JSON."""
    return _RESULTS.dump_json(results, indent=2) + b"\n"


def from_json(text: bytes) -> Results:
    """Read what :func:`to_json` wrote."""
    return _RESULTS.validate_json(text)


_RESULTS = TypeAdapter(Results)
