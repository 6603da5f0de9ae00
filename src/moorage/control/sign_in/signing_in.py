"""The steps from right credentials to a session: a second factor where there is one, then the sign-in itself."""

import time
from dataclasses import dataclass

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse

from moorage.control.accounts.changes import note_sign_in
from moorage.control.accounts.models import User, UserState
from moorage.control.accounts.second_factors import has_second_factor
from moorage.control.pages.page_answers import see_other
from moorage.control.sign_in.own_ways import own_path
from moorage.control.sign_in.sessions import BYPASS_KEY, end_this
from moorage.telemetry import get_log

_BACKEND = "django.contrib.auth.backends.ModelBackend"
_PENDING_KEY = "half_signed_in"
_PENDING_S = 600
_TRIES = 5

_log = get_log("control.sign_in")


@dataclass(frozen=True, slots=True)
class HalfSignedIn:
    """Someone whose first factor was right."""

    user: User
    then: str


def begin(request: HttpRequest, user: User, then: str, *, has_factor_elsewhere: bool = False) -> HttpResponse:
    """Sign *user* in, or ask for the second factor first."""
    if has_second_factor(user) and not has_factor_elsewhere:
        request.session.cycle_key()
        request.session[_PENDING_KEY] = {
            "user": user.pk,
            "hash": user.get_session_auth_hash(),
            "then": then,
            "at": int(time.time()),
            "tries": _TRIES,
        }
        return see_other("/-/sign-in/second-factor")
    return finish(request, user, then, has_factor_elsewhere=has_factor_elsewhere)


def finish(request: HttpRequest, user: User, then: str, *, has_factor_elsewhere: bool = False) -> HttpResponse:
    """Give *user* a session with a new key, and lead on."""
    end_this(request)  # Nothing of an older session stays, neither its key nor what was put into it.
    login(request, user, backend=_BACKEND)
    if has_factor_elsewhere:
        request.session[BYPASS_KEY] = True
    address = str(request.META.get("REMOTE_ADDR", ""))
    note_sign_in(user, by=user.as_actor(address))
    _log.info("signed in", user=user.username, remote=address)
    return see_other(own_path(then))


def half_signed_in(request: HttpRequest) -> HalfSignedIn | None:
    """Return whose second factor is awaited; None: nobody's, or no longer."""
    found = request.session.get(_PENDING_KEY)
    if not found or time.time() - found["at"] > _PENDING_S or found["tries"] <= 0:
        request.session.pop(_PENDING_KEY, None)
        return None
    user = User.objects.humans().filter(pk=found["user"], state=UserState.ACTIVE).first()
    if user is None or user.get_session_auth_hash() != found["hash"]:
        return None
    return HalfSignedIn(user, own_path(found["then"]))


def note_wrong_factor(request: HttpRequest) -> None:
    """Count a wrong second factor: after a few the password is asked for again."""
    found = request.session.get(_PENDING_KEY)
    if found:
        request.session[_PENDING_KEY] = {**found, "tries": found["tries"] - 1}
