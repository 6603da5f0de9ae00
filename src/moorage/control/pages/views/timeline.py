"""The time line of a repository and of a tag: what happened, how it was at a time, and the way back."""

from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.past import TagsThen, days_of, tags_at
from moorage.control.pages.place_pages import image_context
from moorage.control.pages.places import FoundImage, image_at, sees_past, told_since
from moorage.control.policies.tag_undo import undo_tag
from moorage.control.projects.rules import ImageRight
from moorage.control.protection.questions import person_of
from moorage.control.protection.rules import Person
from moorage.control.registry.connection import the_registry
from moorage.control.registry.moorage_values import RecordedChanges
from moorage.control.registry.reading_answers import moment_of
from moorage.control.registry.registry_errors import RegistryError, RegistryIsOther, RegistryRefused
from moorage.errors import Refused
from moorage.oci.names import Tag

CHANGES = 50
_TEXT_LIMIT = 128
_CHANGED = {ImageRight.PUSH, ImageRight.DELETE}


@require_safe
def show_timeline(request: HttpRequest, repository: str) -> HttpResponse:
    """Show what was done in a repository or to one tag, newest first; with a time, its tags as they were then."""
    image = _image(request, repository)
    tag, asked = request.GET.get("tag", "").strip()[:_TEXT_LIMIT], request.GET.get("at", "").strip()[:_TEXT_LIMIT]
    when = moment_of(asked)
    context = image_context(image, "timeline") | {
        "tag": tag,
        "asked_time": asked,
        "when": when,
        "is_no_time": bool(asked) and when is None,
        "is_future": when is not None and when > timezone.now(),
        "can_undo": image.rights >= _CHANGED,
    }
    try:
        context |= _then(request, image, when) if when is not None else _changes(request, image, tag)
    except RegistryIsOther:
        context["is_other"] = True
    except RegistryError:
        context["is_away"] = True
    except Refused as exc:
        context["mistake"] = str(exc)
    return render(request, "pages/timeline.html", context)


@require_POST
def undo(request: HttpRequest, repository: str) -> HttpResponse:
    """Take a tag back to what it was."""
    image = _image(request, repository)
    if not image.rights >= _CHANGED:
        raise forbidden()
    tag, address = request.POST.get("tag", ""), f"/{image.repository.path}/-/timeline"
    back = f"{address}?{urlencode({'tag': tag})}"
    try:
        undo_tag(
            image.repository,
            tag,
            to=request.POST.get("to", ""),
            expected=request.POST.get("expected", ""),
            by=image.found.who.as_actor(),
            person=person_of(image.found.standing) or Person(0),
            since=told_since(image),
        )
    except ImageProtected:
        return not_done(request, _("A protection rule keeps %s as it is.") % tag, back)
    except RegistryIsOther:
        return not_done(request, _("This registry keeps no history."), address)
    except RegistryRefused as exc:
        if exc.status == HTTPStatus.CONFLICT:
            return not_done(request, _("Somebody has changed %s since this page was made. Look again.") % tag, back)
        if exc.status in (HTTPStatus.GONE, HTTPStatus.NOT_FOUND):
            return not_done(request, _("It is too late: garbage collection has taken what %s was.") % tag, back)
        raise
    return done(request, _("%s is back as it was.") % tag, back)


def _image(request: HttpRequest, repository: str) -> FoundImage:
    image = image_at(request, repository)
    if not sees_past(image.found):
        raise unauthorized() if image.found.who.is_anonymous else forbidden()
    return image


def _changes(request: HttpRequest, image: FoundImage, tag: str) -> dict[str, object]:
    path, last = image.repository.path, request.GET.get("last", "")
    last = last if last.isascii() and last.isdigit() else ""
    name = Tag.parse(tag).text if tag else ""
    found: RecordedChanges = the_registry().moorage.changes(
        path, tag=name, since=told_since(image), last=last, limit=CHANGES
    )
    now = the_registry().tag_digest(path, name) if name and found.changes else ""
    return {"days": days_of(found.changes), "after": found.after, "now": now, "is_first": not last}


def _then(request: HttpRequest, image: FoundImage, when: datetime) -> dict[str, object]:
    after = request.GET.get("after", "")[:_TEXT_LIMIT]
    begins = told_since(image)
    if begins is not None and when < begins:
        return {"past": TagsThen(tags=())}
    found: TagsThen = tags_at(image.repository.path, min(when, timezone.now()), after=after)
    return {"past": found}
