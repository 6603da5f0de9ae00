"""The token endpoint: Docker's form (GET, Basic) and OAuth2's (POST, a form).

Source: Docker token authentication specification, and its OAuth2 part; RFC 6749 § 4.3, § 5, § 6.
"""

import base64
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs

from aiohttp.web_request import BaseRequest

from moorage.auth.access import Grant
from moorage.auth.basic import PasswordGuard
from moorage.auth.guards import Caller
from moorage.auth.passwords import PasswordFile
from moorage.errors import BodyTooLarge, MethodNotAllowed, ParameterInvalid, RouteUnknown, Unauthorized
from moorage.telemetry import get_log, request_id
from moorage.token_server.issuing import Issued, TokenIssuer
from moorage.token_server.refresh_tokens import RefreshInvalid, RefreshTokens
from moorage.token_server.scopes import Scope, ScopeInvalid, parse_scopes
from moorage.web.access_log import AccessLog
from moorage.web.application import WebApplication
from moorage.web.bodies import Bodies
from moorage.web.errors import entry
from moorage.web.request import Request, split_target
from moorage.web.responses import SAFE_HEADERS, Response

PATHS = frozenset({"/token", "/auth/token"})
"""The second is where a registry with ``autoredirect`` sends its clients."""

_BODY_LIMIT_BYTES = 64 << 10
_FIELDS_LIMIT = 200
_CLIENT_LIMIT = 100
_LISTED_LIMIT = 2000
"""Characters of scopes in the log."""
_FORM = "application/x-www-form-urlencoded"
_LOGGED = frozenset({"account", "client_id", "offline_token", "scope", "service"})
"""Parameters of a query that the access log shows."""
_METHODS = ("GET", "POST", "OPTIONS")
_HEADERS = {"Content-Type": "application/json", "Cache-Control": "no-store", **SAFE_HEADERS}

_log = get_log("tokens")


