"""Groups: listed, made, shown, changed, moved, deleted; and namespaces, which users' own places are too."""

from typing import Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.api.api_refusals import bad_parameter, forbidden, not_found
from moorage.control.api.callers import CHANGES, OPEN, SIGNED_IN, caller, user_of
from moorage.control.api.filters import GroupFilters
from moorage.control.api.lookups import FoundGroup, group_of
from moorage.control.api.paging import KeysetQuery, PageQuery, Paging
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
from moorage.control.api.place_shapes import (
    GroupShape,
    NamespaceDetailsShape,
    NamespaceShape,
    show_group,
    show_namespace,
    show_statistics,
)
from moorage.control.api.shapes import answers
from moorage.control.images.changes import delete_group_with_images
from moorage.control.images.moves import move_group_with_images
from moorage.control.namespaces.models import Namespace, Namespaces
from moorage.control.namespaces.rules import path_of_name
from moorage.control.projects.changes import GroupWish, change_group, create_group
from moorage.control.projects.rules import AccessLevel
from moorage.control.projects.visible_groups import groups_of_member, groups_visible_to
from moorage.control.usage.questions import sizes_of_namespaces, usage_of

routes = Router(tags=["groups"])


class GroupsQuery(KeysetQuery, GroupFilters):
    """Parameters of a list of groups."""

    search: ShortText = Field("", description="Only those with this in their name or path.")
    owned: bool = Field(False, description="Only those that the caller owns.")
    min_access_level: int | None = Field(None, ge=0, le=50, description="Least role of the caller.")
    top_level_only: bool = Field(False, description="Only those in no group.")
    order_by: Literal["id", "name", "path", "similarity"] = "name"
    statistics: bool = Field(False, description="Sizes too; for administrators.")


class NamespacesQuery(PageQuery):
    """Parameters of a list of namespaces."""

    search: ShortText = Field("", description="Only those with this in their name or path.")
    full_path_search: bool = Field(False, description="Look in whole paths.")
    owned_only: bool = Field(False, description="Only those that the caller owns.")
    top_level_only: bool = Field(False, description="Only those in no group.")


class GroupValues(Given):
    """Values of a group that can be changed."""

    name: ShortText | None = None
    path: ShortText | None = None
    description: LongText | None = None
    visibility: Visibilities | None = None


class NewGroup(GroupValues):
    """Values of a new group: ``name`` and ``path``."""

    name: ShortText
    parent_id: Id | None = Field(None, description="The group that it is in.")


class GroupTransfer(Given):
    """The place that a group moves to."""

    group_id: Id | None = Field(None, description="The group that it will be in; none: to the top.")


@routes.get("/groups", auth=OPEN, response=answers(list[GroupShape], 405))
def list_groups(request: HttpRequest, response: HttpResponse, query: Query[GroupsQuery]) -> Any:  # noqa: ANN401
    """List the groups that the caller is told of."""
    rows = groups_visible_to(caller(request).user, timezone.now().date())
    return _listed(request, response, rows.filter(parent=None) if query.top_level_only else rows, query)


@routes.get("/groups/{place}/subgroups", auth=OPEN, response=answers(list[GroupShape], 405))
def list_subgroups(request: HttpRequest, response: HttpResponse, place: Place, query: Query[GroupsQuery]) -> Any:  # noqa: ANN401
    """List the groups directly in a group."""
    group = group_of(request, place).group
    rows = groups_visible_to(caller(request).user, timezone.now().date())
    return _listed(request, response, rows.filter(parent=group), query)


@routes.get("/groups/{place}/descendant_groups", auth=OPEN, response=answers(list[GroupShape], 405))
def list_descendant_groups(
    request: HttpRequest, response: HttpResponse, place: Place, query: Query[GroupsQuery]
) -> Any:  # noqa: ANN401
    """List all groups below a group."""
    group = group_of(request, place).group
    rows = groups_visible_to(caller(request).user, timezone.now().date()).within(group).exclude(pk=group.pk)
    return _listed(request, response, rows, query)


@routes.post("/groups", auth=CHANGES, response=answers(GroupShape, status=201))
def make_group(request: HttpRequest, values: NewGroup) -> Any:  # noqa: ANN401
    """Make a group; the caller owns it."""
    who, user = caller(request), user_of(request)
    parent = _parent(request, values.parent_id) if values.parent_id is not None else None
    if parent is None and user.is_bot:
        raise forbidden()
    wish = GroupWish(name=values.name, description=values.description or "", visibility=values.visibility or "")
    path = values.path or path_of_name(values.name)
    made = create_group(path, by=who.as_actor(), owner=user if parent is None else None, parent=parent, wish=wish)
    return Status(201, show_group(made, request))


@routes.get("/groups/{place}", auth=OPEN, response=answers(GroupShape))
def show_one_group(request: HttpRequest, place: Place, query: Query[StatisticsQuery]) -> Any:  # noqa: ANN401
    """Show a group, named by its id or its path."""
    found = group_of(request, place)
    shown = show_group(found.group, request)
    if query.statistics and (found.standing.is_admin or found.standing.role >= AccessLevel.REPORTER):
        shown["statistics"] = show_statistics(usage_of(found.group).size_bytes)
    return shown


