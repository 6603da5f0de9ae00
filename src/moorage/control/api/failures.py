"""Errors as answers: every error that a caller can bring about has its status and its body here, and none is a 500."""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.core.exceptions import ObjectDoesNotExist, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from moorage.control.api.api_refusals import APIMoved, APIRefused
from moorage.control.api.parameters import UNKNOWN_NAME
from moorage.control.images.image_refusals import ImageProtected, TagMissing
from moorage.control.overtaken import answer_when_overtaken
from moorage.control.policies.changes import BulkTooSoon
from moorage.control.refusals import ChangeRefused, CredentialsRefused
from moorage.control.registry.registry_errors import RegistryError, RegistryReadOnly
from moorage.errors import Refused, TooManyRequests
from moorage.telemetry import get_log

ROOT = "/api/"

_LOG = get_log("control.api")
_TAKEN = "has already been taken"
_WRONG_VALUES = {"enum", "literal_error", "value_error", "greater_than_equal", "less_than_equal"}
_CONFLICTS = {"Member already exists"}


def answer_failures(api: NinjaAPI) -> None:
    """Have *api* answer errors in GitLab's form."""

    def handle(kind: type[Exception], handler: Callable[[HttpRequest, Any], HttpResponse]) -> None:
        api.add_exception_handler(kind, handler)

    handle(APIRefused, lambda _, exc: JsonResponse(exc.body, status=exc.status))
    handle(APIMoved, _moved)
    handle(CredentialsRefused, lambda _, __: _message(401, "401 Unauthorized"))
    handle(ChangeRefused, _change_refused)
    handle(TooManyRequests, _too_many)
    handle(Refused, lambda _, exc: _message(400, f"400 Bad request - {exc}"))
    handle(ImageProtected, lambda _, exc: _message(403, f"403 Forbidden - {exc}"))
    handle(TagMissing, lambda _, __: _message(404, "404 Tag Not Found"))
    handle(BulkTooSoon, lambda _, exc: _message(400, str(exc)))
    handle(RegistryError, _registry_failed)
    handle(
        RegistryReadOnly, lambda _, __: _message(503, "503 Service Unavailable - The Container Registry is read-only")
    )
    handle(ValidationError, _invalid)
    handle(HttpError, lambda _, exc: _message(exc.status_code, f"{exc.status_code} {exc.message}"))
    handle(RequestDataTooBig, lambda _, __: _message(413, "413 Request Entity Too Large"))
    handle(SuspiciousOperation, lambda _, __: _message(400, "400 Bad Request"))
    handle(MultiPartParserError, lambda _, __: _message(400, "400 Bad Request"))
    handle(DatabaseError, _overtaken)
    handle(ObjectDoesNotExist, _overtaken)


class APIAnswersMiddleware:
    """JSON for all that is answered below ``/api/`` without a view: no such path, no such method, a fault of ours.

    A ``HEAD`` is answered as its ``GET``, without the body. A slash at the end of a path counts for nothing.
    """

    _TEXTS = {404: {"error": "404 Not Found"}, 405: {"error": "405 Not Allowed"}}  # noqa: RUF012 - never altered

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer *request*."""
        if not request.path_info.startswith(ROOT):
            return self._get_response(request)
        _take_slash_off(request)
        is_head = request.method == "HEAD"
        if is_head:
            request.method = "GET"
        found = self._get_response(request)
        if found.status_code >= 400 and not found.headers.get("Content-Type", "").startswith("application/json"):  # noqa: PLR2004 - HTTP's
            body = self._TEXTS.get(found.status_code, {"message": f"{found.status_code} {found.reason_phrase}"})
            found.content = json.dumps(body).encode()
            found.headers["Content-Type"] = "application/json"
            found.headers.pop("Content-Length", None)
        # A cache knows nothing of a token in PRIVATE-TOKEN, and an old path may be somebody else's tomorrow.
        found.headers.setdefault("Cache-Control", "max-age=0, private, must-revalidate")
        return _without_body(found) if is_head else found


def show_no_route(request: HttpRequest) -> HttpResponse:
    """Answer that there is no such path. Without it a change would be taken for a form that lacks its token."""
    del request
    return HttpResponseNotFound()


def _take_slash_off(request: HttpRequest) -> None:
    """Examples in GitLab's documentation have it, as in ``PUT /projects/5/``."""
    if request.path_info.endswith("/"):
        request.path_info, request.path = request.path_info[:-1], request.path.removesuffix("/")


