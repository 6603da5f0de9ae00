"""The rows of ``/moorage/v1/`` that are about notifications."""

from collections.abc import Sequence

from moorage import errors, moorage_errors
from moorage.api import notification_answers as answered
from moorage.http import rights
from moorage.http.endpoints import Endpoint
from moorage.http.moorage_v1 import notification_models as asked
from moorage.http.operations import Documentation, Operation

_BODY = (errors.SizeInvalid, errors.BodyTooLarge, errors.ContentTypeInvalid, errors.MethodNotAllowed)
_ALL = "everything on the catalogue (`registry:catalog:*`)"

SHOW_NOTIFICATIONS = Operation(
    endpoint=Endpoint("/moorage/v1/notifications/status"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="notificationStatus",
        summary="How notifications stand",
        description="For each endpoint how many events wait, since when, how many have failed for good, and why.",
        access=_ALL,
        answer=answered.NotificationStatus,
    ),
)

LIST_NOTIFICATIONS = Operation(
    endpoint=Endpoint("/moorage/v1/notifications/list"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="notifications",
        summary="Events that failed for good, or that wait",
        description="In the order in which they happened, with the reason why each has not arrived.",
        access=_ALL,
        query=asked.NotificationsQuery,
        answer=answered.NotificationPage,
        has_pages=True,
    ),
)

SHOW_EVENT = Operation(
    endpoint=Endpoint("/moorage/v1/notifications/event"),
    methods=("GET",),
    wanted=rights.catalogue,
    is_write=False,
    documented=Documentation(
        id="notificationEvent",
        summary="One event, as it is sent",
        description="The event itself; only a token of the user that it carries is left out.",
        access=_ALL,
        query=asked.NotificationQuery,
        refusals=(moorage_errors.NotificationUnknown,),
    ),
)

RETRY_NOTIFICATIONS = Operation(
    endpoint=Endpoint("/moorage/v1/notifications/retry"),
    methods=("POST",),
    wanted=rights.catalogue,
    documented=Documentation(
        id="retryNotifications",
        summary="Send again what has failed for good",
        description="The events wait again as if they had never been tried. They arrive after others that happened "
        "later, if those have arrived already.",
        access=_ALL,
        body=asked.NotificationsRetry,
        answer=answered.NotificationsChanged,
        refusals=_BODY,
    ),
)

DROP_NOTIFICATIONS = Operation(
    endpoint=Endpoint("/moorage/v1/notifications/drop"),
    methods=("POST",),
    wanted=rights.catalogue,
    documented=Documentation(
        id="dropNotifications",
        summary="Forget events without sending them",
        description="Those that failed for good, or those that wait. They cannot be had again.",
        access=_ALL,
        body=asked.NotificationsDrop,
        answer=answered.NotificationsChanged,
        refusals=_BODY,
    ),
)

NOTIFICATION_OPERATIONS: Sequence[Operation] = (
    SHOW_NOTIFICATIONS,
    LIST_NOTIFICATIONS,
    SHOW_EVENT,
    RETRY_NOTIFICATIONS,
    DROP_NOTIFICATIONS,
)
