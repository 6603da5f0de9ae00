"""Projects: listed, made, shown, changed, moved, deleted."""

from typing import Annotated, Any, Literal

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import bad_parameter
from moorage.control.api.callers import CHANGES, OPEN, caller, user_of
from moorage.control.api.filters import ProjectFilters
from moorage.control.api.lookups import group_of, project_of, row_of
from moorage.control.api.paging import KeysetQuery, Paging
from moorage.control.api.parameters import (
    AcceptedShape,
    Given,
    Id,
    LongText,
    Place,
    ShortText,
    StatisticsQuery,
    Visibilities,
)
from moorage.control.api.place_routes import see_that_possible
from moorage.control.api.place_shapes import ProjectShape, show_project, show_projects
from moorage.control.api.policy_shapes import PolicyAttributes, apply_policy
from moorage.control.api.shapes import answers
from moorage.control.images.changes import delete_project_with_images
from moorage.control.images.moves import move_project_with_images
from moorage.control.namespaces.models import Namespace
from moorage.control.namespaces.rules import path_of_name
from moorage.control.projects.changes import ProjectWish, change_project, create_project
from moorage.control.projects.models import Project, Projects
from moorage.control.projects.rules import may_create_in
from moorage.control.projects.standings import standing_in_namespace
from moorage.control.refusals import refused

routes = Router(tags=["projects"])

Levels = Literal["disabled", "private", "enabled"]


class ProjectsQuery(KeysetQuery, ProjectFilters):
    """Parameters of a list of projects."""

    search: ShortText = Field("", description="Only those with this in their name or path.")
    search_namespaces: bool = Field(False, description="Look in the names of groups too.")
    owned: bool = Field(False, description="Only those that the caller owns.")
    membership: bool = Field(False, description="Only those that the caller is a member of.")
    min_access_level: Annotated[int, Field(ge=0, le=50)] | None = Field(None, description="Least role of the caller.")
    order_by: Literal["id", "name", "path", "created_at", "updated_at", "last_activity_at"] = "created_at"
    simple: bool = Field(False, description="Short answers.")
    statistics: bool = Field(False, description="Sizes too, where the caller is reporter or more.")


class GroupProjectsQuery(ProjectsQuery):
    """Parameters of a list of a group's projects."""

    include_subgroups: bool = Field(False, description="Those of groups below it too.")


class ProjectValues(Given):
    """Values of a project that can be changed."""

    name: ShortText | None = None
    path: ShortText | None = None
    description: LongText | None = None
    visibility: Visibilities | None = None
    container_registry_access_level: Levels | None = None
    container_registry_enabled: bool | None = Field(None, description="GitLab's older form of the level.")
    container_expiration_policy_attributes: PolicyAttributes | None = Field(None, description="The cleanup policy.")

    def wishes(self) -> dict[str, str]:
        """Return the values by the names that changes know them by."""
        found: dict[str, Any] = self.given()
        found.pop("container_expiration_policy_attributes", None)
        is_enabled = found.pop("container_registry_enabled", None)
        if is_enabled is not None:
            found.setdefault("container_registry_access_level", "enabled" if is_enabled else "disabled")
        return found


class ProjectToCreate(ProjectValues):
    """Values of a new project: ``name`` or ``path`` is needed."""

    namespace_id: Id | None = Field(None, description="Group or own namespace; the caller's own without it.")


class ProjectTransfer(Given):
    """The place that a project moves to."""

    namespace: Annotated[Place, Field(description="Id or path of the namespace.")] | Id


@routes.get("/projects", auth=OPEN, response=answers(list[ProjectShape], 405))
def list_projects(request: HttpRequest, response: HttpResponse, query: Query[ProjectsQuery]) -> Any:  # noqa: ANN401
    """List the projects that the caller is told of."""
    return _listed(request, response, Project.objects.all(), query)


@routes.get("/users/{user_id}/projects", auth=OPEN, response=answers(list[ProjectShape], 405))
def list_projects_of_user(
    request: HttpRequest, response: HttpResponse, user_id: Id, query: Query[ProjectsQuery]
) -> Any:  # noqa: ANN401
    """List the projects in a user's own namespace."""
    user = row_of(User.objects.all(), user_id)
    return _listed(request, response, Project.objects.filter(namespace=user.namespace_id), query)


@routes.get("/groups/{place}/projects", auth=OPEN, response=answers(list[ProjectShape], 405))
def list_projects_of_group(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[GroupProjectsQuery]
) -> Any:  # noqa: ANN401
    """List the projects of a group."""
    group = group_of(request, place).group
    rows = Project.objects.listed_within(group) if query.include_subgroups else Project.objects.filter(namespace=group)
    return _listed(request, response, rows, query)


