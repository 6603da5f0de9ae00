"""The common part of all pages: its headers, its language, and an answer in words to each error of a caller."""

from collections.abc import Callable
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.locale import LocaleMiddleware

from moorage.control.api.api_refusals import APIRefused
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.overtaken import answer_when_overtaken
from moorage.control.pages.failing import failure_page, read_only_page, registry_page
from moorage.control.pages.page_answers import see_other, way_back
from moorage.control.pages.requesting import user_of_page
from moorage.control.pages.room_texts import said_of
from moorage.control.registry.registry_errors import RegistryError, RegistryReadOnly
from moorage.errors import Refused, TooManyRequests
from moorage.telemetry import get_log

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; font-src 'none'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from another host, and nothing that stands in the page itself."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_MACHINES = ("/api/", "/jwt/", "/-/readiness")

_log = get_log("control.pages")


def is_page(request: HttpRequest) -> bool:
    """Return whether people read the answer, and not programs."""
    return not request.path_info.startswith(_MACHINES)


class PageLanguageMiddleware(LocaleMiddleware):
    """Pages in the reader's language; what programs read stays English."""

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language by what the browser says."""
        if is_page(request):
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:  # type: ignore[override] # the stubs have the base's
        """Say which language it is."""
        if is_page(request):
            super().process_response(request, response)
        return response


class PageSafetyMiddleware:
    """Headers of pages, and pages for errors that the rooms raise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer *request*."""
        response = _null_page(request) if is_page(request) else None
        response = response or self._get_response(request)
        if is_page(request):
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: object, kwargs: object
    ) -> HttpResponse | None:
        """Lead whoever sends a form and is not signed in any more to sign-in: nobody else has a form to send."""
        del view, args, kwargs
        is_ours = request.resolver_match is not None and request.resolver_match.app_name == "pages"
        return _to_sign_in(request) if is_ours and request.method == "POST" and user_of_page(request) is None else None

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """Return the page of an error; None: it is not a caller's."""
        return _answer(request, exc) if is_page(request) else None


def _null_page(request: HttpRequest) -> HttpResponse | None:
    """The answer to an address with a null character, for which PostgreSQL has no room; Django looks into forms."""
    if "\0" in request.path_info:
        return failure_page(request, 404)
    return failure_page(request, 400) if "%00" in request.META.get("QUERY_STRING", "") else None


def _answer(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    match exc:
        case APIRefused():
            answer = _refused_by_right(request, exc)
        case RegistryReadOnly():
            answer = read_only_page(request)
        case RegistryError():
            _log.warning("the registry did not do it", path=request.path, reason=str(exc))
            answer = registry_page(request)
        case TooManyRequests():
            answer = failure_page(request, 429)
            answer.headers["Retry-After"] = str(max(1, int(exc.retry_after.total_seconds())))
        case ImageProtected():
            answer = failure_page(request, 403, said_of(exc))
        case Refused():
            answer = failure_page(request, 400, said_of(exc))
        case _:
            return _overtaken(request, exc)
    return answer


def _overtaken(request: HttpRequest, exc: Exception) -> HttpResponse | None:
    """The page for whom another request was faster than; None: the fault is ours."""
    status = answer_when_overtaken(exc)
    if status is None:
        return None
    _log.warning("another request was faster", path=request.path, reason=str(exc))
    return failure_page(request, status)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    way = {"next": way_back(request)}
    if request.method == "POST":
        return see_other(f"{settings.LOGIN_URL}?{urlencode({**way, 'ended': '1'})}")
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode(way)}")


def _refused_by_right(request: HttpRequest, exc: APIRefused) -> HttpResponse:
    """A refusal of the API as a page: a 401 leads to sign-in."""
    if exc.status == 401:  # noqa: PLR2004 - HTTP's
        return _to_sign_in(request)
    if exc.status == 404:  # noqa: PLR2004 - HTTP's
        return failure_page(request, 404)
    return failure_page(request, exc.status)
