"""Pages about garbage collection: its queues, why something stays, and notifications beside it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.pages.place_pages import image_context
from moorage.control.pages.places import image_at, sees_past
from moorage.control.pages.views.administration import administrator_of
from moorage.control.registry.connection import the_registry
from moorage.control.registry.registry_errors import RegistryError, RegistryIsOther
from moorage.errors import Refused
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_TEXT_LIMIT = 255


@require_safe
def show_collection(request: HttpRequest) -> HttpResponse:
    """Show the queues of garbage collection with their forecast, and explain one thing if the address asks."""
    administrator_of(request)
    context: dict[str, object] = {"section": "admin", "tab": "gc"}
    try:
        queues = the_registry().moorage.collection()
        most = max((one.size_bytes for queue in queues for one in queue.frees), default=0)
        context |= {"queues": queues, "most": most or 1}
    except RegistryIsOther:
        context["is_other"] = True
    except RegistryError as exc:
        context["said"] = str(exc)
    asked = {name: request.GET.get(name, "").strip()[:_TEXT_LIMIT] for name in ("repository", "digest")}
    context |= asked
    if all(asked.values()) and "queues" in context:
        context |= _fates(asked["repository"], asked["digest"])
    return render(request, "pages/admin/collection.html", context)


@require_safe
def show_fate(request: HttpRequest, repository: str) -> HttpResponse:
    """Show why a manifest or a blob of a repository stays, or when it goes."""
    image = image_at(request, repository)
    if not sees_past(image.found):
        raise unauthorized() if image.found.who.is_anonymous else forbidden()
    digest = request.GET.get("digest", "").strip()[:_TEXT_LIMIT]
    context = image_context(image, "tags") | {"digest": digest}
    if digest:
        context |= _fates(image.repository.path, digest)
    return render(request, "pages/fate.html", context)


@require_safe
def list_notifications(request: HttpRequest) -> HttpResponse:
    """Show the servers that the registry tells of what happens, and what has not arrived."""
    administrator_of(request)
    context: dict[str, object] = {"section": "admin", "tab": "notifications"}
    try:
        context["endpoints"] = the_registry().moorage.notifications()
    except RegistryIsOther:
        context["is_other"] = True
    except RegistryError as exc:
        context["said"] = str(exc)
    return render(request, "pages/admin/notifications.html", context)


def _fates(repository: str, digest: str) -> dict[str, object]:
    try:
        path, wanted = RepositoryName.parse(repository.lower()).text, str(Digest.parse(digest))
        return {"fates": the_registry().moorage.fates(path, wanted), "is_asked": True}
    except RegistryIsOther:
        return {"is_other": True}
    except RegistryError as exc:
        return {"said": str(exc)}
    except Refused as exc:
        return {"mistake": str(exc)}
