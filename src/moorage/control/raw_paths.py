"""Paths as clients have sent them: ``%2F`` inside a segment is a part of it, as GitLab's clients write project paths.

A server decodes a path before Django sees it, and ``/projects/group%2Fapp/registry`` would have a slash too many. Where
the server says what was sent, each segment is decoded by itself and keeps its slashes as ``%2F``.
"""

from collections.abc import Callable
from urllib.parse import unquote

from django.http import HttpRequest, HttpResponse, JsonResponse

RAW_PATH_KEYS = ("RAW_URI", "REQUEST_URI")
"""Keys of WSGI's environment: gunicorn and our own server have the first, others the second."""


class RawPathMiddleware:
    """Sets ``path_info`` from the raw path, so that a route's ``{id}`` can have slashes in it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer *request* by its raw path."""
        raw = next((request.META[key] for key in RAW_PATH_KEYS if key in request.META), None)
        if isinstance(raw, str):
            path = raw_path(raw)
            if path is None:
                return JsonResponse({"message": "400 Bad Request"}, status=400)
            request.path_info = request.path = path
        return self._get_response(request)


def raw_path(target: str) -> str | None:
    """Return the path of a request's target, decoded but for slashes; None if it cannot be told from another."""
    path = target.partition("?")[0]
    if "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    # %25 would let %252F pass for %2F once it is decoded.
    if "%25" in path or not path.startswith("/"):
        return None
    return "/".join(unquote(segment, errors="replace").replace("/", "%2F") for segment in path.split("/"))
