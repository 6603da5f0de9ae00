"""The registry's HTTP application: the route table, and what happens around every request.

The order for one request: request id, route, method, credentials, handler, errors rendered, common headers, access
log. Nothing here knows what a manifest or a blob is.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from moorage.auth.access import CATALOGUE, Access, Action
from moorage.auth.guards import Guard
from moorage.errors import MethodNotAllowed, MoorageError, Refused, RouteUnknown
from moorage.http.blobs import BlobHandlers
from moorage.http.bodies import ClientGone
from moorage.http.call import Call, Query, answer
from moorage.http.errors import entry, render, respond
from moorage.http.listings import ListingHandlers
from moorage.http.manifests import ManifestHandlers
from moorage.http.routes import Endpoint, match
from moorage.http.uploads import UploadHandlers, mount_source
from moorage.http.urls import Urls
from moorage.telemetry import AccessLog, AccessRecord, get_log, request_id

Handler = Callable[[Call], Awaitable[web.StreamResponse]]

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_CLIENT_GONE = 499
"""For the log only; nobody is there to read it."""

_log = get_log("http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration says about requests as such."""

    read_only: bool = False
    can_delete: bool = False
    headers: Sequence[tuple[str, str]] = ()
    """Added to every answer below ``/v2/`` (``http.headers``)."""


