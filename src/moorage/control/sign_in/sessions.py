"""Sessions: begun, looked at with each page, ended here or everywhere."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from moorage.control.accounts.models import User
from moorage.control.accounts.second_factors import needs_second_factor
from moorage.control.audit.actors import Actor
from moorage.control.audit.changes import record
from moorage.control.pages.page_answers import see_other
from moorage.control.pages.page_safety import is_page
from moorage.control.pages.requesting import user_of_page
from moorage.control.sign_in.models import SignedInSession

CONFIRMED_FOR = timedelta(minutes=15)
"""Time after a sign-in in which second factors may be changed; later it is asked for again."""
BYPASS_KEY = "has_second_factor_elsewhere"
"""Of a session whose provider has seen to the second factor."""

_ROW_KEY = "signed_in"
_SEEN_AGE = timedelta(minutes=5)
_CLEARED_AT_ONCE = 500
_ADDRESS_LIMIT, _AGENT_LIMIT = 64, 255
_OPEN_PATHS = ("/-/me/second-factor", "/-/sign-out", "/-/sign-in", "/-/me/password")
"""Pages for someone who has to set up a second factor first."""


def note_session(sender: object, request: HttpRequest, user: User, **_more: object) -> None:
    """Write a new session down; a receiver of Django's signal."""
    del sender
    before = request.session.get(_ROW_KEY)
    if before:
        SignedInSession.objects.filter(pk=before).delete()
    agent = str(request.META.get("HTTP_USER_AGENT", "")).encode("ascii", "replace").decode()
    address = str(request.META.get("REMOTE_ADDR", ""))
    row = SignedInSession.objects.create(user=user, address=address[:_ADDRESS_LIMIT], agent=agent[:_AGENT_LIMIT])
    request.session[_ROW_KEY] = str(row.pk)
    _clear_old()


def own_session(request: HttpRequest) -> uuid.UUID | None:
    """Return the id of the session that *request* came in."""
    text = request.session.get(_ROW_KEY)
    return uuid.UUID(text) if text else None


def sessions_of(user: User) -> Sequence[SignedInSession]:
    """List the sessions of *user* that are not over, the last used first."""
    rows = SignedInSession.objects.filter(user=user, started_at__gt=_started_after(), seen_at__gt=_seen_after())
    return list(rows.order_by("-seen_at")[:200])


@transaction.atomic
def end_sessions(user: User, *, by: Actor, only: uuid.UUID | None = None, but: uuid.UUID | None = None) -> int:
    """End the sessions of *user*, from their next request on; return how many."""
    rows = SignedInSession.objects.filter(user=user)
    if only is not None:
        rows = rows.filter(pk=only)
    if but is not None:
        rows = rows.exclude(pk=but)
    count, _ = rows.delete()
    if count:
        record("sessions_ended", user, by=by, count=count)
    return count


def end_this(request: HttpRequest) -> None:
    """Sign out of the session that *request* came in."""
    row = own_session(request)
    if row is not None:
        SignedInSession.objects.filter(pk=row).delete()
    logout(request)


def is_confirmed(request: HttpRequest) -> bool:
    """Return whether the sign-in of this session is not long ago."""
    row = own_session(request)
    after = timezone.now() - CONFIRMED_FOR
    return row is not None and SignedInSession.objects.filter(pk=row, started_at__gt=after).exists()


class SignedInMiddleware:
    """Ends sessions whose time is over or that were ended elsewhere, and leads to the second factor that is missing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer *request*."""
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES and is_page(request)
        user = user_of_page(request) if has_session else None
        if user is not None:
            if not _is_going_on(request, user):
                end_this(request)
            elif _has_to_set_up(request, user):
                return see_other("/-/me/second-factor")
        return self._get_response(request)


def _is_going_on(request: HttpRequest, user: User) -> bool:
    key, now = own_session(request), timezone.now()
    row = SignedInSession.objects.filter(pk=key, user=user).first() if key is not None else None
    if row is None or row.started_at <= _started_after() or row.seen_at <= _seen_after():
        return False
    if now - row.seen_at >= _SEEN_AGE:
        address = str(request.META.get("REMOTE_ADDR", ""))[:_ADDRESS_LIMIT]
        SignedInSession.objects.filter(pk=row.pk).update(seen_at=now, address=address)
    return True


def _has_to_set_up(request: HttpRequest, user: User) -> bool:
    if request.session.get(BYPASS_KEY) or request.path_info.startswith(_OPEN_PATHS):
        return False
    return needs_second_factor(user)


def _started_after() -> datetime:
    return timezone.now() - timedelta(minutes=settings.MOORAGE.configuration.sign_in.session_limit)


def _seen_after() -> datetime:
    return timezone.now() - timedelta(minutes=settings.MOORAGE.configuration.sign_in.session_idle)


def _clear_old() -> None:
    """Take away what is over: a few at each sign-in, so that the tables stay small without a job."""
    old = SignedInSession.objects.filter(started_at__lte=_started_after()).values_list("pk", flat=True)
    SignedInSession.objects.filter(pk__in=list(old[:_CLEARED_AT_ONCE])).delete()
    over = Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)
    Session.objects.filter(pk__in=list(over[:_CLEARED_AT_ONCE])).delete()
