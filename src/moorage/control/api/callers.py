"""Callers of the API: who they are by the credentials of a request, and whether those reach so far."""

from collections.abc import Collection
from typing import ClassVar

from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError

from moorage.control.accounts.models import PersonalAccessToken, User
from moorage.control.accounts.rules import TokenScope
from moorage.control.api.api_refusals import APIRefused, forbidden, insufficient_scope, unauthorized
from moorage.control.api.parameters import GitLabParser
from moorage.control.credentials.finding import requester_of_token
from moorage.control.projects.requesters import ANYBODY, Requester
from moorage.control.projects.rules import CredentialKind

_SUDO = "sudo"
"""Names a user in whose name a call is to be; a scope of GitLab's tokens too."""


class CallerRequest(HttpRequest):
    """A request whose caller is known."""

    auth: Requester


class RouteCredentials:
    """Credentials that a route takes: tokens with one of some scopes, and perhaps jobs, or anybody."""

    openapi_security_schema: ClassVar[dict[str, str]] = {
        "type": "apiKey",
        "in": "header",
        "name": "PRIVATE-TOKEN",
        "description": "A token; `Authorization: Bearer` takes it too. A job's goes into `JOB-TOKEN`.",
    }

    def __init__(self, *scopes: TokenScope, is_open: bool = False, has_jobs: bool = False) -> None:
        self.scopes = scopes
        self.is_open = is_open
        """True: credentials are not needed; those that are sent have to be right."""
        self.has_jobs = has_jobs

    def __call__(self, request: HttpRequest) -> Requester:
        """Return the caller of *request*.

        Raises:
            CredentialsRefused: the token is nobody's.
            APIRefused: the route does not take such a token.
        """
        if request.method not in {"GET", "HEAD"} and not request.body:
            # The framework reads no body that is not there, but parameters may stand in the query alone.
            request._body = b"{}"  # noqa: SLF001 - Django's own place
        secret, is_job = _secret_of(request)
        if secret is None:
            if self.is_open:
                return ANYBODY
            raise unauthorized()
        who = requester_of_token(secret, address=request.META.get("REMOTE_ADDR", ""))
        self._check(who, is_job=is_job)
        _see_that_for_nobody_else(request, who)
        return who

    def _check(self, who: Requester, *, is_job: bool) -> None:
        if who.user is None:
            raise unauthorized()
        if who.credential is CredentialKind.JOB_TOKEN:
            if not self.has_jobs:
                raise unauthorized()
        elif is_job:
            raise unauthorized()
        if not who.has_scope(*self.scopes):
            raise insufficient_scope(self.scopes)


_READS = (TokenScope.API, TokenScope.READ_API)
OPEN = RouteCredentials(*_READS, is_open=True)
"""Anybody, who is told of what is public."""
SIGNED_IN = RouteCredentials(*_READS)
CHANGES = RouteCredentials(TokenScope.API)
READS_USERS = RouteCredentials(*_READS, TokenScope.READ_USER)
READS_IMAGES = RouteCredentials(*_READS, is_open=True, has_jobs=True)
CHANGES_IMAGES = RouteCredentials(TokenScope.API, has_jobs=True)
OWN_TOKEN = RouteCredentials(*TokenScope)
"""A token may always ask about itself, and end itself."""
OWN_ROTATION = RouteCredentials(TokenScope.API, TokenScope.SELF_ROTATE)


def own_token(request: HttpRequest) -> PersonalAccessToken:
    """Return the personal access token that *request* came with.

    Raises:
        APIRefused: it came with something else.
    """
    token = caller(request).token
    if token is None:
        text = "400 Bad request - This endpoint requires token type to be a personal access token"
        raise APIRefused(400, {"message": text})
    return token


def user_of(request: HttpRequest) -> User:
    """Return the user behind *request*.

    Raises:
        APIRefused: there is none.
    """
    user = caller(request).user
    if user is None:
        raise unauthorized()
    return user


def caller(request: HttpRequest) -> Requester:
    """Return who sent *request*."""
    found: Requester = getattr(request, "auth", ANYBODY)
    return found


def see_that_admin(request: HttpRequest) -> User:
    """Return the administrator who sent *request*.

    Raises:
        APIRefused: it is someone else.
    """
    user = user_of(request)
    if not user.is_admin:
        raise forbidden()
    return user


def _see_that_for_nobody_else(request: HttpRequest, who: Requester) -> None:
    """See that a call is not in the name of another user, as GitLab's are with a scope that there is not here.

    In the caller's own name it would show what the other one may not see. Source: GitLab ``lib/api/helpers.rb``.

    Raises:
        APIRefused: it is.
    """
    if "Sudo" not in request.headers and _SUDO not in request.GET and _SUDO not in _named_in_body(request):
        return
    if who.user is None or not who.user.is_admin:
        text = "Must be admin to use sudo"
        raise forbidden(text)
    raise insufficient_scope([_SUDO])


def _named_in_body(request: HttpRequest) -> Collection[str]:
    """The parameters in a body, if it may be that one asks for another user; what cannot be read is refused later."""
    if request.method in {"GET", "HEAD"} or _SUDO.encode() not in request.body:
        return ()
    try:
        found = GitLabParser().parse_body(request)
    except (ValueError, MultiPartParserError):
        return ()
    return {name for name, value in found.items() if value is not None}


def _secret_of(request: HttpRequest) -> tuple[str | None, bool]:
    """The token that came, and whether it is said to be a job's."""
    headers = request.headers
    if "Private-Token" in headers:
        return headers["Private-Token"], False
    if "Job-Token" in headers:
        return headers["Job-Token"], True
    scheme, _, secret = headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None, False
    # Another scheme is not ours, and not nobody either.
    return (secret.strip() if scheme.lower() == "bearer" else ""), False
