"""The tags of a repository: listed, looked into, deleted with a way back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.images.image_refusals import ImageProtected
from moorage.control.images.questions import tag_names, tags_page
from moorage.control.pages.image_details import ImageDetails, ImageStep, details_of
from moorage.control.pages.key_pages import PLAIN_ROWS, ROWS
from moorage.control.pages.page_answers import done, not_done
from moorage.control.pages.place_pages import image_context
from moorage.control.pages.places import FoundImage, image_at, project_at, rights_in, sees_past
from moorage.control.pages.room_texts import said_of
from moorage.control.pages.shared_layers import LayerSharing, sharing_of
from moorage.control.pages.templatetags.moorage import exact
from moorage.control.policies.models import CleanupRun
from moorage.control.policies.picking import delete_picked_tags
from moorage.control.policies.undoing import undo_run
from moorage.control.projects.rules import ImageRight, may_change_project
from moorage.control.protection.questions import person_of, tag_rules
from moorage.control.protection.rules import Person, ProtectionObstacle, delete_obstacle
from moorage.control.refusals import ChangeRefused
from moorage.control.registry.connection import the_registry
from moorage.control.registry.gitlab_api import TagSort
from moorage.control.registry.registry_errors import RegistryError, RegistryIsOther
from moorage.control.registry.registry_values import RemoteTag, RemoteTagPage
from moorage.errors import Refused

TEXT_LIMIT = 128
PICKED_LIMIT = PLAIN_ROWS
_SORTS: dict[str, TagSort] = {
    "-published": "-published_at",
    "published": "published_at",
    "name": "name",
    "-name": "-name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRow:
    """A tag of the list, and what forbids to delete it."""

    tag: RemoteTag
    obstacle: ProtectionObstacle | None
    details: ImageDetails | None = None
    steps: Sequence[tuple[ImageStep, LayerSharing | None]] = ()
    """Build steps, each with how its layer is shared; None: it has none, or that is not known."""
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TagList:
    """A page of tags as the address asks for it, in the words that the pager's template has."""

    rows: list[TagRow]
    sort: str
    after: str = ""
    before: str = ""
    is_there: bool = True
    has_details: bool = True


