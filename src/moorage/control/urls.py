"""The routes of the control plane: each room that answers requests has its own, and is named here."""

from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.csrf import csrf_exempt

from moorage.control.api import events
from moorage.control.api.application import API
from moorage.control.api.failures import show_no_route
from moorage.control.pages import failing
from moorage.control.readiness import is_ready
from moorage.control.tokens.views import give_token
from moorage.gitlab_site.site_paths import EVENTS_PATH, TOKENS_PATH

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/readiness", is_ready),
    path(TOKENS_PATH[1:], give_token),
    path(EVENTS_PATH[1:], events.receive_events),
    path("api/v4/", API.urls),
    re_path("^api(?:/|$)", csrf_exempt(show_no_route)),
    path("", include("moorage.control.sign_in.routes")),
    # The pages come last, as they take every path.
    path("", include("moorage.control.pages.routes")),
]
handler400 = failing.mistaken_page
handler403 = failing.refused_page
handler404 = failing.missing_page
handler500 = failing.broken_page
