"""Pages for administrators: is everything well, and what to do when it is not."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.images.models import ImageRepository, ImageStatus
from moorage.control.namespaces.models import Namespace
from moorage.control.pages.requesting import user_of_page
from moorage.control.policies.questions import projects_without_cleanup
from moorage.control.projects.models import Project
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError
from moorage.control.registry.registry_values import RegistryInfo


def administrator_of(request: HttpRequest) -> User:
    """Return the administrator who asks.

    Raises:
        APIRefused: it is someone else.
    """
    user = user_of_page(request)
    if user is None:
        raise unauthorized()
    if not user.is_admin:
        raise forbidden()
    return user


@require_safe
def show_overview(request: HttpRequest) -> HttpResponse:
    """Show whether everything is well."""
    administrator_of(request)
    info, said = _registry()
    context = {
        "section": "admin",
        "tab": "overview",
        "info": info,
        "said": said,
        "users": User.objects.humans().count(),
        "groups": Namespace.objects.groups().count(),
        "projects": Project.objects.count(),
        "repositories": ImageRepository.objects.count(),
        "going": ImageRepository.objects.to_delete().count(),
        "failed": ImageRepository.objects.filter(status=ImageStatus.DELETE_FAILED).count(),
        "without_cleanup": projects_without_cleanup().count(),
    }
    return render(request, "pages/admin/overview.html", context)


def _registry() -> tuple[RegistryInfo | None, str]:
    """The registry as it describes itself; None: it does not answer, and why."""
    try:
        return the_registry().info(is_fresh=True), ""
    except RegistryError as exc:
        return None, str(exc)
