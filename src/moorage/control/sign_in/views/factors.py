"""Pages of one's own second factors."""

from collections.abc import Mapping

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.accounts.models import FactorKind, User
from moorage.control.accounts.one_time_codes import address_of_key, new_totp_key, text_of_key
from moorage.control.accounts.second_factors import (
    add_totp,
    has_second_factor,
    needs_second_factor,
    recovery_codes_left,
    remove_factor,
    renew_recovery_codes,
)
from moorage.control.audit.actors import Actor
from moorage.control.pages.page_answers import done, not_done, see_other
from moorage.control.refusals import ChangeRefused
from moorage.control.sign_in.guards import for_me, for_me_confirmed
from moorage.control.sign_in.sessions import end_sessions, own_session
from moorage.control.sign_in.sign_in_forms import CodeForm
from moorage.control.sign_in.signing_in import finish, half_signed_in, note_wrong_factor
from moorage.json_nesting import parse_json

_PAGE = "/-/me/second-factor"
_KEY = "new_totp_key"
_ANSWER_LIMIT = 1 << 16


@require_safe
@for_me
def show_factors(request: HttpRequest, user: User) -> HttpResponse:
    """Show my second factors, and the ways to add one."""
    context = {
        "tab": "factor",
        "factors": user.second_factors.exclude(kind=FactorKind.RECOVERY).order_by("pk"),
        "has_totp": user.second_factors.filter(kind=FactorKind.TOTP).exists(),
        "codes_left": recovery_codes_left(user),
        "is_needed": needs_second_factor(user),
    }
    return render(request, "sign_in/factors.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@for_me_confirmed
def set_up_totp(request: HttpRequest, user: User) -> HttpResponse:
    """Show a new key for an authenticator, and take the code that it makes of it."""
    from moorage.control.sign_in.pictures import picture_of  # noqa: PLC0415 - dear, and for few

    if request.method != "POST" or _KEY not in request.session:
        request.session[_KEY] = new_totp_key().hex()
    key, is_first = bytes.fromhex(request.session[_KEY]), not has_second_factor(user)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and form.carries_out(
        lambda: add_totp(user, key, form.cleaned_data["code"], by=_actor(request, user))
    ):
        del request.session[_KEY]
        return _added(request, user, is_first=is_first)
    address = address_of_key(key, site=f"Moorage {request.get_host()}", username=user.username)
    context = {"tab": "factor", "form": form, "key": text_of_key(key), "picture": picture_of(address)}
    return render(request, "sign_in/totp.html", context, status=422 if form.is_bound else 200)


@require_POST
@for_me_confirmed
def make_recovery_codes(request: HttpRequest, user: User) -> HttpResponse:
    """Make new recovery codes, and show them this once."""
    if not has_second_factor(user):
        raise Http404
    return _codes(request, user)


@require_POST
@for_me_confirmed
def take_away(request: HttpRequest, user: User, number: int) -> HttpResponse:
    """Take one of my second factors away."""
    try:
        remove_factor(user, number, by=_actor(request, user))
    except ChangeRefused as exc:
        return not_done(request, str(exc), _PAGE)
    return done(request, _("The second factor is taken away."), _PAGE)


@require_POST
@for_me_confirmed
def begin_security_key(request: HttpRequest, user: User) -> HttpResponse:
    """Give the browser what it needs to ask a new security key."""
    from moorage.control.sign_in import security_keys  # noqa: PLC0415 - dear, and for few

    return JsonResponse(security_keys.registration(request, user))


@require_POST
@for_me_confirmed
def add_security_key(request: HttpRequest, user: User) -> HttpResponse:
    """Take what a new security key has answered."""
    from moorage.control.sign_in import security_keys  # noqa: PLC0415 - dear, and for few

    is_first = not has_second_factor(user)
    try:
        security_keys.register(request, user, _answer(request), by=_actor(request, user))
    except ChangeRefused as exc:
        return not_done(request, str(exc), _PAGE)
    return _added(request, user, is_first=is_first)


@require_POST
def begin_key_check(request: HttpRequest) -> HttpResponse:
    """Give the browser of someone who is half signed in what it needs to ask the security key."""
    from moorage.control.sign_in import security_keys  # noqa: PLC0415 - dear, and for few

    half = half_signed_in(request)
    if half is None:
        raise Http404
    return JsonResponse(security_keys.challenge(request, half.user))


@require_POST
def check_key(request: HttpRequest) -> HttpResponse:
    """Sign in by what a security key has answered."""
    from moorage.control.sign_in import security_keys  # noqa: PLC0415 - dear, and for few

    half = half_signed_in(request)
    if half is None:
        return see_other("/-/sign-in")
    if security_keys.is_right(request, half.user, _answer(request)):
        return finish(request, half.user, half.then)
    note_wrong_factor(request)
    return not_done(request, _("The security key was not taken. Try again, or use a code."), "/-/sign-in/second-factor")


def _added(request: HttpRequest, user: User, *, is_first: bool) -> HttpResponse:
    """After the first factor recovery codes are shown; later they are there already.

    Other sessions end with the first one: whoever has the password may be in one of them, and would stay.
    """
    if is_first:
        end_sessions(user, by=_actor(request, user), but=own_session(request))
    if recovery_codes_left(user):
        return done(request, _("The second factor is added."), _PAGE)
    return _codes(request, user)


def _codes(request: HttpRequest, user: User) -> HttpResponse:
    codes = renew_recovery_codes(user, by=_actor(request, user))
    context = {"tab": "factor", "text": "\n".join(codes)}
    return render(request, "sign_in/recovery_codes.html", context, status=201)


def _answer(request: HttpRequest) -> Mapping[str, object]:
    """The answer that the script has put into the form; empty: it is none."""
    text = request.POST.get("answer", "")
    try:
        found = parse_json(text) if len(text) <= _ANSWER_LIMIT else {}
    except ValueError:
        return {}
    return {**found, "name": request.POST.get("name", "")} if isinstance(found, dict) else {}


def _actor(request: HttpRequest, user: User) -> Actor:
    return user.as_actor(str(request.META.get("REMOTE_ADDR", "")))
