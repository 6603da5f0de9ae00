"""The registry's HTTP application: the route table, and what happens around every request.

The order for one request: request id, route, method, credentials, handler, errors rendered, common headers, access
log. Nothing here knows what a manifest or a blob is.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.http import HttpVersion10

from moorage.auth.access import CATALOGUE, Access, Action
from moorage.auth.guards import Guard
from moorage.errors import MethodNotAllowed, NameInvalid, ParameterInvalid, RouteUnknown
from moorage.http.call import Call
from moorage.http.gitlab_v1.gitlab_handlers import GITLAB, GitLabHandlers, routes_without_database
from moorage.http.gitlab_v1.gitlab_handlers import wanted as gitlab_wanted
from moorage.http.gitlab_v1.gitlab_routes import match as match_gitlab
from moorage.http.moorage_v1.moorage_handlers import MOORAGE, MoorageHandlers
from moorage.http.moorage_v1.moorage_handlers import routes_without_database as moorage_without_database
from moorage.http.moorage_v1.moorage_handlers import wanted as moorage_wanted
from moorage.http.moorage_v1.moorage_routes import match as match_moorage
from moorage.http.routes import Endpoint, Route, match
from moorage.http.urls import Urls, check_host
from moorage.http.v2.blob_handlers import BlobHandlers
from moorage.http.v2.list_handlers import ListingHandlers
from moorage.http.v2.manifest_handlers import ManifestHandlers
from moorage.http.v2.upload_handlers import UploadHandlers, mount_source
from moorage.oci.names import RepositoryName
from moorage.telemetry import get_log, request_id
from moorage.web.access_log import AccessLog
from moorage.web.application import WebApplication
from moorage.web.request import split_target
from moorage.web.responses import SAFE_HEADERS, SANDBOX, Response

Handler = Callable[[Call], Awaitable[Response]]

_READS = frozenset({"GET", "HEAD"})
_WRITES = frozenset({"POST", "PUT", "PATCH"})
_SLASHES = re.compile("/{2,}")
_log = get_log("http")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRules:
    """Settings for requests as such, from the configuration."""

    read_only: bool = False
    can_delete: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to every answer (``http.headers``)."""


