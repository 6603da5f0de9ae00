"""The routes of the control plane: each room that answers requests has its own, and is named here."""

from django.urls import URLPattern, URLResolver, path

from moorage.control.readiness import is_ready
from moorage.control.tokens.views import give_token

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/readiness", is_ready),
    path("jwt/auth", give_token),
    # /api/v4, sign-in and the pages are included here.
]
