"""Notices of pulls and refusals with a database: gathered in memory, off the request's path, and written in batches."""

from collections.abc import Mapping, Sequence

from moorage.notifications.events import Notice
from moorage.notifications.observing import DeliveryObserver, NoObserver
from moorage.notifications.outbox import Outbox

_LIMIT = 10_000
"""Notices between two flushes; more are dropped, as memory must stay bounded."""


class PullNotices:
    """Notices of the pulls and refusals of one process. A process that is killed loses what it has not written yet."""

    def __init__(self, outbox: Outbox, *, limits: Mapping[str, int], observer: DeliveryObserver | None = None) -> None:
        """*limits*: so many of them each endpoint may have waiting in the database."""
        self._outbox = outbox
        self._limits = limits
        self._observer = observer or NoObserver()
        self._noted: list[Notice] = []

    def tell(self, notices: Sequence[Notice]) -> None:
        """Remember notices. Never waits."""
        room = _LIMIT - len(self._noted)
        self._noted += notices[:room]
        for notice in notices[room:]:
            self._observer.dropped(notice)

    async def flush(self) -> None:
        """Write what was remembered."""
        if not self._noted:
            return
        noted, self._noted = self._noted, []
        try:
            left = await self._outbox.add(noted, limits=self._limits)
        except BaseException:
            # Whether it was kept is not known; a receiver drops what comes twice.
            self._noted = [*noted, *self._noted][:_LIMIT]
            raise
        for notice in left:
            self._observer.dropped(notice)
