"""Pages of one's own account: password, sessions, access tokens."""

import uuid

from django.contrib.auth import update_session_auth_hash
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.accounts.changes import change_password
from moorage.control.accounts.models import FactorKind, PersonalAccessToken, User
from moorage.control.accounts.second_factors import accepts_password_for_git, recovery_codes_left
from moorage.control.accounts.token_changes import IssuedToken, create_token, revoke_token
from moorage.control.audit.actors import Actor
from moorage.control.credentials.finding import user_of_password
from moorage.control.pages.key_pages import COUNT_LIMIT, PLAIN_ROWS, ListOrder, key_page
from moorage.control.pages.page_answers import done
from moorage.control.refusals import ChangeRefused
from moorage.control.sign_in.guards import for_me
from moorage.control.sign_in.sessions import end_sessions, own_session, sessions_of
from moorage.control.sign_in.sign_in_forms import PasswordForm, TokenForm

_TOKEN_ORDERS = (ListOrder(word="-made", field="id"),)
_SETTINGS, _SESSIONS, _TOKENS = "/-/me/settings", "/-/me/sessions", "/-/me/tokens"


@require_safe
@for_me
def show_settings(request: HttpRequest, user: User) -> HttpResponse:
    """Show the account: who I am, how I sign in."""
    return _settings(request, user, PasswordForm())


@require_POST
@for_me
def change_own_password(request: HttpRequest, user: User) -> HttpResponse:
    """Change the password; other sessions end."""
    form = PasswordForm(request.POST)
    if form.is_valid() and user.has_usable_password() and _takes_password(request, user, form):
        update_session_auth_hash(request, user)  # The session goes on, with another key.
        end_sessions(user, by=_actor(request, user), but=own_session(request))
        return done(request, _("The password is changed, and other sessions are ended."), _SETTINGS)
    return _settings(request, user, form, status=422)


@require_safe
@for_me
def list_sessions(request: HttpRequest, user: User) -> HttpResponse:
    """List where I am signed in."""
    context = {"tab": "sessions", "sessions": sessions_of(user), "own": own_session(request)}
    return render(request, "sign_in/sessions.html", context)


@require_POST
@for_me
def end_session(request: HttpRequest, user: User, session: uuid.UUID) -> HttpResponse:
    """End one of my sessions."""
    if session == own_session(request):
        raise Http404
    end_sessions(user, by=_actor(request, user), only=session)
    return done(request, _("The session is ended."), _SESSIONS)


@require_POST
@for_me
def end_other_sessions(request: HttpRequest, user: User) -> HttpResponse:
    """End all my sessions but this one."""
    count = end_sessions(user, by=_actor(request, user), but=own_session(request))
    text = ngettext("%d other session is ended.", "%d other sessions are ended.", count) % count
    return done(request, text, _SESSIONS)


@require_http_methods(["GET", "HEAD", "POST"])
@for_me
def show_tokens(request: HttpRequest, user: User) -> HttpResponse:
    """List my access tokens, and make one, which is shown this once."""
    form, issued, status = TokenForm(request.POST if request.method == "POST" else None), None, 200
    if form.is_bound:
        issued = _issued(request, user, form)
        form, status = (TokenForm(), 201) if issued is not None else (form, 422)
    rows = PersonalAccessToken.objects.filter(user=user)
    page = key_page(request, rows.usable(timezone.now().date()), _TOKEN_ORDERS, size=PLAIN_ROWS)
    context = {
        "tab": "tokens",
        "form": form,
        "issued": issued,
        "page": page,
        "ended": max(0, rows[: COUNT_LIMIT + 1].count() - page.total),
        "is_needed": not accepts_password_for_git(user) or not user.has_usable_password(),
    }
    return render(request, "sign_in/tokens.html", context, status=status)


@require_POST
@for_me
def revoke_own_token(request: HttpRequest, user: User, number: int) -> HttpResponse:
    """Take back one of my tokens."""
    token = PersonalAccessToken.objects.filter(user=user, pk=number).first()
    if token is None:
        raise Http404
    revoke_token(token, by=_actor(request, user))
    return done(request, _("The token is revoked: nothing opens with it any more."), _TOKENS)


def _settings(request: HttpRequest, user: User, form: PasswordForm, *, status: int = 200) -> HttpResponse:
    context = {
        "tab": "settings",
        "form": form if user.has_usable_password() else None,
        "factors": user.second_factors.exclude(kind=FactorKind.RECOVERY).order_by("pk"),
        "codes_left": recovery_codes_left(user),
        "identities": user.identities.order_by("provider"),
        "takes_password": accepts_password_for_git(user),
    }
    return render(request, "sign_in/settings.html", context, status=status)


def _takes_password(request: HttpRequest, user: User, form: PasswordForm) -> bool:
    """Check the current password and take the new one."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    if user_of_password(user.username, form.cleaned_data["current"], address=address) != user:
        form.add_error("current", _("This is not the current password."))
        return False
    return form.carries_out(lambda: change_password(user, form.cleaned_data["password"], by=user.as_actor(address)))


def _issued(request: HttpRequest, user: User, form: TokenForm) -> IssuedToken | None:
    if not form.is_valid():
        return None
    values = form.cleaned_data
    try:
        return create_token(
            user, values["name"], values["scopes"], by=_actor(request, user), expires_at=values["expires_at"]
        )
    except ChangeRefused as exc:
        form.take_refusal(exc)
        return None


def _actor(request: HttpRequest, user: User) -> Actor:
    return user.as_actor(str(request.META.get("REMOTE_ADDR", "")))
