"""The interface to the review queues as a whole: their length, their speed, and what they will give back.

Reviews themselves are in ``reviews.py``; why one thing stays or goes is in ``explanations.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moorage.metadata.words import Queue

QUEUES: Sequence[Queue] = ("manifest", "blob")
"""In the order in which something goes: a manifest first, and its layers after it."""

FORECAST_LIMIT = 20_000
"""So many of a queue's next reviews a forecast looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """One queue, now."""

    waiting: int = 0
    """Number of reviews in it, due or not."""
    due: int = 0
    claimed: int = 0
    """Number of waiting reviews that a collector has claimed: blobs whose bytes it may be removing."""
    due_since: datetime | None = None
    """Since when the longest waiting is due; None: none is."""
    next_at: datetime | None = None
    """The time at which the next one will be due; None: all are, or the queue is empty."""
    failed: int = 0
    """Number of reviews that were tried, without success, and are to be tried again."""
    error: str | None = None
    """The error of the one that failed most often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRate:
    """The results of reviews on all nodes, since the beginning of some hour."""

    since: datetime
    until: datetime
    reviewed: int = 0
    removed: int = 0
    removed_bytes: int = 0
    """Of blobs; a blob of unknown size counts as nothing."""
    failed: int = 0

    @property
    def hours(self) -> float:
        """The length of that time, in hours."""
        return (self.until - self.since) / timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Freed:
    """The blobs and bytes that will have been given back after some time, if nothing changes."""

    within: timedelta
    """From now on; zero: what is due."""
    blobs: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The yield of the next :data:`FORECAST_LIMIT` reviews of a queue. The whole queue may give more, never less."""

    within: Sequence[Freed] = ()
    """One for each time that was asked for, in its order; each contains those before it."""
    is_whole: bool = True
    """True if the queue has no more than was looked at."""


class QueueStore(ABC):
    """Both queues, to watch them or to hurry them."""

    @abstractmethod
    async def state(self, queue: Queue) -> QueueState:
        """Return the present state of a queue. Reads all of it once: half a second for a million reviews."""

    @abstractmethod
    async def due(self, queue: Queue) -> int:
        """Count the reviews that are due now, and not claimed."""

    @abstractmethod
    async def progress(self, queue: Queue, *, hours: int) -> ReviewRate:
        """Return what was done in this hour and the *hours* whole ones before it."""

    @abstractmethod
    async def forecast(self, queue: Queue, within: Sequence[timedelta]) -> Forecast:
        """Forecast how many bytes will be given back, for each of *within* (at most five).

        From the queue of blobs: what nothing needs now. From that of manifests: what only manifests need that go, with
        what hangs on them or is listed by them; each step further waits its own delay. Nothing is counted twice.
        Costs up to three seconds of the database's time where all of so many manifests go, and under one otherwise.
        """

    @abstractmethod
    async def hurry(self, queue: Queue, *, limit: int) -> int:
        """Make at most *limit* reviews due now that wait only so that somebody may change their mind; say how many.

        Not those of what was pushed or mounted lately, nor those that failed. Not spared is what HEAD has promised, or
        what was pushed again and then lost another manifest that needed it: a push that relied on it is refused, and
        has to be repeated.
        """


class RowCountStore(ABC):
    """Counts of some kinds of rows in a database: the queues', and others', for metrics."""

    @abstractmethod
    async def count(self) -> Mapping[str, int]:
        """Count, by GitLab's name for each kind. Reads both review queues. Source: GitLab features MET-024."""
