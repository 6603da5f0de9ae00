"""The registry's HTTP application: it finds the row of a request in the tables of operations, and has it done.

Nothing here knows what a manifest or a blob is, or which APIs there are: ``wiring`` hands them in.
"""

import re
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aiohttp.http import HttpVersion10
from aiohttp.web_request import BaseRequest

from moorage.auth.access import Access, AccessLacking
from moorage.auth.addresses import Proxies
from moorage.auth.guards import Guard
from moorage.cache.remembered import Remembered
from moorage.errors import MethodNotAllowed, NameInvalid, OutOfService, ParameterInvalid, Protected, RouteUnknown
from moorage.http.call import Call
from moorage.http.endpoints import Endpoint, Route
from moorage.http.operations import READS, Api, Handler, Operation
from moorage.http.urls import Urls, check_host
from moorage.limits.rate_limits import LimitExceeded, RateLimits
from moorage.notifications.events import Audience
from moorage.oci.names import RepositoryName
from moorage.telemetry import get_log, request_id
from moorage.web.access_log import AccessLog
from moorage.web.application import RequestObserver, WebApplication
from moorage.web.request import split_target
from moorage.web.responses import SAFE_HEADERS, SANDBOX, Response

_NAMING = frozenset({"POST", "PUT", "PATCH"})
"""Methods by which a repository could come to be: its name has to be inside the grammar of today."""
READ_ONLY = "the registry is read-only for maintenance"
READ_ONLY_REASON = "readonly"
"""The ``reason`` in the detail of a refusal for it, by which programs know that it ends."""
_SLASHES = re.compile("/{2,}")
_TOLD_LIMIT = 10_000
_TOLD_AGE = timedelta(minutes=1)
_log = get_log("http")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRules:
    """Settings for requests as such, from the configuration."""

    read_only: bool = False
    can_delete: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to every answer (``http.headers``)."""

    def why_off(self, operation: Operation) -> str:
        """Return why an operation is switched off; empty: it is not."""
        if self.read_only and operation.is_write:
            return READ_ONLY
        if operation.deletes and not self.can_delete:
            return "deleting is switched off (storage.delete.enabled)"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Conditions for being answered at all, checked before anything else of a request."""

    out_of_service: Mapping[str, str] = field(default_factory=dict)
    """The reason to answer nothing now; it changes, and while it is empty everything is answered."""
    limits: RateLimits | None = None
    """Limits on a client's requests; None: there are none."""
    proxies: Proxies = field(default_factory=Proxies)
    """Proxies whose word on a client's address is believed."""


@dataclass(slots=True)
class _Place:
    """Everything that there is at an endpoint."""

    api: Api
    on: dict[str, tuple[Operation, Handler]] = field(default_factory=dict)
    """By method."""
    off: dict[str, str] = field(default_factory=dict)
    """Methods that are switched off, each with the reason."""
    allowed: tuple[str, ...] = ("OPTIONS",)
    named: tuple[str, ...] = ("OPTIONS",)
    """Methods that ``OPTIONS`` names."""