@routes.put("/groups/{place}", auth=CHANGES, response=answers(GroupShape, 503))
def change_one_group(request: HttpRequest, place: Place, values: GroupValues) -> Any:  # noqa: ANN401
    """Change a group. Another path is its images' too."""
    found = group_of(request, place)
    found.see_that_owner()
    wishes, group, by = values.given(), found.group, found.who.as_actor()
    path = wishes.pop("path", group.path)
    if path != group.path:
        see_that_possible(group, lambda: change_group(group, by=by, **wishes))
        move_group_with_images(group, group.parent, path, by=by)
    return show_group(change_group(group, by=by, **wishes), request)


@routes.post("/groups/{place}/transfer", auth=CHANGES, response=answers(GroupShape, 503, status=201))
def transfer_group(request: HttpRequest, place: Place, values: GroupTransfer) -> Any:  # noqa: ANN401
    """Move a group into another, or to the top, with its images."""
    found = group_of(request, place)
    found.see_that_owner()
    parent = _parent(request, values.group_id) if values.group_id is not None else None
    moved = move_group_with_images(found.group, parent, found.group.path, by=found.who.as_actor())
    return Status(201, show_group(moved, request))


@routes.delete("/groups/{place}", auth=CHANGES, response=answers(AcceptedShape, status=202))
def delete_one_group(request: HttpRequest, place: Place) -> Any:  # noqa: ANN401
    """Delete a group with all that is in it, and all its images."""
    found = group_of(request, place)
    found.see_that_owner()
    delete_group_with_images(found.group, by=found.who.as_actor())
    return Status(202, AcceptedShape())


@routes.get("/namespaces", auth=SIGNED_IN, response=answers(list[NamespaceShape], 405))
def list_namespaces(request: HttpRequest, response: HttpResponse, query: Query[NamespacesQuery]) -> Any:  # noqa: ANN401
    """List the namespaces of the caller: the own one, and groups with a role in them."""
    rows = _own_namespaces(request)
    if query.search:
        found = Q(name__icontains=query.search) | Q(path__icontains=query.search)
        rows = rows.filter(found | Q(full_path__icontains=query.search) if query.full_path_search else found)
    if query.owned_only:
        user = user_of(request)
        owned = groups_of_member(user, timezone.now().date(), least=AccessLevel.OWNER).values("pk")
        rows = rows.filter(Q(pk=user.namespace_id) | Q(pk__in=owned))
    if query.top_level_only:
        rows = rows.filter(parent=None)
    page = Paging(request, response).page(rows.order_by("full_path", "pk"), query)
    return [show_namespace(one, request) for one in page]


@routes.get("/namespaces/{place}", auth=SIGNED_IN, response=answers(NamespaceDetailsShape))
def show_one_namespace(request: HttpRequest, place: Place, query: Query[StatisticsQuery]) -> Any:  # noqa: ANN401
    """Show a namespace of the caller, named by its id or its path."""
    text = place.replace("%2F", "/").replace("%2f", "/")
    rows = _own_namespaces(request)
    is_id = text.isascii() and text.isdigit() and len(text) < 19  # noqa: PLR2004 - digits of the largest id
    found = (rows.filter(pk=int(text)) if is_id else rows.at(text)).first()
    if found is None:
        raise not_found("Namespace")
    shown = show_namespace(found, request)
    return shown | {"statistics": show_statistics(usage_of(found).size_bytes)} if query.statistics else shown


def _own_namespaces(request: HttpRequest) -> Namespaces:
    user = user_of(request)
    if user.is_admin:
        return Namespace.objects.all()
    member = groups_of_member(user, timezone.now().date()).values("pk")
    return Namespace.objects.filter(Q(pk=user.namespace_id) | Q(pk__in=member))


def _listed(request: HttpRequest, response: HttpResponse, rows: Namespaces, query: GroupsQuery) -> list[dict[str, Any]]:
    user = caller(request).user
    rows = query.of(rows, user)
    least = max(AccessLevel.OWNER if query.owned else 0, query.min_access_level or 0)
    if least:
        if user is None:
            raise bad_parameter("min_access_level does not have a valid value")
        rows = rows.filter(pk__in=groups_of_member(user, timezone.now().date(), least=least).values("pk"))
    if query.search:
        rows = rows.filter(Q(name__icontains=query.search) | Q(full_path__icontains=query.search))
    order_by = "name" if query.order_by == "similarity" else query.order_by
    page = Paging(request, response).ordered(rows, query, order_by)
    shown = [show_group(group, request) for group in page]
    if query.statistics and user is not None and user.is_admin:
        sizes = sizes_of_namespaces(page)
        for one in shown:
            one["statistics"] = show_statistics(sizes.get(one["id"]))
    return shown


def _parent(request: HttpRequest, group_id: int) -> Namespace:
    found: FoundGroup = group_of(request, str(group_id))
    if found.standing.is_admin or found.standing.role >= AccessLevel.MAINTAINER:
        return found.group
    raise forbidden()
