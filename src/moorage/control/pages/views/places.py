"""Groups and projects: made, shown, changed."""

from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import forbidden, unauthorized
from moorage.control.api.lookups import FoundGroup, FoundProject
from moorage.control.images.changes import delete_project_with_images
from moorage.control.instance.models import ApplicationSettings
from moorage.control.namespaces.models import Namespace, Namespaces
from moorage.control.pages.key_pages import ListOrder, first_rows, key_page
from moorage.control.pages.offered_places import offered_places
from moorage.control.pages.page_answers import done
from moorage.control.pages.place_forms import GroupForm, NewProjectForm, ProjectForm
from moorage.control.pages.place_pages import group_context, place_context, project_context
from moorage.control.pages.places import group_at, image_at, place_at, rights_in
from moorage.control.pages.requesting import requester_of, user_of_page
from moorage.control.pages.room_texts import said_of
from moorage.control.projects.changes import (
    GroupWish,
    ProjectWish,
    change_group,
    change_project,
    create_group,
    create_project,
    delete_group,
)
from moorage.control.projects.models import Project
from moorage.control.projects.rules import AccessLevel, ImageRight, may_create_in
from moorage.control.projects.standings import standing_in_namespace
from moorage.control.projects.visible_groups import groups_of_member, groups_visible_to
from moorage.control.refusals import ChangeRefused

_BY_NAME = (ListOrder(word="name", field="full_path"), ListOrder(word="updated", field="updated_at"))
FORM_METHODS = ["GET", "HEAD", "POST"]
SUBGROUPS_SHOWN = 100


@require_safe
def show_place(request: HttpRequest, place: str) -> HttpResponse:
    """Show a group or a project; what names an image leads to its tag."""
    if "@" in place or ":" in place:
        repository, sign, reference = place.partition("@") if "@" in place else place.partition(":")
        # Only to a repository that was found: what was asked for may be the address of another site.
        address = f"/{image_at(request, repository).repository.path}/-/tags"
        return redirect(f"{address}?{urlencode({'open': reference})}" if sign == ":" else address)
    found = place_at(request, place)
    if isinstance(found, FoundProject):
        return _project(request, found)
    today, user = timezone.now().date(), found.who.user
    rows = Project.objects.visible_to(user, today).filter(namespace=found.group).select_related("namespace")
    subgroups = groups_visible_to(user, today).filter(parent=found.group)
    context = group_context(found, "content") | {
        "page": key_page(request, rows, _BY_NAME),
        "subgroups": first_rows(subgroups.order_by("full_path"), SUBGROUPS_SHOWN),
    }
    return render(request, "pages/group.html", context)


@require_http_methods(FORM_METHODS)
def make_group(request: HttpRequest) -> HttpResponse:
    """Make a group, in another one if the address names it."""
    user = user_of_page(request)
    if user is None:
        raise unauthorized()
    parent = _parent(request)
    first = {"visibility": ApplicationSettings.now().default_group_visibility if parent is None else parent.visibility}
    form = GroupForm(request.POST if request.method == "POST" else None, initial=first)
    if form.is_valid():
        values = form.cleaned_data
        wish = GroupWish(name=values["name"], description=values["description"], visibility=values["visibility"])
        try:
            made = create_group(
                values["path"],
                by=requester_of(request).as_actor(),
                owner=user if parent is None else None,
                parent=parent,
                wish=wish,
            )
        except ChangeRefused as exc:
            form.take_refusal(exc)
        else:
            return done(request, _("The group is made."), f"/{made.full_path}")
    context = {"section": "groups", "form": form, "parent": parent}
    return render(request, "pages/new_group.html", context, status=_status(form))


@require_http_methods(FORM_METHODS)
def make_project(request: HttpRequest) -> HttpResponse:
    """Make a project where the person may."""
    user = user_of_page(request)
    if user is None:
        raise unauthorized()
    allowed = _namespaces(user)
    places = offered_places(request, allowed, user.namespace)
    first = {"namespace": places.chosen, "visibility": ApplicationSettings.now().default_project_visibility}
    sent = request.POST if request.method == "POST" else None
    form = NewProjectForm(sent, initial=first, allowed=allowed, offered=places.rows)
    if form.is_valid():
        values = form.cleaned_data
        who, namespace = requester_of(request), values["namespace"]
        if not may_create_in(standing_in_namespace(who, namespace)):
            raise forbidden()
        wish = ProjectWish(name=values["name"], description=values["description"], visibility=values["visibility"])
        try:
            made = create_project(namespace, values["path"], by=who.as_actor(), creator=user, wish=wish)
        except ChangeRefused as exc:
            form.take_refusal(exc)
        else:
            return done(request, _("The project is made."), f"/{made.full_path}/-/registry")
    context = {"section": "projects", "form": form, "places": places}
    return render(request, "pages/new_project.html", context, status=_status(form))


