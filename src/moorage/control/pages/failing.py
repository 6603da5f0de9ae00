"""Pages of what did not go well: each says what it was, what to do, and the id of the request."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from moorage.control.pages.requesting import request_id_of


def failure_page(
    request: HttpRequest, status: int, said: str = "", *, words: tuple[str, str] | None = None
) -> HttpResponse:
    """Return the page of a status.

    *said*: more about it, in words. *words*: another title and another advice than the status has.
    """
    title, advice = words or _words(status)
    context = {"title": title, "advice": advice, "said": said, "status": status, "request_id": request_id_of(request)}
    return render(request, "pages/failure.html", context, status=status)


def registry_page(request: HttpRequest) -> HttpResponse:
    """Return the page that says that the registry does not answer."""
    return failure_page(request, HTTPStatus.SERVICE_UNAVAILABLE)


def read_only_page(request: HttpRequest) -> HttpResponse:
    """Return the page that says that the registry takes no changes."""
    words = (
        _("The registry is read-only"),
        _("An administrator has switched it so for maintenance. Nothing was changed: try again when that is over."),
    )
    return failure_page(request, HTTPStatus.SERVICE_UNAVAILABLE, words=words)


def refused_page(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the page of a 403."""
    del exception
    return failure_page(request, HTTPStatus.FORBIDDEN)


def missing_page(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the page of a 404."""
    del exception
    return failure_page(request, HTTPStatus.NOT_FOUND)


def mistaken_page(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the page of a 400."""
    del exception
    return failure_page(request, HTTPStatus.BAD_REQUEST)


def broken_page(request: HttpRequest) -> HttpResponse:
    """Return the page of a fault of ours. It asks nothing of the database, which may be what is broken."""
    title, advice = _words(HTTPStatus.INTERNAL_SERVER_ERROR)
    context = {"title": title, "advice": advice, "status": 500, "request_id": request_id_of(request)}
    return HttpResponse(render_to_string("pages/broken.html", context), status=HTTPStatus.INTERNAL_SERVER_ERROR)


def unsafe_form_page(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page of a form that came without its secret."""
    del reason
    return failure_page(
        request,
        HTTPStatus.FORBIDDEN,
        _("The form was too old, or the browser keeps no cookies. Nothing was changed: reload, and send it again."),
    )


def _words(status: int) -> tuple[str, str]:
    """The title, and what to do."""
    texts = {
        HTTPStatus.NOT_FOUND: (
            _("There is nothing here"),
            _(
                "The address is wrong, the thing has moved or gone, or you may not see it. Look for it, or ask its "
                "owners."
            ),
        ),
        HTTPStatus.FORBIDDEN: (
            _("You may not do this"),
            _("Your role is not enough. An owner of the project or group can raise it."),
        ),
        HTTPStatus.CONFLICT: (
            _("Somebody else was faster"),
            _(
                "Nothing was changed by this request, as the same thing was changed at the same moment. Go back, "
                "reload, and see whether it still is as you want it."
            ),
        ),
        HTTPStatus.SERVICE_UNAVAILABLE: (
            _("The registry does not answer"),
            _(
                "Nothing was lost, and nothing was changed by this request. Try again in a moment; administrators "
                "find the reason in the log."
            ),
        ),
        HTTPStatus.TOO_MANY_REQUESTS: (_("Too many requests"), _("Wait a moment, then try again.")),
        HTTPStatus.INTERNAL_SERVER_ERROR: (
            _("Something is broken here"),
            _("It is our fault, not yours. Tell an administrator the id below: the log has the reason under it."),
        ),
    }
    other = _("This request makes no sense"), _("Nothing was changed. Go back and look at what was sent.")
    return texts.get(HTTPStatus(status), other)
