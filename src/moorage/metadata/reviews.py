"""The interface to reviews: what online garbage collection asks of a database.

Every change that may leave something unused puts it into a queue, in the same transaction; a review finds out whether
anything needs it. Only stores with a database have this. The protocol, and what happens when somebody pushes, mounts
or asks meanwhile, is in ADR 0016.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from moorage.oci.digests import Digest

CLAIM = timedelta(seconds=60)
"""The length of a claim on blobs that is not prolonged."""
CLAIM_MARGIN = timedelta(seconds=20)
"""The time that must be left of a claim when bytes are removed: more than any deadline of a step."""

ASTRAY = timedelta(days=31)
"""Further ahead than this, beyond the longest delay, no event and no failed attempt puts a review."""


@dataclass(frozen=True, slots=True)
class Review:
    """One blob that a collector has claimed: nobody else touches its bytes until the claim ends."""

    digest: Digest
    event: str
    """The event that put it into the queue."""
    attempts: int
    """Number of reviews that could not settle it."""
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict on claimed blobs. Those that are in none of these lists are not claimed any more."""

    needed: Sequence[Digest] = ()
    """Something refers to them: they stay."""
    unneeded: Sequence[tuple[Digest, int | None]] = ()
    """Nobody can see them any more, and their bytes are to be removed. With their size, where a row had it."""
    busy: Sequence[Digest] = ()
    """They are being changed by a client right now, or were since they were claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A manifest that nothing needed, and that is gone."""

    repository: str
    digest: Digest
    media_type: str
    size_bytes: int
    event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestsReviewed:
    """The result of one round of manifest reviews."""

    due: int = 0
    """Number of manifests that were looked at."""
    needed: Sequence[str] = ()
    """For each manifest that something needs, the event that had put it into the queue."""
    dropped: Sequence[Dropped] = ()


class BlobReviewStore(ABC):
    """Reviews of blobs, for one collector. Rows go first and bytes second: the queue remembers the bytes until then.

    claim → judge → (bytes removed) → finish; needed ones are forgotten, others put off.
    """

    @abstractmethod
    async def claim(self, *, limit: int) -> Sequence[Review]:
        """Claim what is due, for :data:`CLAIM`; the longest waiting first. Others claim other ones meanwhile."""

    @abstractmethod
    async def judge(self, digests: Collection[Digest]) -> Judged:
        """Find out what of the claimed ones is needed, and remove the rows of the rest, links in repositories too.

        From then on they can only come back by being pushed, and a push waits for the claim to end.
        """

    @abstractmethod
    async def prolong(self, digests: Collection[Digest]) -> Collection[Digest]:
        """Claim for :data:`CLAIM` from now on; return those that are still claimed."""

    @abstractmethod
    async def finish(self, removed: Mapping[Digest, int]) -> None:
        """Forget blobs whose bytes are gone, so many of each."""

    @abstractmethod
    async def forget(self, digests: Collection[Digest]) -> None:
        """Forget blobs that are needed: no more reviews, unless something happened to them since they were claimed."""

    @abstractmethod
    async def put_off(self, digests: Collection[Digest], *, delay: timedelta, error: str | None) -> None:
        """Let go of them, and look again after *delay*. *error*: why, if that was a failed attempt."""

    @abstractmethod
    async def next_at(self) -> datetime | None:
        """Return the time of the next review; None: the queue is empty."""


class ManifestReviewStore(ABC):
    """Reviews of manifests: rows only, so each round is one transaction."""

    @abstractmethod
    async def review(self, *, limit: int) -> ManifestsReviewed:
        """Look at what is due, the longest waiting first; drop what nothing needs, forget the rest.

        What went with a dropped one is in the queues afterwards: what it listed, its layers, what hangs on it.
        """

    @abstractmethod
    async def next_at(self) -> datetime | None:
        """Return the time of the next review; None: the queue is empty."""


class ReviewDelayStore(ABC):
    """The time from an event to the review that follows it."""

    @abstractmethod
    async def set(self, delay: timedelta) -> bool:
        """Set it to *delay* after every event from now on; return whether that is a change."""

    @abstractmethod
    async def mend(self) -> int:
        """Bring near what is due, or claimed, until a time that no delay and no claim leads to; return how many.

        So it is after a clock that was ahead and was set back: nobody could push a blob that is claimed for a year. A
        claim lasts :data:`CLAIM` more, so that whoever has it knows by his own clock when to stop.
        """