@routes.post("/projects", auth=CHANGES, response=answers(ProjectShape, status=201))
def make_project(request: HttpRequest, values: ProjectToCreate) -> Any:  # noqa: ANN401
    """Make a project, in the caller's own namespace unless another is named."""
    who, user = caller(request), user_of(request)
    wishes = values.wishes()
    wishes.pop("namespace_id", None)
    path = wishes.pop("path", "") or path_of_name(values.name or "")
    if not (values.name or values.path):
        raise bad_parameter("name, path are missing, at least one parameter must be provided")
    namespace = _namespace_for(request, values.namespace_id or user.namespace_id or 0)
    with transaction.atomic():
        made = create_project(namespace, path, by=who.as_actor(), creator=user, wish=ProjectWish(**wishes))
        apply_policy(made, values.container_expiration_policy_attributes, by=who.as_actor())
    return Status(201, show_project(made, request, user=user))


@routes.get("/projects/{place}", auth=OPEN, response=answers(ProjectShape))
def show_one_project(request: HttpRequest, place: Place, query: Query[StatisticsQuery]) -> Any:  # noqa: ANN401
    """Show a project, named by its id or its path."""
    project, user = project_of(request, place).project, caller(request).user
    return show_project(project, request, user=user, has_statistics=query.statistics)


@routes.put("/projects/{place}", auth=CHANGES, response=answers(ProjectShape, 503))
def change_one_project(request: HttpRequest, place: Place, values: ProjectValues) -> Any:  # noqa: ANN401
    """Change a project. Its path and its visibility are its owners' to change; another path is its images' too."""
    found = project_of(request, place)
    found.see_that_maintainer()
    wishes, project, by = values.wishes(), found.project, found.who.as_actor()
    path = wishes.pop("path", project.path)
    if path != project.path or wishes.get("visibility", project.visibility) != project.visibility:
        found.see_that_owner()

    def change() -> None:
        change_project(project, by=by, **wishes)
        apply_policy(project, values.container_expiration_policy_attributes, by=by)

    if path != project.path:
        see_that_possible(project, change)
        move_project_with_images(project, project.namespace, path, by=by)
    with transaction.atomic():
        change()
    return show_project(project, request, user=found.who.user)


@routes.put("/projects/{place}/transfer", auth=CHANGES, response=answers(ProjectShape, 503))
def transfer_project(request: HttpRequest, place: Place, values: ProjectTransfer) -> Any:  # noqa: ANN401
    """Move a project to another namespace, with its images."""
    found = project_of(request, place)
    found.see_that_owner()
    namespace = _namespace_for(request, values.namespace)
    moved = move_project_with_images(found.project, namespace, found.project.path, by=found.who.as_actor())
    return show_project(moved, request, user=found.who.user)


@routes.delete("/projects/{place}", auth=CHANGES, response=answers(AcceptedShape, status=202))
def delete_one_project(request: HttpRequest, place: Place) -> Any:  # noqa: ANN401
    """Delete a project with all its images."""
    found = project_of(request, place)
    found.see_that_owner()
    delete_project_with_images(found.project, by=found.who.as_actor())
    return Status(202, AcceptedShape())


def _listed(request: HttpRequest, response: HttpResponse, rows: Projects, query: ProjectsQuery) -> list[dict[str, Any]]:
    user, today = caller(request).user, timezone.now().date()
    rows = rows.visible_to(user, today).select_related("namespace", "creator", "container_expiration_policy")
    if query.search:
        found = Q(name__icontains=query.search) | Q(path__icontains=query.search)
        rows = rows.filter(found | Q(full_path__icontains=query.search) if query.search_namespaces else found)
    rows = _of_caller(query.of(rows), query, user)
    order_by = "updated_at" if query.order_by == "last_activity_at" else query.order_by
    if query.sort is None:
        query.sort = "desc"
    page = Paging(request, response).ordered(rows, query, order_by)
    return show_projects(page, request, user=user, is_simple=query.simple, has_statistics=query.statistics)


def _of_caller(rows: Projects, query: ProjectsQuery, user: User | None) -> Projects:
    least = max(50 if query.owned else 0, query.min_access_level or 0, 10 if query.membership else 0)
    if not least:
        return rows
    if user is None:
        return rows.none()
    return rows.of_member(user, timezone.now().date(), least=least)


def _namespace_for(request: HttpRequest, place: int | str) -> Namespace:
    """The namespace that a project is to be in.

    Raises:
        ChangeRefused: there is none that the caller may make projects in; whether it is there is not said.
    """
    text = str(place)
    rows = Namespace.objects.filter(pk=int(text)) if text.isascii() and text.isdigit() else Namespace.objects.at(text)
    namespace = rows.first()
    if namespace is None or not may_create_in(standing_in_namespace(caller(request), namespace)):
        raise refused("namespace", "is not valid")
    return namespace