class App(WebApplication[Call]):
    """Answers requests. One a worker; call it with a request."""

    def __init__(  # noqa: PLR0913 - one argument for each group of handlers
        self,
        *,
        blobs: BlobHandlers,
        uploads: UploadHandlers,
        manifests: ManifestHandlers,
        listings: ListingHandlers,
        gitlab: GitLabHandlers | None = None,
        moorage: MoorageHandlers | None = None,
        guard: Guard,
        urls: Urls,
        rules: ApplicationRules,
        access_log: AccessLog,
    ) -> None:
        super().__init__("the registry", log=_log, access_log=access_log)
        self._guard = guard
        self._listings = listings
        self._urls = urls
        self._rules = rules
        self._routes: Mapping[Endpoint, Mapping[str, Handler]] = {
            Endpoint.ALIVE: {"GET": listings.alive, "HEAD": listings.alive},
            Endpoint.BASE: {"GET": listings.base, "HEAD": listings.base},  # end-1
            Endpoint.BLOB: {"GET": blobs.get, "HEAD": blobs.get, "DELETE": blobs.delete},  # end-2, end-10
            Endpoint.MANIFEST: {  # end-3, end-7, end-9
                "GET": manifests.get,
                "HEAD": manifests.get,
                "PUT": manifests.put,
                "DELETE": manifests.delete,
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
            **(routes_without_database() if gitlab is None else gitlab.routes),
            **(moorage_without_database() if moorage is None else moorage.routes),
        }
        self._allowed = {
            endpoint: (*(method for method in methods if self._is_on(method, endpoint)), "OPTIONS")
            for endpoint, methods in self._routes.items()
        }
        # GitLab asks this way whether a tag can be deleted, and its registry names DELETE also where that is off.
        self._named = {
            endpoint: (*(method for method in methods if method in _READS or not rules.read_only), "OPTIONS")
            for endpoint, methods in self._routes.items()
        }
        self._below_v2 = f"{urls.prefix}v2"
        self._headers = _on_every_answer(rules.headers)
        self._headers_below_v2 = {"Docker-Distribution-API-Version": "registry/2.0", **self._headers}

    @property
    def operations(self) -> Iterator[tuple[Endpoint, str]]:
        """Every endpoint with each method that it has."""
        return ((endpoint, method) for endpoint, methods in self._routes.items() for method in methods)

    def begin(self, request: web.BaseRequest) -> Call:
        """Parse a request's path and id."""
        path, query = split_target(request.raw_path)
        common = self._headers_below_v2 if path.startswith(self._below_v2) else self._headers
        identity = request_id(request.headers.get("X-Request-Id"))
        return Call(request, identity, path, query, urls=self._urls, common={**common, "X-Request-Id": identity})

    async def answer(self, call: Call, /) -> Response:
        """Find the operation, check what the credentials allow, and have it done."""
        if call.request.version < HttpVersion10:
            msg = "HTTP/0.9 is not spoken here"
            raise ParameterInvalid(msg)
        check_host(call.headers)
        if call.request.method == "OPTIONS":
            return self._options(call)
        try:
            endpoint, handler = self._match(call)
        except (NameInvalid, RouteUnknown):
            clean = self._clean(call)
            if clean is None:
                raise
            return clean
        wanted = _wanted(endpoint, call)
        if wanted is not None:
            useful = _useful(call) if endpoint is Endpoint.UPLOADS else ()
            call.grant = await self._guard.check(call, wanted, useful=useful)
        if call.has_odd_name:
            await self._listings.check_stored(call.name)
        return await handler(call)

    def _options(self, call: Call) -> Response:
        """Say what can be done at a path, without a look at what is there or at who asks.

        A browser sends no credentials before it has the answer, and GitLab such as open nothing.
        """
        try:
            route = self._find(call.path)
        except (NameInvalid, RouteUnknown):
            route = None
        return Response(200, {"Allow": ", ".join(("OPTIONS",) if route is None else self._named[route.endpoint])})

    def _find(self, path: str) -> Route | None:
        prefix = self._urls.prefix
        # "/" answers below the prefix and without it: a load balancer asks for the latter.
        below = path[len(prefix) :] if path.startswith(prefix) else ("" if path == "/" else None)
        return None if below is None else match(below) or match_gitlab(below) or match_moorage(below)

    def _match(self, call: Call) -> tuple[Endpoint, Handler]:
        method, route = call.request.method, self._find(call.path)
        if route is None:
            msg = "there is nothing at this path; the API is at /v2/"
            raise RouteUnknown(msg)
        handler = self._routes[route.endpoint].get(method)
        allowed = self._allowed[route.endpoint]
        if handler is None or method not in allowed:
            msg = f"{method[:20]} is not possible here{self._why_not(method, handler)}"
            raise MethodNotAllowed(msg, allowed=allowed)
        call.repository, call.target, call.has_odd_name = route.name, route.target, route.is_odd
        if route.is_odd and method in _WRITES:
            RepositoryName.parse(call.name.text)  # Says what is wrong with it.
        return route.endpoint, handler

    def _clean(self, call: Call) -> Response | None:
        """Send the client to its path with a slash less, if there is something; None if not.

        Only for methods that read: a client would repeat another one as GET, and without its body.
        """
        if call.request.method not in _READS:
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

    def _is_on(self, method: str, endpoint: Endpoint) -> bool:
        if method in _READS:
            return True
        if self._rules.read_only:
            return False
        deletes = method == "DELETE" or endpoint is Endpoint.MOORAGE_TAGS_DELETE
        return not deletes or endpoint is Endpoint.UPLOAD or self._rules.can_delete

    def _why_not(self, method: str, handler: Handler | None) -> str:
        if handler is None:
            return ""
        if self._rules.read_only:
            return ": the registry is read-only for maintenance"
        return ": deleting is switched off (storage.delete.enabled)" if method in ("DELETE", "POST") else ""


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


_ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "GET": (Action.PULL,),
    "HEAD": (Action.PULL,),
    "POST": (Action.PULL, Action.PUSH),
    "PUT": (Action.PULL, Action.PUSH),
    "PATCH": (Action.PULL, Action.PUSH),
    "DELETE": (Action.DELETE,),
}
"""Source: GitLab features HTP-011."""


def _wanted(endpoint: Endpoint, call: Call) -> Sequence[Access] | None:
    """Return the access that a request needs; None: it needs nothing, not even credentials."""
    if endpoint is Endpoint.ALIVE:
        return None
    if endpoint is Endpoint.BASE:
        return ()
    if endpoint is Endpoint.CATALOGUE:
        return (CATALOGUE,)
    if endpoint in GITLAB:
        return gitlab_wanted(endpoint, call)
    if endpoint in MOORAGE:
        return moorage_wanted(endpoint, call)
    actions = _ACTIONS[call.request.method]
    if endpoint is Endpoint.UPLOAD and call.request.method in ("GET", "HEAD", "DELETE"):
        actions = (Action.PULL, Action.PUSH)  # Asking for and cancelling an upload are parts of pushing.
    return Access.repository(call.name, *actions)


def _useful(call: Call) -> Sequence[Access]:
    """Return the access that a mount can use besides; without it, the mount is an ordinary upload."""
    try:
        source = mount_source(call) if call.query.first("mount") is not None else None
    except NameInvalid:
        return ()
    return () if source is None or source == call.name else Access.repository(source, Action.PULL)
