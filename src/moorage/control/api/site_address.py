"""The address of this site, as answers name it."""

from django.conf import settings
from django.http import HttpRequest


def site_url(request: HttpRequest) -> str:
    """Return the address of this site without a slash at its end: as configured, else as the caller has it."""
    configured: str = settings.MOORAGE.configuration.http.host
    return (configured or request.build_absolute_uri("/")).rstrip("/")
