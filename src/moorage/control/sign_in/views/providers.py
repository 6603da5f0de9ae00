"""Sign-in by the OpenID Connect provider."""

import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from moorage.control.configured_sign_in import OIDCKeys
from moorage.control.pages.page_answers import not_done, see_other
from moorage.control.sign_in.external_users import AccountTerms, StrangerRefused, user_of_identity
from moorage.control.sign_in.identity_claims import ProviderRefused
from moorage.control.sign_in.own_ways import absolute, next_of
from moorage.control.sign_in.signing_in import begin
from moorage.telemetry import get_log

if TYPE_CHECKING:
    from moorage.control.sign_in.oidc_client import OIDCClient

PROVIDER = "openid_connect"
"""The provider's word at users' identities. Source: GitLab's name of it."""

_COOKIE = "_moorage_oidc"
_COOKIE_S = 600
_PATH = "/-/sign-in/oidc"

_KNOWN: list[tuple[OIDCKeys, "OIDCClient"]] = []

_log = get_log("control.sign_in")


@require_safe
def go_to_provider(request: HttpRequest) -> HttpResponse:
    """Lead to the provider. What has to be kept is in a signed cookie: strangers fill no table."""
    keys = _keys()
    try:
        kept = _client(keys).way_there(absolute(request, f"{_PATH}/callback"))
    except ProviderRefused as exc:
        return _failed(request, _(exc.message))
    answer = see_other(kept.pop("url"))
    answer.headers["Cache-Control"] = "no-store"
    answer.set_signed_cookie(
        _COOKIE,
        signing.dumps({**kept, "next": next_of(request)}),
        max_age=_COOKIE_S,
        path=_PATH,
        secure=bool(settings.SESSION_COOKIE_SECURE),
        httponly=True,
        samesite="Lax",  # The way back is a link from the provider's site.
    )
    return answer


@require_safe
def come_from_provider(request: HttpRequest) -> HttpResponse:
    """Sign in the person whom the provider sends back."""
    answer = _come_back(request)
    answer.delete_cookie(_COOKIE, path=_PATH, samesite="Lax")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _come_back(request: HttpRequest) -> HttpResponse:
    keys, kept = _keys(), _kept(request)
    state = request.GET.get("state", "")
    if kept is None or not secrets.compare_digest(kept["state"].encode(), state.encode()):
        return _failed(request, _("The sign-in took too long, or began in another browser. Try again."))
    if "error" in request.GET or not request.GET.get("code"):
        _log.warning("the provider refused a sign-in", error=request.GET.get("error", "")[:100])
        return _failed(request, _("The provider did not sign you in."))
    terms = AccountTerms(
        provider=PROVIDER,
        creates_users=keys.create_users,
        links_by_email=keys.link_by_email,
        admin_groups=frozenset(keys.admin_groups),
    )
    try:
        user = user_of_identity(_client(keys).claims(kept, code=request.GET["code"]), terms)
    except (ProviderRefused, StrangerRefused) as exc:
        return _failed(request, _(exc.message))
    return begin(request, user, kept["next"], has_factor_elsewhere=keys.allow_bypass_two_factor)


def _kept(request: HttpRequest) -> dict[str, str] | None:
    try:
        found = signing.loads(request.get_signed_cookie(_COOKIE, max_age=_COOKIE_S) or "", max_age=_COOKIE_S)
    except (KeyError, signing.BadSignature):
        return None
    return {str(name): str(value) for name, value in found.items()}


def _failed(request: HttpRequest, text: str) -> HttpResponse:
    return not_done(request, text, settings.LOGIN_URL)


def _keys() -> OIDCKeys:
    keys: OIDCKeys = settings.MOORAGE.configuration.sign_in.oidc
    if not keys.is_on:
        raise Http404
    return keys


def _client(keys: OIDCKeys) -> "OIDCClient":
    """The one client of this process; its libraries are loaded where they are needed."""
    from moorage.control.sign_in.oidc_client import OIDCClient  # noqa: PLC0415 - dear

    known = next(iter(_KNOWN), None)
    if known is None or known[0] != keys:
        known = keys, OIDCClient(keys)
        _KNOWN[:] = [known]
    return known[1]
