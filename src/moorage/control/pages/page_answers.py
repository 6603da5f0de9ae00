"""Answers that pages give after a change: a notice, and the way to the page that shows it."""

from http import HTTPStatus
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponseRedirect


def way_back(request: HttpRequest) -> str:
    """Return the page to come back to after sign-in: a form is not sent again, so that is the page that it was on."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    page = urlsplit(request.META.get("HTTP_REFERER", ""))
    if page.netloc != request.get_host():
        return "/"
    return f"{page.path}?{page.query}" if page.query else page.path


def see_other(address: str) -> HttpResponseRedirect:
    """Lead to *address* after a form was sent, so that a reload sends nothing again."""
    return HttpResponseRedirect(address, status=HTTPStatus.SEE_OTHER)


def done(request: HttpRequest, text: str, address: str, *, undo: str = "") -> HttpResponseRedirect:
    """Say that something was done, and lead to *address*; *undo*: where a form takes it back."""
    messages.success(request, text, extra_tags=undo)
    return see_other(address)


def not_done(request: HttpRequest, text: str, address: str) -> HttpResponseRedirect:
    """Say why something was not done, and lead to *address*."""
    messages.error(request, text)
    return see_other(address)
