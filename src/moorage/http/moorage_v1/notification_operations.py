"""The rows of ``/moorage/v1/`` that are about notifications."""

from collections.abc import Sequence

from moorage import moorage_errors
from moorage.api import notification_answers as answered
from moorage.http import rights
from moorage.http.moorage_v1 import notification_models as asked
from moorage.http.moorage_v1.operation_rows import ALL, BODY, get, post
from moorage.http.operations import Documentation, Operation

SHOW_NOTIFICATIONS = get(
    "notifications/status",
    rights.catalogue,
    Documentation(
        id="notificationStatus",
        summary="How notifications stand",
        description="For each endpoint how many events wait, since when, how many have failed for good, and why.",
        access=ALL,
        answer=answered.NotificationStatus,
    ),
)

LIST_NOTIFICATIONS = get(
    "notifications/list",
    rights.catalogue,
    Documentation(
        id="notifications",
        summary="Events that failed for good, or that wait",
        description="In the order in which they happened, with the reason why each has not arrived.",
        access=ALL,
        query=asked.NotificationsQuery,
        answer=answered.NotificationPage,
        has_pages=True,
    ),
)

SHOW_EVENT = get(
    "notifications/event",
    rights.catalogue,
    Documentation(
        id="notificationEvent",
        summary="One event, as it is sent",
        description="The event itself; only a token of the user that it carries is left out.",
        access=ALL,
        query=asked.NotificationQuery,
        refusals=(moorage_errors.NotificationUnknown,),
    ),
)

RETRY_NOTIFICATIONS = post(
    "notifications/retry",
    rights.catalogue,
    Documentation(
        id="retryNotifications",
        summary="Send again what has failed for good",
        description="The events wait again as if they had never been tried. They arrive after others that happened "
        "later, if those have arrived already.",
        access=ALL,
        body=asked.NotificationsRetry,
        answer=answered.NotificationsChanged,
        refusals=BODY,
    ),
)

DROP_NOTIFICATIONS = post(
    "notifications/drop",
    rights.catalogue,
    Documentation(
        id="dropNotifications",
        summary="Forget events without sending them",
        description="Those that failed for good, or those that wait. They cannot be had again.",
        access=ALL,
        body=asked.NotificationsDrop,
        answer=answered.NotificationsChanged,
        refusals=BODY,
    ),
)

NOTIFICATION_OPERATIONS: Sequence[Operation] = (
    SHOW_NOTIFICATIONS,
    LIST_NOTIFICATIONS,
    SHOW_EVENT,
    RETRY_NOTIFICATIONS,
    DROP_NOTIFICATIONS,
)
