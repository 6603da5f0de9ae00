"""``/-/readiness``: whether this node can answer, for a proxy in front and for ``moorage up``.

``OPTIONS /`` is answered in the same way: it is how HAProxy asks unless it is told otherwise.
"""

import threading

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_http_methods

READS = ("GET", "HEAD", "OPTIONS")

_DEADLINE_S = 3.0
_ASKING = threading.Lock()
"""Held by the thread that asks the database: one that hangs has no other threads, which answer people, wait for it."""


@require_http_methods(READS)
def is_ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 if the database does, else 503."""
    allowed = {"Allow": ", ".join(READS)} if request.method == "OPTIONS" else {}
    if _answers():
        return JsonResponse({"status": "ok"}, headers=allowed)
    return JsonResponse({"status": "failed", "message": "the database does not answer"}, status=503)


def _answers() -> bool:
    if not _ASKING.acquire(timeout=_DEADLINE_S):
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    finally:
        _ASKING.release()
    return True
