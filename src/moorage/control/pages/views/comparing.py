"""Two images of a repository beside each other, and what is attached to one."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from moorage.control.pages.attached import artifact_of
from moorage.control.pages.image_comparison import ComparedValue, compare
from moorage.control.pages.image_details import details_of
from moorage.control.pages.place_pages import image_context
from moorage.control.pages.places import image_at
from moorage.errors import Refused

_TEXT_LIMIT = 200

gettext_noop("Media type")
gettext_noop("Platforms")
gettext_noop("Starts")


@require_safe
def compare_images(request: HttpRequest, repository: str) -> HttpResponse:
    """Show what has changed from one tag or digest to another."""
    image = image_at(request, repository)
    names = {name: request.GET.get(name, "").strip()[:_TEXT_LIMIT] for name in ("from", "with")}
    platform = request.GET.get("platform", "")[:_TEXT_LIMIT]
    context = image_context(image, "compare") | {"before": names["from"], "after": names["with"], "platform": platform}
    if all(names.values()):
        path, missing, found = image.repository.path, [], {}
        for side, reference in names.items():
            try:
                details = details_of(path, reference, platform=platform)
            except Refused:
                details = None  # It can be no tag and no digest.
            found[side] = details
            if details is None:
                missing.append(reference)
        context["missing"] = missing
        first, second = found["from"], found["with"]
        if first is not None and second is not None:
            compared = compare(first, second)
            facts = [ComparedValue(_(fact.name), fact.before, fact.after) for fact in compared.facts]
            common = {one.name for one in first.platforms} & {one.name for one in second.platforms}
            context |= {"compared": compared, "facts": facts, "first": first, "second": second}
            context["common_platforms"] = [one.name for one in first.platforms if one.name in common]
    return render(request, "pages/compare.html", context)


@require_safe
def show_attached(request: HttpRequest, repository: str, digest: str) -> HttpResponse:
    """Show something that is attached to an image."""
    image = image_at(request, repository)
    try:
        artifact = artifact_of(image.repository.path, digest)
    except Refused:
        artifact = None
    if artifact is None:
        raise Http404
    context = image_context(image, "tags") | {"artifact": artifact}
    return render(request, "pages/attached.html", context)
