"""The routes of the control plane: each room that answers requests has its own, and is named here."""

from django.urls import URLPattern, URLResolver, path

from moorage.control.readiness import is_ready

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/readiness", is_ready),
    # The token endpoint, /api/v4, sign-in and the pages are included here.
]
