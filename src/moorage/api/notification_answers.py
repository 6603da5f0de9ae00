"""Answers about notifications."""

from dataclasses import dataclass
from typing import Annotated

from moorage.api.marks import Said, Shown


@dataclass(kw_only=True, eq=False, repr=False)
class EndpointAnswer:
    """One endpoint, and the events that it has not taken."""

    name: str
    url: Annotated[str | None, Said("Without its secrets; null: the node that answers has no such endpoint.")]
    delivered: Annotated[bool, Said("Whether a node was delivering to it in the last seconds: one does if any wait.")]
    waiting: int
    waiting_since: Annotated[Shown | None, Said("The time of the oldest event that waits.")]
    failed: Annotated[int, Said("How many are kept that are not tried any more.")]
    error: Annotated[str | None, Said("Of the first that waits after a try, else of the last that failed.")]


@dataclass(kw_only=True, eq=False, repr=False)
class NotificationStatus:
    """The state of notifications."""

    endpoints: list[EndpointAnswer]


@dataclass(kw_only=True, eq=False, repr=False)
class NotificationAnswer:
    """One event on its way to one endpoint."""

    id: int
    event_id: Annotated[str, Said("As the receiver sees it: the same each time that it is sent.")]
    endpoint: str
    repository: Annotated[str, Said("Its name now.")]
    action: str
    artifact: str
    at: Shown
    tries: Annotated[int, Said("How often it was sent without success.")]
    tried_at: Shown | None
    error: Annotated[str | None, Said("Why the last try had no success.")]
    failed_at: Annotated[Shown | None, Said("Since when it is not tried any more; null: it waits.")]


@dataclass(kw_only=True, eq=False, repr=False)
class NotificationPage:
    """Events on their way, in the order in which they happened."""

    notifications: list[NotificationAnswer]


@dataclass(kw_only=True, eq=False, repr=False)
class NotificationsChanged:
    """The number of events that a request changed."""

    count: int