class _OAuthRefused(Exception):
    """An answer as OAuth2 wants it."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class _Presented:
    """A request whose user and password came in its body."""

    headers: Mapping[str, str]
    id: str
    address: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """Content of a request, in either form."""

    scopes: Sequence[Scope]
    client: str
    wants_refresh: bool


class TokenApp(WebApplication[Request]):
    """Answers every request to the token server."""

    def __init__(
        self,
        issuer: TokenIssuer,
        guard: PasswordGuard,
        users: Callable[[], PasswordFile],
        *,
        refresh_lifetime: timedelta,
        access_log: AccessLog,
        paths: Collection[str] = PATHS,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__("the token server", log=_log, access_log=access_log)
        self._issuer = issuer
        self._guard = guard
        self._users = users
        self._refresh_lifetime = refresh_lifetime
        self._paths = paths
        self._now = now
        self._bodies = Bodies()

    def begin(self, request: BaseRequest) -> Request:
        """Parse a request's path and id."""
        path, query = split_target(request.raw_path)
        identity = request_id(request.headers.get("X-Request-Id"))
        return Request(request, identity, path, query, common=_HEADERS)

    async def answer(self, asked: Request, /) -> Response:
        """Give a token, or say why not: as OAuth2 does where its form was used."""
        try:
            return await self._answer(asked)
        except _OAuthRefused as exc:
            return _refused(exc)

    def logged_target(self, asked: Request, /) -> str:
        """The target without what may be secret: some clients put the form into the query, and the password with it.

        Source: RFC 6749 § 2.3.1 ("MUST NOT be included in the request URI").
        """
        query = asked.request.raw_path.partition("?")[2]
        kept = "&".join(part for part in query.split("&") if part.partition("=")[0] in _LOGGED)
        return f"{asked.path}?{kept}" if kept else asked.path

    async def _answer(self, call: Request) -> Response:
        if call.path == "/":
            return Response(200, {}, b"{}")
        if call.path not in self._paths:
            msg = f"there is nothing at this path; tokens are at {' and '.join(sorted(self._paths, reverse=True))}"
            raise RouteUnknown(msg)
        if call.request.method == "GET":
            return await self._by_get(call)
        if call.request.method == "POST":
            return await self._by_post(call)
        if call.request.method == "OPTIONS":
            return Response(200, {"Allow": ", ".join(_METHODS)})
        msg = f"{call.request.method[:20]} is not possible here"
        raise MethodNotAllowed(msg, allowed=_METHODS)

    async def _by_get(self, call: Request) -> Response:
        query = call.query
        service = query.first("service")
        if service and service != self._issuer.service:
            raise ParameterInvalid(self._not_ours(service))
        try:
            asked = _Asked(
                scopes=parse_scopes(query.all("scope")),
                client=query.first("client_id") or "",
                wants_refresh=(query.first("offline_token") or "").lower() in ("true", "1"),
            )
        except ScopeInvalid as exc:
            raise ParameterInvalid(str(exc)) from None
        user = None
        if "Authorization" in call.headers:
            call.grant = await self._guard.check(call, ())
            user = call.grant.actor
        issued = self._issued(call, user, asked, by="nothing" if user is None else "basic")
        answer: dict[str, object] = {"token": issued.token, **_common(issued)}
        if asked.wants_refresh and user is not None:
            answer["refresh_token"] = self._refresh_token(user)
        return _json(answer)

    async def _by_post(self, call: Request) -> Response:
        form = await self._form(call)
        service = form.get("service", "")
        if service != self._issuer.service:
            raise _OAuthRefused(400, "invalid_request", self._not_ours(service))
        try:
            scopes = parse_scopes([form.get("scope", "")])
        except ScopeInvalid as exc:
            raise _OAuthRefused(400, "invalid_scope", str(exc)) from None
        asked = _Asked(scopes, form.get("client_id", ""), form.get("access_type") == "offline")
        refresh_token, grant_type = "", form.get("grant_type", "")
        match grant_type:
            case "password":
                user = await self._by_password(call, form)
                refresh_token = self._refresh_token(user) if asked.wants_refresh else ""
            case "refresh_token":
                refresh_token = form.get("refresh_token", "")
                user = self._by_refresh(call, refresh_token)
            case _:
                msg = f"grant_type {grant_type[:40]!r} is not known here; there are password and refresh_token"
                raise _OAuthRefused(400, "unsupported_grant_type", msg)
        issued = self._issued(call, user, asked, by=grant_type)
        answer: dict[str, object] = {**_common(issued), "scope": " ".join(map(str, issued.granted))}
        if refresh_token:
            answer["refresh_token"] = refresh_token
        return _json(answer)

    async def _form(self, call: Request) -> Mapping[str, str]:
        if call.request.content_type != _FORM:
            raise _OAuthRefused(400, "invalid_request", f"the Content-Type has to be {_FORM}")
        body = await self._bodies.whole(call.request, check_size=_check_size)
        try:
            fields = parse_qs(
                body.decode("utf-8"), keep_blank_values=True, max_num_fields=_FIELDS_LIMIT, errors="strict"
            )
        except ValueError:
            raise _OAuthRefused(400, "invalid_request", "the body is no form, or has too many fields") from None
        # Source: RFC 6749 § 3.2: no parameter more than once.
        if repeated := [name for name, values in fields.items() if len(values) > 1]:
            raise _OAuthRefused(400, "invalid_request", f"{repeated[0][:40]!r} is there more than once")
        return {name: values[0] for name, values in fields.items()}

    async def _by_password(self, call: Request, form: Mapping[str, str]) -> str:
        """As if it had come in a header, so that guessing is slowed down in the same way."""
        user, password = form.get("username", ""), form.get("password", "")
        if not user or ":" in user:
            raise _OAuthRefused(400, "invalid_request", "username is needed, without a colon, and password")
        header = "Basic " + base64.b64encode(f"{user}:{password}".encode("utf-8", "surrogateescape")).decode()
        presented: Caller = _Presented({"Authorization": header}, call.id, call.address)
        try:
            call.grant = await self._guard.check(presented, ())
        except Unauthorized as exc:
            raise _OAuthRefused(401, "invalid_grant", exc.message) from None
        return call.grant.actor

    def _by_refresh(self, call: Request, token: str) -> str:
        tokens = self._refresh_tokens()
        try:
            user = tokens.user_of(token)
            tokens.check(token, self._users().hashes.get(user), self._now())
        except RefreshInvalid as exc:
            raise _OAuthRefused(401, "invalid_grant", str(exc)) from None
        call.grant = Grant(actor=user, accesses=frozenset())
        return user

    def _issued(self, call: Request, user: str | None, asked: _Asked, *, by: str) -> Issued:
        issued = self._issuer.issue(user, asked.scopes, self._now())
        _log.info(
            "token",
            correlation_id=call.id,
            user=user or "",
            by=by,
            client=asked.client[:_CLIENT_LIMIT],
            remote=call.address,
            asked=_listed(asked.scopes),
            granted=_listed(issued.granted),
        )
        return issued

    def _refresh_token(self, user: str) -> str:
        hashed = self._users().hashes.get(user)
        if hashed is None:  # Taken out of the file a moment ago.
            return ""
        return self._refresh_tokens().make(user, hashed, self._now() + self._refresh_lifetime.total_seconds())

    def _refresh_tokens(self) -> RefreshTokens:
        return RefreshTokens(self._issuer.ring().refresh_secret, self._issuer.service)

    def _not_ours(self, service: str) -> str:
        return f"tokens for the service {service[:80]!r} are not given here, but for {self._issuer.service!r}"


def _listed(scopes: Sequence[Scope]) -> str:
    return " ".join(map(str, scopes))[:_LISTED_LIMIT]


def _common(issued: Issued) -> dict[str, object]:
    return {
        "access_token": issued.token,
        "expires_in": int(issued.lifetime.total_seconds()),
        "issued_at": issued.issued_at.isoformat().replace("+00:00", "Z"),
    }


def _json(answer: Mapping[str, object]) -> Response:
    return Response(200, {}, json.dumps(answer, separators=(",", ":")).encode())


def _refused(exc: _OAuthRefused) -> Response:
    """OAuth2's body, and in it the one that registry clients show to people."""
    code = "UNAUTHORIZED" if exc.status == 401 else "UNSUPPORTED"  # noqa: PLR2004 - the status of RFC 9110
    body = {"error": exc.code, "error_description": exc.message, "errors": [entry(code, exc.message)]}
    return Response(exc.status, {}, json.dumps(body, separators=(",", ":")).encode())


def _check_size(count: int) -> None:
    if count > _BODY_LIMIT_BYTES:
        msg = f"a form has at most {_BODY_LIMIT_BYTES} bytes"
        raise BodyTooLarge(msg)
