"""``POST /api/v4/container_registry_event/events``: the registry's notifications. See ``events.intake``."""

from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from moorage.control.events.intake import EventsInvalid, is_from_registry, read_events, take_in
from moorage.control.tokens.refused_access import note_told
from moorage.errors import NameInvalid

MEDIA_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.events.v1+json",
        "application/vnd.docker.distribution.events.v2+json",
        "application/json",
    }
)
"""GitLab takes the first and the last one; Distribution 3 sends the same events with the other."""


@csrf_exempt
@require_POST
def receive_events(request: HttpRequest) -> HttpResponse:
    """Take events in, from who knows ``registry.notification_secret``."""
    registry = settings.MOORAGE.configuration.registry
    is_known = is_from_registry(request.headers.get("Authorization", ""), registry.notification_secret)
    if not (registry.enabled and is_known):
        status = 401 if registry.enabled else 404
        return JsonResponse({"message": f"{status} {HTTPStatus(status).phrase}"}, status=status)
    if (request.content_type or "") not in MEDIA_TYPES:
        return JsonResponse({"error": "The provided content-type is not supported."}, status=406)
    try:
        events = read_events(request.body)
    except RequestDataTooBig:
        return JsonResponse({"message": "413 Request Entity Too Large"}, status=413)
    except EventsInvalid as exc:
        return JsonResponse({"error": exc.message}, status=400)
    except NameInvalid:
        return JsonResponse({"message": "400 Bad request - Invalid repository path"}, status=400)
    take_in(events)
    note_told(events)
    return HttpResponse(status=200)
