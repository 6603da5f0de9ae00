"""The interface to notices that a database keeps until they have arrived. See ADR 0059."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from moorage.notifications.events import Artifact, EventAction, Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedNotice:
    """A notice that is kept, and what is known of it."""

    id: int
    """Later notices of the same lane have higher ones."""
    event_id: str
    endpoint: str
    lane: str
    action: EventAction
    artifact: Artifact
    at: datetime
    payload: str | None = None
    """None: it is large, or not asked for; see :meth:`Outbox.payload`."""
    tries: int = 0
    """Number of times that it was sent without success."""
    tried_at: datetime | None = None
    error: str | None = None
    failed_at: datetime | None = None
    """Since when it has failed for good; None: it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointQueue:
    """The notices of one endpoint, now."""

    endpoint: str
    waiting: int = 0
    waiting_since: datetime | None = None
    """The time of the first event that waits."""
    failed: int = 0
    error: str | None = None
    """The error of the first that waits, else of the last that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeChoice:
    """A choice of notices: those of an endpoint, of some ids, or both; with neither, all."""

    endpoint: str | None = None
    ids: Sequence[int] | None = None
    waits: bool = False
    """Those that wait; else those that failed for good."""


class Outbox(ABC):
    """Notices in a database: written with what they tell of, read by the node that delivers."""

    @abstractmethod
    async def add(self, notices: Sequence[Notice], *, limits: Mapping[str, int]) -> Sequence[Notice]:
        """Keep notices that tell of no change (pulls, refusals); return those for which there was no room.

        *limits*: so many of them each endpoint may have waiting.
        """

    @abstractmethod
    async def waiting(self, endpoint: str, *, limit: int, without: Collection[str]) -> Sequence[QueuedNotice]:
        """Return the first that wait for an endpoint, in their order, without those of some lanes.

        Where very much of those lanes waits before all others, it is the first of each other lane.
        """

    @abstractmethod
    async def payload(self, notice_id: int) -> str | None:
        """Return the event of a notice; None if there is no such notice any more."""

    @abstractmethod
    async def delivered(self, ids: Sequence[int]) -> None:
        """Forget notices that have arrived."""

    @abstractmethod
    async def missed(self, notice_id: int, *, error: str, at: datetime, is_final: bool) -> None:
        """Note a try without success; *is_final*: it is not tried again unless somebody asks for it."""

    @abstractmethod
    async def queues(self) -> Sequence[EndpointQueue]:
        """Return the state of every endpoint that has notices, by name."""

    @abstractmethod
    async def listed(self, meant: NoticeChoice, *, after: int, limit: int) -> Sequence[QueuedNotice]:
        """Return notices in their order, those after the id *after*."""

    @abstractmethod
    async def retry(self, meant: NoticeChoice) -> int:
        """Let notices that failed for good wait again, as if never tried; return how many.

        All of very many are changed a portion at a time: on failure some may be.
        """

    @abstractmethod
    async def drop(self, meant: NoticeChoice) -> int:
        """Forget notices without sending them; return how many. A failure leaves as much as that of :meth:`retry`."""
