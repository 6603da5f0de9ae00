"""Lines in the log for each request to the service, to find mistakes (``debug_log``)."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from moorage.config.sections.storage_azure import EVENTS
from moorage.storage.azure.answers import code_of
from moorage.storage.remote.exchange import StoreAnswer, StoreCall
from moorage.storage.remote.tally import NoTally, StoreTally
from moorage.telemetry import get_log

_ERROR = 400

_log = get_log("storage")


class RequestLog:
    """A tally that also writes lines; queries and headers, which may have secrets, are not in them.

    Args:
        events: of :data:`~moorage.config.sections.storage_azure.EVENTS`; none: all.
        inner: counts.
    """

    def __init__(self, events: Sequence[str], inner: StoreTally | None = None) -> None:
        self._events = frozenset(events or EVENTS)
        self._inner = inner or NoTally()

    def asked(self, call: StoreCall) -> None:
        """Say that a request is sent."""
        if "Request" in self._events:
            path = urlsplit(call.url).path
            _log.info("storage is asked", request=call.kind, method=call.method, storage_path=path)

    def refused(self, call: StoreCall, answer: StoreAnswer) -> None:
        """Say that an answer is no success."""
        if "ResponseError" in self._events and answer.status >= _ERROR:
            number = answer.headers.get("x-ms-request-id", "")
            fields = {"status": answer.status, "code": code_of(answer), "storage_request_id": number}
            _log.info("storage has refused", request=call.kind, **fields)

    def answered(self, kind: str, seconds: float) -> None:
        """See the protocol."""
        if "Response" in self._events:
            _log.info("storage has answered", request=kind, duration_ms=round(seconds * 1000, 3))
        self._inner.answered(kind, seconds)

    def tried_again(self, kind: str) -> None:
        """See the protocol."""
        if "Retry" in self._events:
            _log.info("storage is asked again", request=kind)
        self._inner.tried_again(kind)

    def throttled(self, kind: str) -> None:
        """See the protocol."""
        self._inner.throttled(kind)
