"""``/-/readiness``: whether this node can answer, for a proxy in front and for ``moorage up``.

``OPTIONS /`` is answered in the same way: it is how HAProxy asks unless it is told otherwise.
"""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

READS = ("GET", "HEAD", "OPTIONS")


@require_http_methods(READS)
def is_ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database does, else 503."""
    allowed = {"Allow": ", ".join(READS)} if request.method == "OPTIONS" else {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "failed", "message": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"}, headers=allowed)