class App(WebApplication[Call]):
    """Answers requests. One a worker; call it with a request."""

    def __init__(
        self,
        apis: Sequence[Api],
        *,
        guard: Guard,
        urls: Urls,
        rules: ApplicationRules,
        access_log: AccessLog,
        admission: Admission | None = None,
        observer: RequestObserver | None = None,
        audience: Audience | None = None,
    ) -> None:
        """Take the parts.

        *apis*: each is asked in turn whether a path is its own, so the busiest comes first.
        *admission*: None: everybody gets an answer, and proxies on this machine are believed.
        *observer*: is told of every request; None: nobody is.
        *audience*: hears of what requests do; None: nobody.
        """
        super().__init__("the registry", log=_log, access_log=access_log, observer=observer)
        self.apis = apis
        self._guard = guard
        admission = admission or Admission()
        self._out_of_service = admission.out_of_service
        self._limits = admission.limits
        self._proxies = admission.proxies
        self._urls = urls
        self._audience = audience
        self._told: Remembered[tuple[str, str, str, str], bool] = Remembered(_TOLD_LIMIT, age=_TOLD_AGE)
        self._matchers = [api.match for api in apis]
        self._places = _places(apis, rules)
        self._below_v2 = f"{urls.prefix}v2"
        self._headers = _on_every_answer(rules.headers)
        self._headers_below_v2 = {"Docker-Distribution-API-Version": "registry/2.0", **self._headers}

    @property
    def operations(self) -> Iterator[tuple[str, str]]:
        """The path of every endpoint, as the reference has it, with each method that it has."""
        return ((row.endpoint.path, method) for api in self.apis for row in api.operations for method in row.methods)

    def begin(self, request: BaseRequest) -> Call:
        """Parse a request's path and id."""
        path, query = split_target(request.raw_path)
        common = self._headers_below_v2 if path.startswith(self._below_v2) else self._headers
        identity = request_id(request.headers.get("X-Request-Id"))
        return Call(
            request,
            identity,
            path,
            query,
            urls=self._urls,
            common=common,
            proxies=self._proxies,
            audience=self._audience,
        )

    def route_of(self, asked: Call, /) -> str:
        """Return the path of the endpoint that a request was for."""
        return asked.route

    async def answer(self, call: Call, /) -> Response:
        """Find the operation, check what the credentials allow, and have it done."""
        if self._out_of_service:
            msg = "this node is out of service until its health checks pass; try again, or ask another one"
            raise OutOfService(msg, reason="health check failed: please see /debug/health")
        if call.request.version < HttpVersion10:
            msg = "HTTP/0.9 is not spoken here"
            raise ParameterInvalid(msg)
        if self._limits is not None and call.path != "/":  # There a load balancer asks, and often.
            await _admitted(call, self._limits.admit_address(call.address))
        check_host(call.headers)
        if call.request.method == "OPTIONS":
            return self._options(call)
        try:
            place = self._match(call)
        except (NameInvalid, RouteUnknown):
            clean = self._clean(call)
            if clean is None:
                raise
            return clean
        operation, handler = place.on[call.request.method]
        wanted = operation.wanted(call)
        if wanted is not None:
            await self._authorize(call, operation, wanted)
        if call.has_odd_name and place.api.check_stored is not None:
            await place.api.check_stored(call.name)
        return await self._have_done(call, handler)

    async def _have_done(self, call: Call, handler: Handler) -> Response:
        try:
            return await handler(call)
        except AccessLacking as exc:
            # What the change needs was only known once the body, or the journal, had been read.
            self._guard.require(call, call.grant, exc.wanted)
            raise
        except Protected as exc:
            self._tell(call, exc)
            raise

    def _tell(self, call: Call, refusal: Protected) -> None:
        """Notify of a refusal; the same one is told at most once a minute, however often it is tried."""
        if call.repository is None or not call.announcer:
            return
        tag, reason = str(refusal.detail.get("tag", "")), str(refusal.detail.get("reason", ""))
        same = (call.grant.actor, call.name.text, tag, reason)
        if self._told.get(same) is None:
            self._told.put(same, True)
            call.announcer.tell(call.announcer.refused(call.name, tag, reason=reason, message=str(refusal)))

    async def _authorize(self, call: Call, operation: Operation, wanted: Sequence[Access]) -> None:
        optional = () if operation.optional is None else operation.optional(call)
        call.grant = await self._guard.check(call, wanted, optional=optional or ())
        if self._limits is not None:
            await _admitted(call, self._limits.admit_client(call.client))

    def _options(self, call: Call) -> Response:
        """Say what can be done at a path, without a look at what is there or at who asks.

        A browser sends no credentials before it has the answer, and GitLab such as open nothing.
        """
        try:
            route = self._find(call.path)
        except (NameInvalid, RouteUnknown):
            route = None
        named = ("OPTIONS",) if route is None else self._places[route.endpoint].named
        return Response(200, {"Allow": ", ".join(named)})

    def _find(self, path: str) -> Route | None:
        prefix = self._urls.prefix
        # "/" answers below the prefix and without it: a load balancer asks for the latter.
        below = path[len(prefix) :] if path.startswith(prefix) else ("" if path == "/" else None)
        if below is not None:
            for match in self._matchers:
                route = match(below)
                if route is not None:
                    return route
        return None

    def _match(self, call: Call) -> _Place:
        method, route = call.request.method, self._find(call.path)
        if route is None:
            msg = "there is nothing at this path; the API is at /v2/"
            raise RouteUnknown(msg)
        place = self._places[route.endpoint]
        call.route = route.endpoint.path
        if method not in place.on:
            why = place.off.get(method)
            msg = f"{method[:20]} is not possible here{f': {why}' if why else ''}"
            detail = {"reason": READ_ONLY_REASON} if why == READ_ONLY else {}
            raise MethodNotAllowed(msg, allowed=place.allowed, **detail)
        call.repository, call.target, call.has_odd_name = route.name, route.target, route.is_odd
        if route.is_odd and method in _NAMING:
            RepositoryName.parse(call.name.text)  # Says what is wrong with it.
        return place

    def _clean(self, call: Call) -> Response | None:
        """Send the client to its path with a slash less, if there is something; None if not.

        Only for methods that read: a client would repeat another one as GET, and without its body.
        """
        if call.request.method not in READS:
            return None
        single = _SLASHES.sub("/", call.path)  # One slash at its beginning: with two, it would name a host.
        for path in (single, single.rstrip("/")):
            try:
                route = self._find(path) if path != call.path else None
            except (NameInvalid, RouteUnknown):
                continue
            if route is not None:
                _, mark, query = call.request.raw_path.partition("?")
                return Response(301, {"Location": f"{path}{mark}{query}"})
        return None


async def _admitted(call: Call, admit: Awaitable[Mapping[str, str]]) -> None:
    """Wait until it is known that a client keeps to its limits, and have the answer say how near they are."""
    try:
        call.add_headers(await admit)
    except LimitExceeded as exc:
        call.add_headers(exc.headers)
        raise


def _places(apis: Sequence[Api], rules: ApplicationRules) -> Mapping[Endpoint, _Place]:
    places: dict[Endpoint, _Place] = {}
    for api in apis:
        for operation in api.operations:
            place = places.setdefault(operation.endpoint, _Place(api))
            why = rules.why_off(operation)
            for method in operation.methods:
                if why:
                    place.off[method] = why
                else:
                    place.on[method] = operation, api.handlers[operation]
                # GitLab asks this way whether a tag can be deleted, and its registry names DELETE also where it is off.
                if not (rules.read_only and operation.is_write):
                    place.named = (*place.named[:-1], method, "OPTIONS")
    for place in places.values():
        place.allowed = (*place.on, "OPTIONS")
    return places


def _on_every_answer(configured: Mapping[str, str]) -> dict[str, str]:
    """The headers that keep a browser from running what a stranger has pushed, and those that are *configured*.

    Source: ADR 0028.
    """
    headers = dict(SAFE_HEADERS)
    names = {name.lower(): name for name in SAFE_HEADERS}
    for name, value in configured.items():
        known = names.get(name.lower())
        if known is None:
            headers[name] = value
        elif value != SAFE_HEADERS[known] and known == "Content-Security-Policy":
            headers[known] = f"{SANDBOX}, {value}"  # A browser obeys both.
    return headers