@require_safe
def list_tags(request: HttpRequest, repository: str) -> HttpResponse:
    """List the tags of a repository; the one that the address opens is shown with all that is in it."""
    image = image_at(request, repository)
    text = request.GET.get("q", "").strip()[:TEXT_LIMIT]
    shown = _listed(request, image, text)
    context = image_context(image, "tags") | {
        "page": shown,
        "text": text,
        "opened": request.GET.get("open", ""),
        "state": image.repository.expiration_policy_cleanup_status,
        "pushed_at": _pushed_at(image) if shown.has_details and shown.is_there else None,
    }
    return render(request, "pages/tags.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def delete_tags(request: HttpRequest, repository: str) -> HttpResponse:
    """Ask, then delete the tags that were picked."""
    image = image_at(request, repository)
    if ImageRight.DELETE not in image.rights:
        raise unauthorized() if image.found.who.is_anonymous else forbidden()
    sent = request.POST if request.method == "POST" else request.GET
    picked = _picked(sent.getlist("tag"))
    address = f"/{image.repository.path}/-/tags"
    if not picked:
        return not_done(request, _("No tag was picked."), address)
    person = person_of(image.found.standing)
    if request.method == "POST":
        run, moved = delete_picked_tags(image.repository, picked, by=image.found.who.as_actor(), person=person)
        stays = _("Moved meanwhile, not deleted: %s.") % ", ".join(moved[:20]) if moved else ""
        if not run.deleted_size:
            return not_done(request, stays or _("These tags were gone already."), address)
        count = run.deleted_size
        said = ngettext("%d tag is deleted.", "%d tags are deleted.", count) % count
        undo = f"/{image.found.project.full_path}/-/cleanup/runs/{run.pk}/undo"
        gone = next(name for name in picked if name not in moved)
        return done(request, " ".join(filter(None, (said, stays, _way_back(image, gone)))), address, undo=undo)
    rules = tag_rules(image.found.project)
    rows = [(name, digest, delete_obstacle(rules, name, person)) for name, digest in picked.items()]
    going = sum(obstacle is None for _name, _digest, obstacle in rows)
    context = image_context(image, "tags") | {"picked": rows, "going": going}
    return render(request, "pages/delete_tags.html", context)


@require_POST
def undo(request: HttpRequest, place: str, run: int) -> HttpResponse:
    """Bring back what a run deleted: a maintainer any, whoever picked the tags their own."""
    found = project_at(request, place)
    row = CleanupRun.objects.filter(project=found.project, pk=run).select_related("repository__project").first()
    if row is None:
        raise Http404
    is_own = bool(row.requested_by) and row.requested_by == found.who.name and ImageRight.DELETE in rights_in(found)
    if found.who.is_anonymous or not (is_own or may_change_project(found.standing)):
        raise unauthorized() if found.who.is_anonymous else forbidden()
    address = f"/{row.repository.path}/-/tags" if row.repository else f"/{found.project.full_path}/-/registry"
    try:
        undone = undo_run(row, by=found.who.as_actor(), person=person_of(found.standing) or Person(0))
    except (ChangeRefused, ImageProtected) as exc:
        return not_done(request, said_of(exc), address)
    back = len(undone.restored)
    said = [ngettext("%d tag is back.", "%d tags are back.", back) % back]
    if undone.left:
        said.append(_("%d more are being brought back: this report says how far that is.") % undone.left)
        address = f"/{found.project.full_path}/-/cleanup/runs/{row.pk}"
    if undone.there:
        said.append(_("There again already: %s.") % ", ".join(undone.there[:20]))
    if undone.gone:
        said.append(_("Garbage collection has taken: %s.") % ", ".join(undone.gone[:20]))
    return (done if back or not undone.gone else not_done)(request, " ".join(said), address)


def _picked(sent: Sequence[str]) -> dict[str, str]:
    """Read picked tags, each with the digest that was seen: ``NAME@DIGEST``, or a name alone."""
    found: dict[str, str] = {}
    for text in sent[:PICKED_LIMIT]:
        name, _at, digest = text.partition("@")
        found.setdefault(name, digest)
    return found


def _way_back(image: FoundImage, name: str) -> str:
    """Say until when the deletion of *name* can be undone, as exactly as the registry knows."""
    try:
        changes = the_registry().moorage.changes(image.repository.path, tag=name, limit=1).changes
    except (RegistryError, Refused):
        changes = ()
    until = changes[0].restorable_until if changes else None
    if until is None:
        return _("It can be undone until garbage collection takes the images.")
    return _("It can be undone until %s at least.") % exact(until)


def _pushed_at(image: FoundImage) -> datetime | None:
    """The time of the last push; None: not known."""
    try:
        state = the_registry().repository(image.repository.path)
    except RegistryError:
        return None
    return state.last_published_at if state is not None else None


def _listed(request: HttpRequest, image: FoundImage, text: str) -> TagList:
    sort = request.GET.get("sort", "")
    sort = sort if sort in _SORTS else "-published"
    try:
        found = _page(request, image, text, _SORTS[sort])
    except RegistryIsOther:
        return _by_name(request, image, text)
    except RegistryError:
        return TagList(rows=[], sort=sort, is_there=False)
    rows = _rows(request, image, found.tags)
    return TagList(rows=rows, sort=sort, after=found.after, before=found.before)


def _page(request: HttpRequest, image: FoundImage, text: str, sort: TagSort) -> RemoteTagPage:
    after, before = request.GET.get("after", "")[: TEXT_LIMIT * 2], request.GET.get("before", "")[: TEXT_LIMIT * 2]
    return tags_page(
        image.repository,
        per_page=ROWS,
        sort=sort,
        last=after,
        before="" if after else before,
        name=text,
        has_referrers=True,
    )


def _by_name(request: HttpRequest, image: FoundImage, text: str) -> TagList:
    """Names alone: a registry without GitLab's API has no more in one answer."""
    after = request.GET.get("after", "")
    names = [name for name in tag_names(image.repository) if text in name and name > after]
    rows = _rows(request, image, [RemoteTag(name=name) for name in names[:ROWS]])
    return TagList(rows=rows, sort="name", after=names[ROWS - 1] if len(names) > ROWS else "", has_details=False)


def _rows(request: HttpRequest, image: FoundImage, tags: Sequence[RemoteTag]) -> list[TagRow]:
    rules, person = tag_rules(image.found.project), person_of(image.found.standing)
    opened, platform = request.GET.get("open", ""), request.GET.get("platform", "")[:TEXT_LIMIT]
    rows = []
    for tag in tags:
        is_open = tag.name == opened
        details = _details(image, tag.name, platform) if is_open else None
        steps = _steps(image, details) if details is not None else ()
        obstacle = delete_obstacle(rules, tag.name, person)
        rows.append(TagRow(tag=tag, obstacle=obstacle, details=details, steps=steps, is_open=is_open))
    return rows


def _steps(image: FoundImage, details: ImageDetails) -> list[tuple[ImageStep, LayerSharing | None]]:
    layers = [step.digest for step in details.steps if step.digest]
    own = {details.manifest_digest or details.digest}
    sharing = sharing_of(image.repository.path, layers, of=own) if sees_past(image.found) else {}
    return [(step, sharing.get(step.digest)) for step in details.steps]


def _details(image: FoundImage, name: str, platform: str) -> ImageDetails | None:
    try:
        return details_of(image.repository.path, name, platform=platform)
    except (RegistryError, Refused):
        return None
