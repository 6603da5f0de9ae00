"""``/-/readiness``: whether this node can answer, for a proxy in front and for ``moorage up``."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe


@require_safe
def is_ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database does, else 503."""
    del request
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "failed", "message": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"})
