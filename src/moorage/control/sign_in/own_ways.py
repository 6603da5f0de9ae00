"""Ways inside the site: where a sign-in leads to."""

from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

_LENGTH_LIMIT = 2000


def own_path(text: str) -> str:
    """Return *text* if it is a path of this site, else home: nobody is led to another's site by a link to ours."""
    is_ours = text.startswith("/") and url_has_allowed_host_and_scheme(text, allowed_hosts=None)
    return text if is_ours and len(text) <= _LENGTH_LIMIT and text.isprintable() else "/"


def next_of(request: HttpRequest) -> str:
    """Return where *request* wants to be led."""
    return own_path(request.POST.get("next") or request.GET.get("next") or "/")


def sign_in_way(then: str, *, again: bool = False, ended: bool = False) -> str:
    """Return the way to sign-in, and from there to *then*.

    *again*: although somebody is signed in; *ended*: somebody was, when a form was begun.
    """
    more = {word: "1" for word, is_so in (("again", again), ("ended", ended)) if is_so}
    return f"{settings.LOGIN_URL}?{urlencode({'next': then, **more})}"


def absolute(request: HttpRequest, path: str) -> str:
    """Return the whole address of one of our paths."""
    host = settings.MOORAGE.configuration.http.host.rstrip("/")
    return host + path if host else request.build_absolute_uri(path)
