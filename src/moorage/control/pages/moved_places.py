"""The way from an address that was left to where the group, project or repository is now, for those who may see it."""

from collections.abc import Callable
from urllib.parse import quote

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.utils.translation import gettext as _

from moorage.control.namespaces.models import Namespace, OldPath, PlaceKind
from moorage.control.namespaces.old_paths import places_once_at
from moorage.control.pages.page_safety import is_page
from moorage.control.pages.places import place_at
from moorage.control.pages.requesting import user_of_page
from moorage.control.projects.models import Project

_PARTS_LIMIT = 30


class MovedPlacesMiddleware:
    """Answers for addresses that were left."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer *request*."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Return the way to what is somewhere else now; None: it is not."""
        return way_to_moved(request) if isinstance(exc, Http404) and is_page(request) else None


def way_to_moved(request: HttpRequest) -> HttpResponsePermanentRedirect | None:
    """Return the way to the new address of what was at this one; None: nothing was that the person may see.

    Source: GitLab ``app/controllers/concerns/routable_actions.rb``.
    """
    if request.method not in {"GET", "HEAD"}:
        return None
    named, sign, page = request.path_info.lstrip("/").partition("/-/")
    parts = named.split("/")
    for row in places_once_at(["/".join(parts[: count + 1]) for count in range(min(len(parts), _PARTS_LIMIT))]):
        # Below a project are its repositories; what is below a group has an old path of its own.
        now = _path_now(request, row) if row.kind == PlaceKind.PROJECT or len(row.path) == len(named) else None
        if now is not None:
            _say(request, named[: len(row.path)], now)
            address = quote(f"/{now}{named[len(row.path) :]}{sign}{page}", safe="/%:@")
            query = request.META.get("QUERY_STRING", "")
            return HttpResponsePermanentRedirect(f"{address}?{query}" if query else address)
    return None


def _path_now(request: HttpRequest, row: OldPath) -> str | None:
    table = Project if row.kind == PlaceKind.PROJECT else Namespace
    place = table.objects.filter(pk=row.place_id).first()
    if place is None:
        return None
    try:
        place_at(request, place.full_path)
    except Http404:
        return None
    return place.full_path


def _say(request: HttpRequest, old: str, new: str) -> None:
    if user_of_page(request) is not None:  # Nobody else has a session, and a notice would make one.
        text = _("This has moved from %(old)s to %(new)s: links and bookmarks want the new address.")
        messages.info(request, text % {"old": old, "new": new})
