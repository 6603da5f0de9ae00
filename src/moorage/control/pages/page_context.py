"""Names that every template may use: the site, who is signed in, and the ways to pages of other rooms."""

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from moorage import __version__
from moorage.control.pages.requesting import request_id_of, user_of_page

_ELSEWHERE = ("sign-in", "sign-out", "own-tokens", "own-sessions", "own-settings")
"""Names of routes of the room of sign-in, if it is there: a way that is not there is not drawn."""


def site(request: HttpRequest) -> dict[str, object]:
    """Return the names that all templates know."""
    return {
        "site_host": settings.MOORAGE.configuration.registry.host_port,
        "site_version": __version__,
        "me": user_of_page(request),
        "request_id": request_id_of(request),
        "ways": {name.replace("-", "_"): _way(name) for name in _ELSEWHERE},
        "here": request.get_full_path(),
    }


def _way(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
