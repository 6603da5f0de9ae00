"""The registry of a project and of a group: its repositories, their deletion, and the first push."""

from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.api.api_refusals import forbidden, not_found, unauthorized
from moorage.control.api.lookups import FoundGroup, FoundProject
from moorage.control.images.changes import ensure_root_repository, retry_deletion, schedule_deletion
from moorage.control.images.models import DELETING, CleanupStatus, ImageRepositories, ImageRepository, ImageStatus
from moorage.control.images.readable import readable_by
from moorage.control.pages.key_pages import ListOrder, key_page
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.place_pages import image_context, place_context
from moorage.control.pages.places import FoundImage, image_at, place_at, rights_in
from moorage.control.pages.repository_facts import facts_of
from moorage.control.pages.tag_search import search_tags
from moorage.control.projects.rules import ImageRight
from moorage.control.protection.questions import person_of
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.registry_errors import RegistryError

TEXT_LIMIT = 255
_ORDERS = (
    ListOrder(word="name", field="name"),
    ListOrder(word="updated", field="updated_at"),
    ListOrder(word="created", field="created_at"),
)
_STATES: dict[str, dict[str, object]] = {
    "deleting": {"status__in": DELETING},
    "delete_failed": {"status": ImageStatus.DELETE_FAILED},
    "cleanup_unfinished": {"expiration_policy_cleanup_status": CleanupStatus.UNFINISHED},
}


@require_safe
def list_repositories(request: HttpRequest, place: str) -> HttpResponse:
    """List the repositories of a project, or those of a group that the person may pull."""
    if not settings.MOORAGE.configuration.registry.enabled:
        raise not_found("Registry")
    found = place_at(request, place)
    rows = _rows_of(found)
    text, state = request.GET.get("q", "")[:TEXT_LIMIT], request.GET.get("state", "")
    shown = rows.named_like(text) if text else rows
    shown = shown.filter(**_STATES[state]) if state in _STATES else shown
    page = key_page(request, shown, _ORDERS)
    facts, is_there = facts_of(page.rows)
    context = place_context(found, "registry") | {
        "page": page,
        "rows": [(row, facts.get(row.pk)) for row in page.rows],
        "is_there": is_there,
        "text": text,
        "state": state,
        "is_filtered": bool(text or state),
        "tag_search": search_tags(rows, text) if text and is_there and not state else None,
        "commands": _commands(request, found),
        "is_project": isinstance(found, FoundProject),
    }
    return render(request, "pages/registry.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def delete_repository(request: HttpRequest, repository: str) -> HttpResponse:
    """Ask, then have a repository deleted with all its tags."""
    image = _administered(request, repository)
    said = ""
    if request.method == "POST":
        if request.POST.get("path", "").strip() == image.repository.path:
            schedule_deletion(image.repository, by=image.found.who.as_actor(), person=person_of(image.found.standing))
            text = _("%s will be deleted.") % image.repository.path
            return done(request, text, f"/{image.found.project.full_path}/-/registry")
        said = _("This is not its path. Type it as it stands above.")
    context = image_context(image, "") | {"said": said}
    return render(request, "pages/delete_repository.html", context, status=400 if said else 200)


@require_POST
def try_again(request: HttpRequest, repository: str) -> HttpResponse:
    """Have a deletion that failed tried once more."""
    image = _administered(request, repository)
    address = f"/{image.found.project.full_path}/-/registry"
    try:
        retry_deletion(image.repository, by=image.found.who.as_actor(), person=person_of(image.found.standing))
    except ChangeRefused:
        return not_done(request, _("Its deletion has not failed."), address)
    return done(request, _("%s is tried again within a minute.") % image.repository.path, address)


def _rows_of(found: FoundProject | FoundGroup) -> ImageRepositories:
    if isinstance(found, FoundGroup):
        return readable_by(ImageRepository.objects.of_group(found.group), found.who.user)
    if ImageRight.READ not in rights_in(found):
        raise unauthorized() if found.who.is_anonymous else forbidden()
    with suppress(RegistryError):  # The page says so itself.
        ensure_root_repository(found.project)
    return ImageRepository.objects.of_project(found.project).select_related("project")


def _commands(request: HttpRequest, found: FoundProject | FoundGroup) -> dict[str, str]:
    """The commands of a first push, for this host, place and person."""
    host = settings.MOORAGE.configuration.registry.host_port
    path = found.project.full_path if isinstance(found, FoundProject) else f"{found.group.full_path}/PROJECT"
    name = getattr(request.user, "username", "") or "USER"
    image = f"{host}/{path.lower() if isinstance(found, FoundProject) else path}:1.0.0"
    return {
        "sign_in": f"docker login {host} -u {name}",
        "build": f"docker build -t {image} .",
        "push": f"docker push {image}",
    }


def _administered(request: HttpRequest, path: str) -> FoundImage:
    image = image_at(request, path)
    if ImageRight.ADMINISTER not in image.rights:
        raise unauthorized() if image.found.who.is_anonymous else forbidden()
    return image
