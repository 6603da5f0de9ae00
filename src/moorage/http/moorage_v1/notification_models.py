"""Notifications in ``/moorage/v1/``: what is asked, and how it is answered."""

import json
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from moorage.api.notification_answers import (
    EndpointAnswer,
    NotificationAnswer,
    NotificationPage,
    NotificationStatus,
)
from moorage.http.moorage_v1.requests import PAGE, Asked, EntryId, Given, PageSize
from moorage.notifications.administration import EndpointStatus
from moorage.notifications.outbox import NoticeChoice, QueuedNotice

IDS_LIMIT = 1000
_LARGEST = (1 << 63) - 1
_NAME_LIMIT = 255


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


NoticeId = Annotated[int, Field(ge=1, le=_LARGEST), BeforeValidator(_whole)]
EndpointName = Annotated[str, Field(min_length=1, max_length=_NAME_LIMIT, pattern=r"^[^\x00]*$")]


class NotificationsQuery(Asked):
    """The choice of events to list."""

    endpoint: Given[EndpointName] = Field(None, description="Only of this endpoint.")
    state: Literal["failed", "waiting"] = Field("failed", description="Those that failed for good, or those that wait.")
    n: PageSize = Field(PAGE, description="At most so many.")
    last: Given[EntryId] = Field(None, description="Those after the one with this `id`.")


class NotificationQuery(Asked):
    """The choice of one event."""

    notification: EntryId = Field(description="Its `id` in the list.")


class NotificationsRetry(Asked):
    """The choice of failed events to send again; with neither, all."""

    endpoint: Given[EndpointName] = Field(None, description="Only of this endpoint.")
    ids: Given[Annotated[list[NoticeId], Field(max_length=IDS_LIMIT)]] = Field(None, description="Only these.")

    def meant(self) -> NoticeChoice:
        """Return the choice."""
        return NoticeChoice(endpoint=self.endpoint, ids=self.ids)


class NotificationsDrop(Asked):
    """The choice of events to forget: of an endpoint, of some ids, or both."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["endpoint"]}, {"required": ["ids"]}]})

    endpoint: Given[EndpointName] = Field(None, description="Only of this endpoint.")
    ids: Given[Annotated[list[NoticeId], Field(max_length=IDS_LIMIT)]] = Field(None, description="Only these.")
    state: Literal["failed", "waiting"] = Field("failed", description="Those that failed for good, or those that wait.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is None and self.ids is None:
            msg = "give endpoint or ids: nothing is dropped of all endpoints at once"
            raise ValueError(msg)
        return self

    def meant(self) -> NoticeChoice:
        """Return the choice."""
        return NoticeChoice(endpoint=self.endpoint, ids=self.ids, waits=self.state == "waiting")


def status(found: Sequence[EndpointStatus]) -> NotificationStatus:
    """Show how endpoints stand."""
    return NotificationStatus(endpoints=[_endpoint(each) for each in found])


def page(found: Sequence[QueuedNotice]) -> NotificationPage:
    """Show events on their way."""
    return NotificationPage(notifications=[_notification(each) for each in found])


def event(payload: str) -> bytes:
    """Write the event of a notice without the user's token, which is for the receiver alone."""
    found = json.loads(payload)
    if "user" in found.get("actor", {}):
        found["actor"]["user"] = "***"
    return json.dumps(found).encode()


def _endpoint(found: EndpointStatus) -> EndpointAnswer:
    queue = found.queue
    return EndpointAnswer(
        name=queue.endpoint,
        url=found.url or None,
        delivered=found.is_delivered,
        waiting=queue.waiting,
        waiting_since=queue.waiting_since,
        failed=queue.failed,
        error=queue.error,
    )


def _notification(found: QueuedNotice) -> NotificationAnswer:
    return NotificationAnswer(
        id=found.id,
        event_id=found.event_id,
        endpoint=found.endpoint,
        repository=found.lane,
        action=found.action,
        artifact=found.artifact,
        at=found.at,
        tries=found.tries,
        tried_at=found.tried_at,
        error=found.error,
        failed_at=found.failed_at,
    )
