"""Notifications as administrators see them, and their commands about those that wait or have failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.notifications.endpoints import EndpointSettings, lease_name, shown_url
from moorage.notifications.outbox import EndpointQueue, NoticeChoice, Outbox, QueuedNotice
from moorage.sql.leases import Leases


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStatus:
    """One endpoint and its notices."""

    queue: EndpointQueue
    url: str
    """Without its secrets; empty: the node that answers has no such endpoint."""
    is_delivered: bool
    """True if some node has taken it upon itself to deliver, in the last seconds."""


class NotificationAdministration:
    """Looks and acts for administrators."""

    def __init__(self, outbox: Outbox, leases: Leases, endpoints: Sequence[EndpointSettings]) -> None:
        """*endpoints*: those of this node."""
        self._outbox = outbox
        self._leases = leases
        self._urls = {settings.name: shown_url(settings.url) for settings in endpoints}

    async def status(self) -> Sequence[EndpointStatus]:
        """Return the state of every endpoint that is configured here, or has notices, by name."""
        queues = {queue.endpoint: queue for queue in await self._outbox.queues()}
        return [
            EndpointStatus(
                queue=queues.get(name) or EndpointQueue(endpoint=name),
                url=self._urls.get(name, ""),
                is_delivered=await self._leases.holder(lease_name(name)) is not None,
            )
            for name in sorted(self._urls.keys() | queues.keys())
        ]

    async def listed(self, meant: NoticeChoice, *, after: int, limit: int) -> Sequence[QueuedNotice]:
        """Return notices; see the port's promise."""
        return await self._outbox.listed(meant, after=after, limit=limit)

    async def payload(self, notice_id: int) -> str | None:
        """Return the event of a notice as JSON; None if there is no such notice."""
        return await self._outbox.payload(notice_id)

    async def retry(self, meant: NoticeChoice) -> int:
        """Have notices that failed for good sent again; return how many."""
        return await self._outbox.retry(meant)

    async def drop(self, meant: NoticeChoice) -> int:
        """Forget notices; return how many."""
        return await self._outbox.drop(meant)