def _without_body(answer: HttpResponseBase) -> HttpResponse:
    if isinstance(answer, StreamingHttpResponse):
        size = sum(len(answer.make_bytes(part)) for part in cast("Iterable[bytes]", answer.streaming_content))
    else:
        size = len(cast("HttpResponse", answer).content)
    found = HttpResponse(status=answer.status_code, headers=answer.headers)
    found.cookies = answer.cookies
    found.headers["Content-Length"] = str(size)
    return found


def _message(status: int, text: object) -> JsonResponse:
    return JsonResponse({"message": text}, status=status)


def _moved(request: HttpRequest, exc: APIMoved) -> HttpResponse:
    """301 in GitLab's words."""
    del request
    headers = {"Location": exc.location}
    return HttpResponse(str(exc), status=301, content_type="text/plain", headers=headers)


def _change_refused(request: HttpRequest, exc: ChangeRefused) -> HttpResponse:
    """400 with the fields; 409 where GitLab has it: a member or a user that is there already."""
    base = exc.problems.get("base", [])
    if set(base) & _CONFLICTS:
        return _message(409, base[0])
    is_user = request.path_info.endswith("/users")
    taken = [field for field, said in exc.problems.items() if _TAKEN in said] if is_user else []
    if taken:
        return _message(409, f"{taken[0].capitalize()} {_TAKEN}")
    if base and len(exc.problems) == 1:
        return _message(400, f"400 Bad request - {'; '.join(base)}")
    return _message(400, exc.problems)


def _registry_failed(request: HttpRequest, exc: RegistryError) -> HttpResponse:
    """503: nothing was lost, and trying again may help. What the registry said is for the log."""
    _LOG.warning("the registry did not do it", path=request.path, reason=str(exc))
    return _message(503, "503 Service Unavailable - Can't connect to the Container Registry")


def _overtaken(request: HttpRequest, exc: Exception) -> HttpResponse:
    """404 or 409, if another request was faster; else the fault is ours."""
    status = answer_when_overtaken(exc)
    if status is None:
        raise exc
    _LOG.warning("another request was faster", path=request.path, reason=str(exc))
    return _message(status, f"{status.value} {status.phrase}")


def _too_many(request: HttpRequest, exc: TooManyRequests) -> HttpResponse:
    del request
    answer = _message(429, "429 Too Many Requests")
    answer["Retry-After"] = str(max(1, int(exc.retry_after.total_seconds())))
    return answer


def _invalid(request: HttpRequest, exc: ValidationError) -> HttpResponse:
    """400 with a word for each parameter, as GitLab's ``error`` has it."""
    del request
    said: list[str] = []
    for error in exc.errors:
        name = _parameter(error["loc"])
        text = error["msg"] if error["type"] == UNKNOWN_NAME else f"{name} {_word(error['type'])}"
        if text not in said:
            said.append(text)
    return JsonResponse({"error": ", ".join(said)}, status=400)


def _parameter(location: tuple[object, ...]) -> str:
    """The name of a parameter: after where it stands (query, path, body) and the name of what holds it."""
    names = [str(part) for part in location if isinstance(part, str)]
    return names[2] if len(names) > 2 else names[-1]  # noqa: PLR2004 - the source, and the argument


def _word(kind: str) -> str:
    if kind == "missing":
        return "is missing"
    return "does not have a valid value" if kind in _WRONG_VALUES else "is invalid"
