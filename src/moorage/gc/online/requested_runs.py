"""Status of queues, and what runs on request did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.gc.online.reviewed import BlobsReviewed, Round
from moorage.metadata.queues import Forecast, QueueState, ReviewRate
from moorage.metadata.words import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """One queue, and how it gets on."""

    is_on: bool
    """True if this node collects from it."""
    state: QueueState
    past: Sequence[ReviewRate]
    """For each of :data:`~moorage.gc.online.gc_administration.PAST_HOURS`."""
    forecast: Forecast
    """For each of :data:`~moorage.gc.online.gc_administration.FORECAST`; nothing for a queue that is off."""


@dataclass(slots=True)
class Done:
    """The work of a run on one queue, and what it left."""

    reviewed: int = 0
    needed: int = 0
    removed: int = 0
    removed_bytes: int = 0
    failed: int = 0
    left: int = 0
    """Reviews that are due now."""

    @property
    def settled(self) -> int:
        """The number of reviews that need no other one."""
        return self.needed + self.removed

    @property
    def busy(self) -> int:
        """The number of reviews that were held elsewhere; they are looked at again in seconds."""
        return self.reviewed - self.settled - self.failed

    def add(self, found: Round) -> None:
        """Count a round."""
        self.reviewed += found.due
        self.needed += len(found.needed)
        if isinstance(found, BlobsReviewed):
            self.removed += len(found.removed)
            self.removed_bytes += found.removed_bytes
            self.failed += len(found.failed)
        else:
            self.removed += len(found.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedRun:
    """The outcome of one run."""

    done: Mapping[Queue, Done]
    hurried: int = 0
    """Reviews that were made due before their time."""
