"""``GET /jwt/auth``: a token for a registry's client.

Source: GitLab features TKN-001 to TKN-014; Docker token authentication specification.
"""

import math
from collections.abc import Sequence
from urllib.parse import parse_qs, quote

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from moorage.auth.claims import DENIED_LIMIT
from moorage.control.credentials.finding import basic_of, requester_of_basic
from moorage.control.ldap.people import DirectoryUnavailable
from moorage.control.projects.requesters import ANYBODY, Requester
from moorage.control.refusals import AccountNeeded, CredentialsRefused, PasswordChangeNeeded, PersonalTokenNeeded
from moorage.control.tokens.granting import PUSH_PROTECTED, ScopeVerdict, note_pushes, verdicts_on
from moorage.control.tokens.minting import SERVICE, mint_token
from moorage.control.tokens.refused_access import note_refusals
from moorage.control.tokens.rules import has_registry_ability
from moorage.errors import TooManyRequests
from moorage.telemetry import get_log
from moorage.token_server.scopes import Scope, ScopeInvalid, parse_scopes
from moorage.web.wsgi_bridge import ACTOR_KEY, AFTERWARDS_KEY

_FIELDS_LIMIT = 200
_LISTED_LIMIT = 2000
_NAME_LIMIT = 100
_REALM = "Moorage"
_FORBIDDEN = "access forbidden"
_BAD_CREDENTIALS = (
    "HTTP Basic: Access denied. The user's name, the password or the token is wrong, or the token has expired or was "
    "taken back. With a second factor a personal access token is needed."
)
_MORE_NEEDED = (
    "HTTP Basic: Access denied. The password of this account is not enough, as a second factor is there or has to be: "
    "use a personal access token with 'api', 'read_registry' or 'write_registry' scope. It is made at"
)
_ACCOUNT_NEEDED = "The password is right, but there is no account for you here yet. Sign in to have it made:"
_CHANGE_NEEDED = "The password is right, but has to be changed in the directory first."
OWN_TOKENS_PATH = "/-/me/tokens"
"""The page of one's own tokens."""
REFUSALS_PATH = "/-/refused"
"""The page of what was refused to oneself."""

_log = get_log("tokens")


