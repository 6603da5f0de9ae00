"""Members of projects and groups: their own, and those of the groups above."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import Field

from moorage.control.accounts.models import User
from moorage.control.api.api_refusals import APIRefused, bad_parameter, forbidden, not_found
from moorage.control.api.callers import CHANGES, SIGNED_IN
from moorage.control.api.filters import MemberFilters
from moorage.control.api.lookups import FoundGroup, FoundProject, row_of, target_of
from moorage.control.api.paging import PageQuery, Paging
from moorage.control.api.parameters import Given, Id, IdList, Place, ShortText, TextList
from moorage.control.api.place_routes import on_both, place_of, see_that_manager
from moorage.control.api.shapes import answers, left_out
from moorage.control.api.user_shapes import MemberShape, show_member
from moorage.control.projects.members import add_member, change_member, remove_member
from moorage.control.projects.models import Membership, Memberships
from moorage.control.projects.rules import AccessLevel, level_problem
from moorage.control.projects.visible_groups import strongest
from moorage.control.refusals import ChangeRefused, refused

routes = Router(tags=["members"])

AT_ONCE = 100
"""Most members that one call makes."""


class MembersQuery(PageQuery, MemberFilters):
    """Parameters of a list of members."""

    query: ShortText = Field("", description="Only those with this in their name.")


class MemberRole(Given):
    """A role, and until when."""

    access_level: Annotated[int, Field(description="10 guest, 20 reporter, 30 developer, 40 maintainer, 50 owner.")]
    expires_at: date | None = None


class NewMember(MemberRole):
    """A new member, or several with one role: ``user_id`` or ``username``, with commas between them."""

    user_id: Annotated[IdList, Field(max_length=AT_ONCE)] | None = None
    username: Annotated[TextList, Field(max_length=AT_ONCE)] | None = None


class MadeMembersShape(Schema):
    """The outcome of making several members: ``error`` if some could not be made; the others were."""

    status: Literal["success", "error"]
    message: dict[str, str] | None = left_out()


@on_both(routes, "GET", "/members", auth=SIGNED_IN, response=answers(list[MemberShape], 405))
def list_members(request: HttpRequest, response: HttpResponse, place: Place, query: Query[MembersQuery]) -> Any:  # noqa: ANN401
    """List the members of a project or group, without those of groups above it."""
    return _listed(request, response, place_of(request, place).own_members(), query)


@on_both(routes, "GET", "/members/all", auth=SIGNED_IN, response=answers(list[MemberShape], 405))
def list_all_members(request: HttpRequest, response: HttpResponse, place: Place, query: Query[MembersQuery]) -> Any:  # noqa: ANN401
    """List the members of a project or group and of all groups above it: each once, with the highest role.

    In a user's own namespace that user is the first.
    """
    found = place_of(request, place)
    owner, rows = _owner(found), strongest(found.all_members())
    if owner is None:
        return _listed(request, response, rows, query)
    names = (owner.user.name.lower(), owner.user.username.lower())
    is_asked = query.has(owner.user_id) and any(query.query.lower() in name for name in names)
    first = [owner] if is_asked else []
    return _listed(request, response, rows.exclude(user=owner.user), query, first=first)


@on_both(routes, "GET", "/members/{user_id}", auth=SIGNED_IN, response=answers(MemberShape))
def show_one_member(request: HttpRequest, place: Place, user_id: Id) -> Any:  # noqa: ANN401
    """Show a member of a project or group."""
    return show_member(_one(place_of(request, place).own_members(), user_id), request)


@on_both(routes, "GET", "/members/all/{user_id}", auth=SIGNED_IN, response=answers(MemberShape))
def show_one_of_all_members(request: HttpRequest, place: Place, user_id: Id) -> Any:  # noqa: ANN401
    """Show a member of a project or group, or of a group above it."""
    found = place_of(request, place)
    owner = _owner(found)
    if owner is not None and owner.user_id == user_id:
        return show_member(owner, request)
    return show_member(_one(strongest(found.all_members()), user_id), request)


@on_both(routes, "POST", "/members", auth=CHANGES, response=answers(MemberShape | MadeMembersShape, 409, status=201))
def make_member(request: HttpRequest, place: Place, values: NewMember) -> Any:  # noqa: ANN401
    """Make a user a member of a project or group; or several users, and then say what became of them."""
    found = place_of(request, place)
    see_that_manager(found)
    level = _level(found, values.access_level)
    keys: list[int | str] = [*(values.user_id or values.username or ())]
    if not keys:
        raise bad_parameter("user_id, username are missing, at least one parameter must be provided")
    if len(keys) == 1:
        made = _made(found, keys[0], level, values.expires_at)
        return Status(201, show_member(_one(found.own_members(), made.user_id), request))
    problems: dict[str, str] = {}
    for key in keys:
        try:
            _made(found, key, level, values.expires_at)
        except APIRefused as exc:
            problems[str(key)] = str(exc.body["message"])
        except ChangeRefused as exc:
            problems[_name(key)] = "; ".join(text for said in exc.problems.values() for text in said)
    return Status(201, {"status": "error", "message": problems} if problems else {"status": "success"})


@on_both(routes, "PUT", "/members/{user_id}", auth=CHANGES, response=answers(MemberShape))
def change_one_member(request: HttpRequest, place: Place, user_id: Id, values: MemberRole) -> Any:  # noqa: ANN401
    """Change a member's role, and when it ends."""
    found = place_of(request, place)
    see_that_manager(found)
    member = _one(found.own_members(), user_id)
    _level(found, member.access_level)
    level = _level(found, values.access_level)
    return show_member(change_member(member, level, by=found.who.as_actor(), expires_at=values.expires_at), request)


