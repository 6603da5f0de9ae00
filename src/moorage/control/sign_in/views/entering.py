"""Sign-in by a password, its second factor, and sign-out."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from moorage.control.accounts.models import FactorKind, User
from moorage.control.accounts.second_factors import is_code_right
from moorage.control.credentials.finding import known_by_password
from moorage.control.credentials.guesses import GUESSES
from moorage.control.ldap.directories import directories
from moorage.control.ldap.people import DirectoryPerson, DirectoryUnavailable
from moorage.control.pages.page_answers import see_other
from moorage.control.pages.requesting import user_of_page
from moorage.control.refusals import PasswordChangeNeeded
from moorage.control.sign_in.directory_users import user_of_person
from moorage.control.sign_in.external_users import StrangerRefused
from moorage.control.sign_in.own_ways import next_of
from moorage.control.sign_in.sessions import end_this
from moorage.control.sign_in.sign_in_forms import CodeForm, SignInForm
from moorage.control.sign_in.signing_in import begin, finish, half_signed_in, note_wrong_factor
from moorage.errors import TooManyRequests
from moorage.telemetry import get_log

_log = get_log("control.sign_in")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a password, and sign in by them."""
    then, is_again = next_of(request), "again" in request.GET
    if request.method != "POST":
        if user_of_page(request) is not None and not is_again:
            return see_other(then)
        return _form(request, SignInForm(), status=200)
    form, status = SignInForm(request.POST), 200
    if form.is_valid():
        try:
            user = _user(request, form)
        except (DirectoryUnavailable, PasswordChangeNeeded, StrangerRefused) as exc:
            return _refused(request, form, exc)
        except TooManyRequests as exc:
            form.add_error(None, _("Too many wrong passwords lately. Wait a moment, then try again."))
            answer = _form(request, form, status=429)
            answer.headers["Retry-After"] = str(max(1, int(exc.retry_after.total_seconds())))
            return answer
        if user is not None:
            return begin(request, user, then)
        status = 401
        form.add_error("password", _("User name and password do not belong together."))
    return _form(request, form, status=status)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def ask_second_factor(request: HttpRequest) -> HttpResponse:
    """Ask for a code, or for a security key."""
    half = half_signed_in(request)
    if half is None:
        return see_other(settings.LOGIN_URL)
    form = CodeForm(request.POST if request.method == "POST" else None)
    status = 200
    if form.is_bound and form.is_valid():
        if _is_right(request, half.user, form.cleaned_data["code"]):
            return finish(request, half.user, half.then)
        note_wrong_factor(request)
        if half_signed_in(request) is None:
            return see_other(settings.LOGIN_URL)
        status = 401
        form.add_error("code", _("This is not a code that is taken now. Each is taken once."))
    kinds = set(half.user.second_factors.values_list("kind", flat=True))
    context = {"form": form, "has_keys": FactorKind.WEBAUTHN in kinds, "has_totp": FactorKind.TOTP in kinds}
    return _private(render(request, "sign_in/second_factor.html", context, status=status))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session."""
    end_this(request)
    return see_other(settings.LOGIN_URL)


def _refused(
    request: HttpRequest, form: SignInForm, exc: DirectoryUnavailable | PasswordChangeNeeded | StrangerRefused
) -> HttpResponse:
    if isinstance(exc, PasswordChangeNeeded):
        form.add_error(None, _("Your password has to be changed in the directory first; then sign in by the new one."))
        return _form(request, form, status=403)
    if isinstance(exc, StrangerRefused):
        form.add_error(None, _(exc.message))
        return _form(request, form, status=403)
    form.add_error(None, _("The directory that knows your password does not answer. Try again in a moment."))
    return _form(request, form, status=503)


def _user(request: HttpRequest, form: SignInForm) -> User | None:
    address = str(request.META.get("REMOTE_ADDR", ""))
    found = known_by_password(form.cleaned_data["login"], form.cleaned_data["password"], address=address)
    user = user_of_person(found) if isinstance(found, DirectoryPerson) else found
    if user is None:  # The name may be a secret that was typed into the wrong place: it is not written.
        _log.warning("sign-in refused", remote=address)
    return user


def _is_right(request: HttpRequest, user: User, code: str) -> bool:
    """Check a code, with wrong ones counted as wrong passwords are."""
    address, account = str(request.META.get("REMOTE_ADDR", "")), f"second factor of {user.pk}"
    GUESSES.see_that_it_is_open(address, account=account, is_strict=True)
    if is_code_right(user, code):
        GUESSES.note_right(address, account=account)
        return True
    GUESSES.note_wrong(address, account=account)
    _log.warning("second factor refused", user=user.username, remote=address)
    return False


def _form(request: HttpRequest, form: SignInForm, *, status: int) -> HttpResponse:
    oidc = settings.MOORAGE.configuration.sign_in.oidc
    context = {
        "form": form,
        "next": next_of(request),
        "provider": oidc.label if oidc.is_on else "",
        "directories": ", ".join(server.label for server in directories().values()),
        "user_again": user_of_page(request),
        "has_ended": "ended" in request.GET,
    }
    return _private(render(request, "sign_in/sign_in.html", context, status=status))


def _private(answer: HttpResponse) -> HttpResponse:
    answer.headers["Cache-Control"] = "no-store"
    return answer