class _Refusal(Exception):
    """An answer without a token."""

    def __init__(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


@csrf_exempt
def give_token(request: HttpRequest) -> HttpResponse:
    """Answer with a token for what the credentials may do of what was asked for, or say why there is none."""
    try:
        answer: HttpResponse = JsonResponse({"token": _token(request)})
    except _Refusal as exc:
        answer = _refused(exc)
    except TooManyRequests as exc:
        wait_s = math.ceil(exc.retry_after.total_seconds())
        answer = _refused(_Refusal(429, "TOOMANYREQUESTS", exc.message, **{"Retry-After": str(wait_s)}))
    except DirectoryUnavailable:  # The log has the reason already.
        message = "the directory that knows the password does not answer; try again, or use an access token"
        answer = _refused(_Refusal(503, "UNAVAILABLE", message, **{"Retry-After": "5"}))
    except DatabaseError as exc:
        _log.error("the database does not answer", correlation_id=_id_of(request), error=type(exc).__name__)
        message = "accounts cannot be looked up now; try again"
        answer = _refused(_Refusal(503, "UNAVAILABLE", message, **{"Retry-After": "5"}))
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _token(request: HttpRequest) -> str:
    if request.method not in ("GET", "HEAD"):  # Clients that try POST first go on with GET by this status.
        raise _Refusal(404)
    query = _query(request)
    if query.get("service", [""])[0] != SERVICE:
        raise _Refusal(404)
    if not settings.MOORAGE.configuration.registry.enabled:
        raise _Refusal(404, "UNAVAILABLE", "registry not enabled")
    try:
        scopes = parse_scopes(query.get("scope", ()))
    except ScopeInvalid as exc:
        raise _Refusal(400, "UNSUPPORTED", str(exc)) from None
    who = _requester(request)
    request.META[ACTOR_KEY] = (who.name, who.credential.value)
    verdicts = _allowed(who, scopes, request)
    note_pushes(who, verdicts)
    claims = [verdict.claim for verdict in verdicts if verdict.granted]
    client = query.get("client_id", [""])[0]
    _log.info(
        "token",
        correlation_id=_id_of(request),
        user=who.name,
        by=who.credential.value,
        client=client[:_NAME_LIMIT],
        remote=who.address,
        asked=" ".join(map(str, scopes))[:_LISTED_LIMIT],
        granted=" ".join(f"{one.type}:{one.name}:{','.join(one.actions or ())}" for one in claims)[:_LISTED_LIMIT],
    )
    return mint_token(who, claims, denied=_told(verdicts, _way(who, request)))


def _told(verdicts: Sequence[ScopeVerdict], way: str) -> str:
    """Say what is not granted, and why, and where that is explained, for the registry to tell its client."""
    actions: dict[tuple[str, str], dict[str, None]] = {}
    for one in verdicts:
        for denial in one.denials:
            # One reason for several actions is told once: clients print all of this on a line.
            actions.setdefault((one.scope.name, denial.shown), {})[denial.action] = None
    if not actions:
        return ""
    told = (f"{', '.join(names)} on {path}: {reason}" for (path, reason), names in actions.items())
    return "; ".join(told)[: DENIED_LIMIT - len(way)] + way


def _way(who: Requester, request: HttpRequest) -> str:
    """The page that explains the refusals of a request, for somebody who can sign in; empty: there is none."""
    host, identity = settings.MOORAGE.configuration.http.host.rstrip("/"), _id_of(request)
    if who.user is None or who.user.is_bot or not host or not identity:
        return ""
    way = f"; see {host}{REFUSALS_PATH}?request={quote(identity, safe='')}"
    return way if len(way) <= DENIED_LIMIT // 2 else ""


def _allowed(who: Requester, scopes: Sequence[Scope], request: HttpRequest) -> Sequence[ScopeVerdict]:
    """Decide about all scopes, and say in the log what is not granted.

    Raises:
        _Refusal: there is no token at all.
    """
    if not has_registry_ability(who.scopes):
        _log.warning("a token has no scope for the registry", correlation_id=_id_of(request), user=who.name)
        raise _Refusal(403, "DENIED", _FORBIDDEN)
    verdicts = verdicts_on(who, scopes, makes=True)
    for verdict in verdicts:
        if verdict.denials:
            _say_denied(who, verdict, _id_of(request))
    _note_afterwards(who, verdicts, request)
    if who.is_anonymous and not any(verdict.granted for verdict in verdicts):
        raise _Refusal(403, "DENIED", _FORBIDDEN)
    if any(verdict.is_push_protected for verdict in verdicts):
        raise _Refusal(403, "DENIED", PUSH_PROTECTED)
    return verdicts


def _note_afterwards(who: Requester, verdicts: Sequence[ScopeVerdict], request: HttpRequest) -> None:
    """Keep what is refused, but only once the answer is on its way: its time would tell that a project is there."""
    identity = _id_of(request)

    def note() -> None:
        try:
            note_refusals(who, verdicts, request_id=identity)
        except DatabaseError as exc:  # The answer is the same whether it can be looked up later or not.
            _log.error("a refusal could not be kept", correlation_id=identity, error=type(exc).__name__)

    afterwards = request.META.get(AFTERWARDS_KEY)
    if afterwards is None:
        note()
    elif any(verdict.denials or verdict.is_push_protected for verdict in verdicts):
        afterwards += [note, close_old_connections]


def _say_denied(who: Requester, verdict: ScopeVerdict, identity: str) -> None:
    """Write GitLab's line, with the reason of each action besides. Source: GitLab features TKN-013."""
    project = verdict.project
    _log.warning(
        "Denied container registry permissions",
        correlation_id=identity,
        scope_type=verdict.scope.kind,
        requested_path=verdict.scope.name[:_LISTED_LIMIT],
        requested_project_path=project.full_path if project is not None else "",
        requested_actions=list(verdict.scope.actions),
        authorized_actions=list(verdict.granted),
        username=who.name,
        by=who.credential.value,
        remote=who.address,
        reasons={one.action: one.reason for one in verdict.denials},
    )


def _requester(request: HttpRequest) -> Requester:
    header, address = request.headers.get("Authorization"), str(request.META.get("REMOTE_ADDR", ""))
    if header is None:
        return ANYBODY
    given = basic_of(header)
    message = _BAD_CREDENTIALS
    try:
        if given is not None:
            return requester_of_basic(*given, address=address)
    except PersonalTokenNeeded:
        message = f"{_MORE_NEEDED} {_own_tokens(request)}"
    except AccountNeeded:
        message = f"{_ACCOUNT_NEEDED} {_own_tokens(request)}"
    except PasswordChangeNeeded:
        message = _CHANGE_NEEDED
    except CredentialsRefused:
        pass
    # The name may be a secret that was typed into the wrong place: it is not written.
    _log.warning("bad credentials", correlation_id=_id_of(request), remote=address)
    challenge = {"WWW-Authenticate": f'Basic realm="{_REALM}", charset="UTF-8"'}
    raise _Refusal(401, "UNAUTHORIZED", message, **challenge)


def _own_tokens(request: HttpRequest) -> str:
    """The address of the page where a user makes tokens."""
    host = settings.MOORAGE.configuration.http.host.rstrip("/")
    return host + OWN_TOKENS_PATH if host else request.build_absolute_uri(OWN_TOKENS_PATH)


def _query(request: HttpRequest) -> dict[str, list[str]]:
    # Raw: a scope that is there more than once counts each time. Source: GitLab features TKN-003.
    try:
        return parse_qs(str(request.META.get("QUERY_STRING", "")), keep_blank_values=True, max_num_fields=_FIELDS_LIMIT)
    except ValueError:
        raise _Refusal(400, "UNSUPPORTED", f"a query has at most {_FIELDS_LIMIT} parameters") from None


def _refused(refusal: _Refusal) -> HttpResponse:
    if not refusal.code:
        return HttpResponse(status=refusal.status)
    body = {"errors": [{"code": refusal.code, "message": refusal.message}]}
    return JsonResponse(body, status=refusal.status, headers=refusal.headers)


def _id_of(request: HttpRequest) -> str:
    return request.headers.get("X-Request-Id", "")