@require_http_methods(FORM_METHODS)
def change_place(request: HttpRequest, place: str) -> HttpResponse:
    """Show the settings of a project or group, and change them."""
    found = place_at(request, place)
    return _project_settings(request, found) if isinstance(found, FoundProject) else _group_settings(request, found)


@require_http_methods(FORM_METHODS)
def delete_place(request: HttpRequest, place: str) -> HttpResponse:
    """Ask, then delete a project with its images, or an empty group."""
    found = place_at(request, place)
    found.see_that_owner()
    target = found.project if isinstance(found, FoundProject) else found.group
    context = place_context(found, "settings")
    if isinstance(found, FoundGroup) and not found.group.is_group:
        raise forbidden()
    said = ""
    if request.method == "POST":
        if request.POST.get("path", "").strip() != target.full_path:
            said = _("This is not its path. Type it as it stands above.")
        else:
            try:
                return _deleted(request, found)
            except ChangeRefused as exc:
                said = said_of(exc)
    return render(request, "pages/delete_place.html", context | {"said": said}, status=400 if said else 200)


def _deleted(request: HttpRequest, found: FoundProject | FoundGroup) -> HttpResponse:
    by = found.who.as_actor()
    if isinstance(found, FoundGroup):
        delete_group(found.group, by=by)
        return done(request, _("The group is gone."), "/groups")
    above = f"/{found.project.namespace.full_path}"
    is_gone = delete_project_with_images(found.project, by=by)
    text = _("The project is gone.") if is_gone else _("The project goes when its images have been deleted.")
    return done(request, text, above if is_gone else f"/{found.project.full_path}/-/registry")


def _project(request: HttpRequest, found: FoundProject) -> HttpResponse:
    if ImageRight.READ in rights_in(found):
        return redirect(f"/{found.project.full_path}/-/registry")
    return render(request, "pages/project.html", project_context(found, ""))


def _project_settings(request: HttpRequest, found: FoundProject) -> HttpResponse:
    found.see_that_maintainer()
    project = found.project
    first = {name: getattr(project, name) for name in ProjectForm.base_fields}
    form = ProjectForm(request.POST if request.method == "POST" else None, initial=first)
    if form.is_valid():
        values = {name: str(value) for name, value in form.cleaned_data.items()}
        if values["visibility"] != project.visibility:
            found.see_that_owner()
        if form.carries_out(lambda: change_project(project, by=found.who.as_actor(), **values)):
            return done(request, _("The settings are saved."), f"/{project.full_path}/-/settings")
    context = project_context(found, "settings") | {"form": form}
    return render(request, "pages/project_settings.html", context, status=_status(form))


def _group_settings(request: HttpRequest, found: FoundGroup) -> HttpResponse:
    found.see_that_owner()
    group = found.group
    if not group.is_group:
        raise forbidden()
    first = {name: getattr(group, name) for name in ("path", "name", "description", "visibility")}
    form = GroupForm(request.POST if request.method == "POST" else None, initial=first)
    del form.fields["path"]
    form.fields["name"].required = True
    if form.is_valid() and form.carries_out(lambda: change_group(group, by=found.who.as_actor(), **form.cleaned_data)):
        return done(request, _("The settings are saved."), f"/{group.full_path}/-/settings")
    context = group_context(found, "settings") | {"form": form}
    return render(request, "pages/project_settings.html", context, status=_status(form))


def _namespaces(user: User) -> Namespaces:
    """Those that the person may make projects in."""
    if user.is_admin:
        return Namespace.objects.all()
    developer = groups_of_member(user, timezone.now().date(), least=AccessLevel.DEVELOPER).values("pk")
    return Namespace.objects.filter(Q(pk=user.namespace_id) | Q(pk__in=developer))


def _parent(request: HttpRequest) -> Namespace | None:
    path = request.GET.get("in", "")
    if not path:
        return None
    found = group_at(request, path)
    if not found.standing.is_admin and found.standing.role < AccessLevel.MAINTAINER:
        raise forbidden()
    return found.group


def _status(form: object) -> int:
    return 400 if getattr(form, "errors", None) else 200
