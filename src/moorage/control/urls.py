"""The routes of the control plane: each room that answers requests has its own, and is named here."""

from django.urls import URLPattern, URLResolver, path

from moorage.control.api import events
from moorage.control.readiness import is_ready
from moorage.control.tokens.views import give_token

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/readiness", is_ready),
    path("jwt/auth", give_token),
    path(events.ROUTE, events.receive_events),
    # /api/v4, sign-in and the pages are included here.
]