class App:
    """Answers requests. One a worker; call it with a request."""

    def __init__(
        self,
        *,
        blobs: BlobHandlers,
        uploads: UploadHandlers,
        manifests: ManifestHandlers,
        listings: ListingHandlers,
        guard: Guard,
        urls: Urls,
        rules: Rules,
        access_log: AccessLog,
    ) -> None:
        self._guard = guard
        self._urls = urls
        self._rules = rules
        self._access_log = access_log
        self._routes: Mapping[Endpoint, Mapping[str, Handler]] = {
            Endpoint.ALIVE: {"GET": listings.alive, "HEAD": listings.alive},
            Endpoint.BASE: {"GET": listings.base, "HEAD": listings.base},  # end-1
            Endpoint.BLOB: {"GET": blobs.get, "HEAD": blobs.get, "DELETE": blobs.delete},  # end-2, end-10
            Endpoint.MANIFEST: {  # end-3, end-7, end-9
                "GET": manifests.get,
                "HEAD": manifests.get,
                "PUT": manifests.put,
                "DELETE": manifests.delete,
                "OPTIONS": manifests.options,
            },
            Endpoint.UPLOADS: {"POST": uploads.start},  # end-4, end-11
            Endpoint.UPLOAD: {  # end-5, end-6, end-13, end-14
                "PATCH": uploads.append,
                "PUT": uploads.commit,
                "GET": uploads.status,
                "HEAD": uploads.status,
                "DELETE": uploads.cancel,
            },
            Endpoint.TAGS: {"GET": listings.tags, "HEAD": listings.tags},  # end-8
            Endpoint.REFERRERS: {"GET": listings.referrers, "HEAD": listings.referrers},  # end-12
            Endpoint.CATALOGUE: {"GET": listings.catalogue, "HEAD": listings.catalogue},
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; whatever goes wrong, with a status and a body that say so."""
        started = time.perf_counter()
        identity = request_id(request.headers.get("X-Request-Id"))
        call, gone = None, False
        try:
            call = self._route(request)
            response = await self._answer(call)
        except ClientGone:
            gone, response = True, answer(408)
        except MoorageError as exc:
            response = render(exc)
            if not isinstance(exc, Refused):
                _log.error("request failed", correlation_id=identity, error=repr(exc), cause=repr(exc.__cause__))
        except Exception:  # noqa: BLE001 - the outermost: a mistake of ours must not take the worker down
            _log.exception("request crashed", correlation_id=identity, method=request.method)
            response = respond(500, entry("UNKNOWN", "the registry made a mistake; its log has the request id"))
        if not response.prepared:
            self._finish(response, call, identity)
        if gone:
            response.force_close()
        if self._access_log.is_enabled:
            status = _CLIENT_GONE if gone else response.status
            self._log_access(call, response, request=request, identity=identity, status=status, started=started)
        return response

    def close(self) -> None:
        """Write what is left of the access log."""
        self._access_log.flush()

    def common_headers(self, *, below_v2: bool) -> list[tuple[str, str]]:
        """What every answer carries besides its request id."""
        headers = [("X-Content-Type-Options", "nosniff")]
        if below_v2:
            headers.append(("Docker-Distribution-API-Version", "registry/2.0"))
            headers.extend(self._rules.headers)
        return headers

    def _route(self, request: web.BaseRequest) -> Call:
        target = request.raw_path
        if not target.startswith("/"):  # The absolute form, which a proxy may send. Source: RFC 9112 § 3.2.2.
            parts = urlsplit(target)
            target = f"{parts.path or '/'}?{parts.query}"
        path, _, query = target.partition("?")
        return Call(request=request, path=path, query=Query.parse(query), target="", urls=self._urls)

    async def _answer(self, call: Call) -> web.StreamResponse:
        handler, wanted = self._match(call)
        if wanted is not None:
            call.grant = self._guard.check(call.headers, wanted)
        response = await handler(call)
        if call.request.method == "OPTIONS":
            response.headers["Allow"] = ", ".join(self._allowed(Endpoint.MANIFEST))
        return response

    def _match(self, call: Call) -> tuple[Handler, Sequence[Access] | None]:
        prefix, method = self._urls.prefix, call.request.method
        # "/" answers below the prefix and without it: a load balancer asks for the latter.
        below = call.path[len(prefix) :] if call.path.startswith(prefix) else ("" if call.path == "/" else None)
        route = None if below is None else match(below)
        if route is None:
            msg = "there is nothing at this path; the API is at /v2/"
            raise RouteUnknown(msg)
        allowed = self._allowed(route.endpoint)
        handler = self._routes[route.endpoint].get(method)
        if handler is None or method not in allowed:
            msg = f"{method[:20]} is not possible here{self._why_not(method, handler)}"
            raise MethodNotAllowed(msg, allowed=allowed)
        call.repository, call.target = route.name, route.target
        return handler, _wanted(route.endpoint, call)

    def _allowed(self, endpoint: Endpoint) -> list[str]:
        return [method for method in self._routes[endpoint] if self._is_on(method, endpoint)]

    def _is_on(self, method: str, endpoint: Endpoint) -> bool:
        if method in _READS:
            return True
        if self._rules.read_only:
            return False
        return method != "DELETE" or endpoint is Endpoint.UPLOAD or self._rules.can_delete

    def _why_not(self, method: str, handler: Handler | None) -> str:
        if handler is None:
            return ""
        if self._rules.read_only:
            return ": the registry is read-only for maintenance"
        return ": deleting is switched off (storage.delete.enabled)" if method == "DELETE" else ""

    def _finish(self, response: web.StreamResponse, call: Call | None, identity: str) -> None:
        headers = response.headers
        headers["X-Request-Id"] = identity
        below_v2 = call is None or call.path.startswith(f"{self._urls.prefix}v2")
        for name, value in self.common_headers(below_v2=below_v2):
            headers[name] = value

    def _log_access(
        self,
        call: Call | None,
        response: web.StreamResponse,
        *,
        request: web.BaseRequest,
        identity: str,
        status: int,
        started: float,
    ) -> None:
        grant = getattr(call, "grant", None)
        self._access_log.write(
            AccessRecord(
                request_id=identity,
                method=request.method,
                uri=request.raw_path[:2048],
                host=request.headers.get("Host", "")[:256],
                status=status,
                duration_s=time.perf_counter() - started,
                written_bytes=response.content_length or 0,
                remote=request.remote or "",
                user_agent=request.headers.get("User-Agent", "")[:256],
                actor="" if grant is None else grant.actor,
            )
        )


_ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "GET": (Action.PULL,),
    "HEAD": (Action.PULL,),
    "OPTIONS": (Action.PULL,),
    "POST": (Action.PULL, Action.PUSH),
    "PUT": (Action.PULL, Action.PUSH),
    "PATCH": (Action.PULL, Action.PUSH),
    "DELETE": (Action.DELETE,),
}
"""Source: GitLab features HTP-011."""


def _wanted(endpoint: Endpoint, call: Call) -> Sequence[Access] | None:
    """What a request needs to be allowed; None: nothing, not even credentials."""
    if endpoint is Endpoint.ALIVE:
        return None
    if endpoint is Endpoint.BASE:
        return ()
    if endpoint is Endpoint.CATALOGUE:
        return (CATALOGUE,)
    actions = _ACTIONS[call.request.method]
    if endpoint is Endpoint.UPLOAD and call.request.method in ("GET", "HEAD", "DELETE"):
        actions = (Action.PULL, Action.PUSH)  # Asking for and cancelling an upload are parts of pushing.
    wanted = Access.repository(call.name, *actions)
    if endpoint is Endpoint.UPLOADS and call.query.first("mount") is not None:
        source = mount_source(call)
        if source is not None and source != call.name:
            wanted += Access.repository(source, Action.PULL)
    return wanted
