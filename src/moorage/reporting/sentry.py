"""Errors to Sentry (``reporting.sentry``): every line of the log that is an error, with its traceback.

Nothing waits for it: events go through a short queue in a thread of their own, and what does not fit is dropped.
Neither local variables nor anything of a request but its id is sent: those hold payloads and passwords.
"""

import sys
from collections.abc import Mapping

from sentry_sdk.client import Client
from sentry_sdk.types import Event
from sentry_sdk.utils import event_from_exception

from moorage import __version__

_FLUSH_S = 2.0
_OWN_PLACES = frozenset({"event", "component", "correlation_id", "exc_info", "level", "time", "@timestamp", "@version"})


class SentryReports:
    """Reports to one Sentry project."""

    def __init__(self, dsn: str, *, environment: str) -> None:
        """Nothing is sent yet, and no thread runs: processes may still be forked.

        Raises:
            ValueError: *dsn* is none.
        """
        self._client = Client(
            dsn=dsn,
            environment=environment or None,
            release=f"moorage@{__version__}",
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
        )

    def __call__(self, fields: Mapping[str, object]) -> None:
        """Report a line of the log."""
        event: Event = {}
        hint = None
        exc_info = fields.get("exc_info")
        found = sys.exc_info() if exc_info is True else exc_info
        if isinstance(found, BaseException):
            found = (type(found), found, found.__traceback__)
        if isinstance(found, tuple) and found[0] is not None:
            event, hint = event_from_exception(found, client_options=self._client.options)
        event["level"] = "error"
        event["logger"] = str(fields.get("component", ""))
        event["logentry"] = {"message": str(fields.get("event", ""))}
        if identity := fields.get("correlation_id"):
            event["tags"] = {"correlation_id": str(identity)}
        event["extra"] = {name: str(value) for name, value in fields.items() if name not in _OWN_PLACES}
        self._client.capture_event(event, hint)

    def flush(self) -> None:
        """Send what waits, for two seconds at most: the process is about to end."""
        self._client.flush(timeout=_FLUSH_S)
