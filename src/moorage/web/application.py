"""Steps around the answer to every request, the same for every server of ours."""

import time
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from aiohttp.web_request import BaseRequest

from moorage.errors import BodyLate, MoorageError, Refused
from moorage.telemetry import Logger
from moorage.web.access_log import AccessLog, AccessRecord
from moorage.web.bodies import ClientGone
from moorage.web.errors import entry, render, respond
from moorage.web.request import Request, split_target
from moorage.web.responses import Response

_CLIENT_GONE = 499
"""For the log only; nobody is there to read it."""

R = TypeVar("R", bound=Request)


class RequestObserver(Protocol):
    """Is told of every request, for metrics."""

    def begins(self) -> None:
        """A request has come in."""

    def ends(self) -> None:
        """It is over, whatever came of it."""

    def answered(
        self, *, method: str, route: str, status: int, duration_s: float, received_bytes: int, sent_bytes: int
    ) -> None:
        """A request was answered; *route*: the path of its endpoint, empty if it has none."""


class WebApplication(ABC, Generic[R]):
    """An application that answers requests: call it with one. There is one of it in each process that serves.

    The order for one request: :meth:`begin`, :meth:`answer`, errors rendered, common headers, access log.
    """

    def __init__(
        self, name: str, *, log: Logger, access_log: AccessLog, observer: RequestObserver | None = None
    ) -> None:
        """*name*: what an answer calls the server after a mistake of ours, such as "the registry".

        *observer*: is told of every request; None: nobody is.
        """
        self._observer = observer
        self._name = name
        self._log = log
        self.access_log = access_log

    @abstractmethod
    def begin(self, request: BaseRequest) -> R:
        """Parse a request's path and id. Fails for none."""

    @abstractmethod
    async def answer(self, asked: R, /) -> Response:
        """Answer a request.

        Raises:
            MoorageError: it is refused, or cannot be answered now; it is rendered as ``web/errors`` has it.
            ClientGone: nobody waits for the answer any more.
        """

    async def __call__(self, request: BaseRequest) -> Response:
        """Answer one request; whatever goes wrong, with a status and a body that say so."""
        if self._observer is None:
            return await self._respond(request)
        self._observer.begins()
        try:
            return await self._respond(request)
        finally:
            self._observer.ends()

    async def _respond(self, request: BaseRequest) -> Response:
        started = time.perf_counter()
        asked = self.begin(request)
        try:
            response = await self.answer(asked)
        except ClientGone:
            response = _gone(asked)
        except MoorageError as exc:
            response = render(exc)
            if not isinstance(exc, Refused):
                self._log.error("request failed", correlation_id=asked.id, error=repr(exc), cause=repr(exc.__cause__))
        except Exception as exc:  # noqa: BLE001 - the outermost: a mistake of ours must not take the process down
            response = self._crashed(asked, exc)
        if not response.prepared:
            asked.finish(response)
        if self.access_log.is_enabled:
            self._log_access(asked, response, time.perf_counter() - started)
        if self._observer is not None:
            self._observer.answered(
                method=request.method,
                route=self.route_of(asked),
                status=response.status,
                duration_s=time.perf_counter() - started,
                received_bytes=request.content_length or 0,
                sent_bytes=response.content_length,
            )
        return response

    def route_of(self, asked: R, /) -> str:
        """Return the path of the endpoint that a request was for; empty if it has none, or there are no endpoints."""
        del asked
        return ""

    def logged_target(self, asked: R, /) -> str:
        """The path and query of a request, as the access log shows them."""
        target = asked.request.raw_path
        if target.startswith("/"):
            return target
        path, query = split_target(target)  # A whole URL may have a password in front of its host.
        return f"{path}?{query}" if query else path

    def close(self) -> None:
        """Write what is left of the access log."""
        self.access_log.flush()

    def _crashed(self, asked: R, exc: Exception) -> Response:
        if _has_gone(asked, exc):
            return _gone(asked)
        self._log.exception("request crashed", correlation_id=asked.id, method=asked.request.method)
        return respond(500, entry("UNKNOWN", f"{self._name} made a mistake; its log has the request id"))

    def _log_access(self, asked: R, response: Response, duration_s: float) -> None:
        request, headers = asked.request, asked.headers
        self.access_log.write(
            AccessRecord(
                request_id=asked.id,
                method=request.method,
                uri=self.logged_target(asked)[:2048],
                host=headers.get("Host", "").rpartition("@")[2][:256],
                status=response.status,
                duration_s=duration_s,
                written_bytes=0 if request.method == "HEAD" else response.content_length,
                remote=asked.address,
                peer=asked.peer,
                user_agent=headers.get("User-Agent", "")[:256],
                actor=asked.grant.actor,
                actor_type=asked.grant.actor_type,
                projects=asked.grant.project_paths,
                referrer=headers.get("Referer", "")[:256],
                content_type=response.headers.get("Content-Type", ""),
            )
        )


def _gone(asked: Request) -> Response:
    """The end of a request whose client hung up, or did not send or take bytes in time and may still be there."""
    transport = asked.request.transport
    if transport is None or transport.is_closing():
        response = Response(_CLIENT_GONE)
    else:
        response = render(BodyLate("the body did not come in time; send the request again"))
    response.force_close()
    return response


def _has_gone(asked: Request, exc: Exception) -> bool:
    """Return whether a request failed because its client is gone; then the code that wrote to it made no mistake."""
    transport = asked.request.transport
    return isinstance(exc, OSError) and (transport is None or transport.is_closing())
