"""Handlers of ``/moorage/v1/notifications/``."""

from collections.abc import Mapping

from moorage.api.notification_answers import NotificationsChanged
from moorage.http.call import Call
from moorage.http.moorage_v1 import notification_models as shown
from moorage.http.moorage_v1 import notification_operations as rows
from moorage.http.moorage_v1.answers import json_response
from moorage.http.moorage_v1.json_bodies import read_body
from moorage.http.moorage_v1.requests import NoQuery, parse_query
from moorage.http.operations import Handler, Operation
from moorage.moorage_errors import NotificationUnknown
from moorage.notifications.administration import NotificationAdministration
from moorage.notifications.outbox import NoticeChoice
from moorage.telemetry import get_log
from moorage.web.bodies import Bodies
from moorage.web.headers import next_link
from moorage.web.responses import Response

_JSON = {"Content-Type": "application/json"}
_log = get_log("notifications")


class NotificationHandlers:
    """Everything below ``/moorage/v1/notifications/``."""

    def __init__(self, administration: NotificationAdministration, bodies: Bodies) -> None:
        self._administration = administration
        self._bodies = bodies

    @property
    def handlers(self) -> Mapping[Operation, Handler]:
        """The handler of each row of the table."""
        return {
            rows.SHOW_NOTIFICATIONS: self.status,
            rows.LIST_NOTIFICATIONS: self.listed,
            rows.SHOW_EVENT: self.event,
            rows.RETRY_NOTIFICATIONS: self.retry,
            rows.DROP_NOTIFICATIONS: self.drop,
        }

    async def status(self, call: Call) -> Response:
        """Answer with the state of every endpoint."""
        parse_query(NoQuery, call.query)
        return json_response(shown.status(await self._administration.status()))

    async def listed(self, call: Call) -> Response:
        """Answer with events that failed for good, or that wait."""
        query = parse_query(shown.NotificationsQuery, call.query)
        meant = NoticeChoice(endpoint=query.endpoint, waits=query.state == "waiting")
        found = await self._administration.listed(meant, after=query.last or 0, limit=query.n + 1)
        response = json_response(shown.page(found[: query.n]))
        if len(found) > query.n:
            kept = [(name, values[0]) for name, values in call.query.values.items() if name != "last"]
            response.headers["Link"] = next_link(call.path, [*kept, ("last", str(found[query.n - 1].id))])
        return response

    async def event(self, call: Call) -> Response:
        """Answer with one event."""
        query = parse_query(shown.NotificationQuery, call.query)
        payload = await self._administration.payload(query.notification)
        if payload is None:
            msg = "there is no such event: it has arrived, or was dropped, or never was"
            raise NotificationUnknown(msg, notification=query.notification)
        return Response(200, dict(_JSON), shown.event(payload))

    async def retry(self, call: Call) -> Response:
        """Have failed events sent again."""
        parse_query(NoQuery, call.query)
        body = await read_body(call, self._bodies, shown.NotificationsRetry)
        count = await self._administration.retry(body.meant())
        _log.info("failed events wait again", correlation_id=call.id, actor=call.grant.actor, events=count)
        return json_response(NotificationsChanged(count=count))

    async def drop(self, call: Call) -> Response:
        """Forget events."""
        parse_query(NoQuery, call.query)
        body = await read_body(call, self._bodies, shown.NotificationsDrop)
        count = await self._administration.drop(body.meant())
        _log.info("events were dropped", correlation_id=call.id, actor=call.grant.actor, events=count)
        return json_response(NotificationsChanged(count=count))
