"""The interface to the review queues as a whole: how long they are, how fast they go, what they will give back.

Reviews themselves are in ``reviews.py``; why one thing stays or goes is in ``explanations.py``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moorage.metadata.words import Queue as Queue

QUEUES: Sequence[Queue] = ("manifest", "blob")
"""In the order in which something goes: a manifest first, and its layers after it."""

FORECAST_LIMIT = 20_000
"""So many of a queue's next reviews a forecast looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """One queue, now."""

    waiting: int = 0
    """How many reviews there are in it, due or not."""
    due: int = 0
    claimed: int = 0
    """How many of those that wait a collector has claimed: blobs whose bytes it may be removing."""
    due_since: datetime | None = None
    """Since when the longest waiting is due; None: none is."""
    next_at: datetime | None = None
    """When the next one will be due; None: all are, or the queue is empty."""
    failed: int = 0
    """How many were tried, without success, and are to be tried again."""
    error: str | None = None
    """Why, for the one that failed most often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRate:
    """What reviews came to on all nodes, since the beginning of some hour."""

    since: datetime
    until: datetime
    reviewed: int = 0
    removed: int = 0
    removed_bytes: int = 0
    """Of blobs; what nobody knew the size of counts as nothing."""
    failed: int = 0

    @property
    def hours(self) -> float:
        """How long that was."""
        return (self.until - self.since) / timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Freed:
    """What will have been given back after some time, if nothing changes."""

    within: timedelta
    """From now on; zero: what is due."""
    blobs: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the next :data:`FORECAST_LIMIT` reviews of a queue will give back. The whole may be more, never less."""

    within: Sequence[Freed] = ()
    """One for each time that was asked for, in its order; each contains those before it."""
    is_whole: bool = True
    """Whether the queue has no more than was looked at."""


class QueueStore(ABC):
    """Both queues, for whoever watches or hurries them."""

    @abstractmethod
    async def state(self, queue: Queue) -> QueueState:
        """How a queue is now. Reads all of it once: half a second for a million reviews."""

    @abstractmethod
    async def due(self, queue: Queue) -> int:
        """How many reviews are due now, and not claimed."""

    @abstractmethod
    async def progress(self, queue: Queue, *, hours: int) -> ReviewRate:
        """What was done in this hour and the *hours* whole ones before it."""

    @abstractmethod
    async def forecast(self, queue: Queue, within: Sequence[timedelta]) -> Forecast:
        """How many bytes will be given back, for each of *within*; at most five.

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