@on_both(routes, "DELETE", "/members/{user_id}", auth=CHANGES, response=answers(None, status=204))
def remove_one_member(request: HttpRequest, place: Place, user_id: Id) -> Any:  # noqa: ANN401
    """Take a member out. Everybody may leave."""
    found = place_of(request, place)
    is_self = found.who.user is not None and found.who.user.pk == user_id
    if not is_self:
        see_that_manager(found)
    member = _one(found.own_members(), user_id)
    _level(found, member.access_level)
    remove_member(member, by=found.who.as_actor())
    return Status(204, None)


def _made(found: FoundProject | FoundGroup, key: int | str, level: AccessLevel, expires_at: date | None) -> Membership:
    """The new member *key*, by id or name."""
    users = User.objects.humans()
    user = row_of(users, key) if isinstance(key, int) else users.named(key).first()
    if user is None:
        raise not_found("User")
    return add_member(target_of(found), user, level, by=found.who.as_actor(), expires_at=expires_at)


def _name(key: int | str) -> str:
    return row_of(User.objects.all(), key).username if isinstance(key, int) else key


def _level(found: FoundProject | FoundGroup, asked: int) -> AccessLevel:
    problem = level_problem(asked, own=found.standing.role, is_admin=found.standing.is_admin)
    if not problem:
        return AccessLevel(asked)
    if asked in set(AccessLevel):
        raise forbidden(f"access_level {problem}")
    raise refused("access_level", problem)


def _owner(found: FoundProject | FoundGroup) -> Membership | None:
    """The role of the user in whose own namespace a project is: there is no row of it."""
    if isinstance(found, FoundGroup) or found.project.namespace.is_group:
        return None
    user = User.objects.filter(namespace=found.project.namespace).first()
    if user is None:
        return None
    project = found.project
    return Membership(user=user, project=project, access_level=AccessLevel.OWNER, created_at=project.created_at)


def _one(rows: Memberships, user_id: int) -> Membership:
    found = rows.filter(user=user_id).select_related("user", "created_by", "namespace", "project").first()
    if found is None:
        raise not_found("Member")
    return found


def _listed(
    request: HttpRequest,
    response: HttpResponse,
    rows: Memberships,
    query: MembersQuery,
    *,
    first: Sequence[Membership] = (),
) -> list[dict[str, Any]]:
    rows = query.of(rows)
    if query.query:
        rows = rows.filter(Q(user__name__icontains=query.query) | Q(user__username__icontains=query.query))
    rows = rows.select_related("user", "created_by").order_by("user__username", "pk")
    return [show_member(member, request) for member in Paging(request, response).page(rows, query, first=first)]
