"""Users: listed and shown for everybody, made and changed by administrators; and the caller."""

from typing import Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from moorage.control.accounts.changes import (
    block_user,
    change_password,
    change_user,
    create_user,
    delete_user,
    unblock_user,
)
from moorage.control.accounts.models import User, UserState
from moorage.control.accounts.second_factors import has_second_factor, remove_all_factors
from moorage.control.api.api_refusals import bad_parameter, forbidden
from moorage.control.api.callers import CHANGES, READS_USERS, caller, see_that_admin, user_of
from moorage.control.api.filters import UserFilters
from moorage.control.api.lookups import row_of
from moorage.control.api.paging import KeysetQuery, Paging
from moorage.control.api.parameters import Given, Id, ShortText
from moorage.control.api.shapes import answers
from moorage.control.api.user_shapes import UserShape, show_user
from moorage.errors import Refused

routes = Router(tags=["users"])


class UsersQuery(KeysetQuery, UserFilters):
    """Parameters of a list of users."""

    username: ShortText = Field("", description="Only the one of this name.")
    search: ShortText = Field("", description="Only those with this in their name or address.")
    active: bool = Field(False, description="Only those who may sign in.")
    blocked: bool = Field(False, description="Only those who are kept out.")
    humans: bool = Field(False, description="Only people.")
    without_project_bots: bool = Field(False, description="Without the bots of tokens.")
    order_by: Literal["id", "name", "username", "created_at"] = "id"


class UserValues(Given):
    """Values of a user that can be changed."""

    name: ShortText | None = None
    email: ShortText | None = None
    password: ShortText | None = None
    admin: bool | None = None


class NewUser(UserValues):
    """Values of a new user."""

    name: ShortText
    email: ShortText
    username: ShortText
    force_random_password: bool = Field(False, description="No password: the user signs in elsewhere.")


@routes.get("/user", auth=READS_USERS, response=answers(UserShape))
def show_caller(request: HttpRequest) -> Any:  # noqa: ANN401
    """Show the caller."""
    return show_user(user_of(request), request, is_whole=True)


@routes.get("/users", auth=READS_USERS, response=answers(list[UserShape], 405))
def list_users(request: HttpRequest, response: HttpResponse, query: Query[UsersQuery]) -> Any:  # noqa: ANN401
    """List users."""
    if query.is_for_admins:
        see_that_admin(request)
    is_admin, rows = user_of(request).is_admin, query.of(User.objects.all())
    if query.username:
        rows = rows.named(query.username)
    if query.search:
        found = Q(name__icontains=query.search) | Q(username__icontains=query.search)
        rows = rows.filter(found | Q(email__iexact=query.search) if is_admin else found)
    if query.active != query.blocked:
        is_active = Q(state=UserState.ACTIVE)
        rows = rows.filter(is_active if query.active else ~is_active)
    if query.humans or query.without_project_bots:
        rows = rows.filter(kind="human")
    if query.sort is None:
        query.sort = "desc"
    page = Paging(request, response).ordered(rows.prefetch_related("identities"), query, query.order_by)
    return [show_user(user, request, is_whole=is_admin) for user in page]


@routes.get("/users/{user_id}", auth=READS_USERS, response=answers(UserShape))
def show_one_user(request: HttpRequest, user_id: Id) -> Any:  # noqa: ANN401
    """Show a user."""
    viewer = user_of(request)
    found = row_of(User.objects.all(), user_id)
    return show_user(found, request, is_whole=viewer.is_admin or viewer.pk == found.pk)


@routes.post("/users", auth=CHANGES, response=answers(UserShape, 409, status=201))
def make_user(request: HttpRequest, values: NewUser) -> Any:  # noqa: ANN401
    """Make a user; for administrators."""
    see_that_admin(request)
    if values.password is None and not values.force_random_password:
        names = "password, reset_password, force_random_password"
        raise bad_parameter(f"{names} are missing, at least one parameter must be provided")
    made = create_user(
        values.username,
        by=caller(request).as_actor(),
        password=values.password,
        name=values.name,
        email=values.email,
        is_admin=bool(values.admin),
    )
    return Status(201, show_user(made, request, is_whole=True))


@routes.put("/users/{user_id}", auth=CHANGES, response=answers(UserShape))
def change_one_user(request: HttpRequest, user_id: Id, values: UserValues) -> Any:  # noqa: ANN401
    """Change a user; for administrators."""
    see_that_admin(request)
    user, by, wishes = row_of(User.objects.humans(), user_id), caller(request).as_actor(), values.given()
    password = wishes.pop("password", None)
    if "admin" in wishes:
        wishes["is_admin"] = wishes.pop("admin")
    change_user(user, by=by, **wishes)
    if password is not None:
        change_password(user, password, by=by)
    return show_user(user, request, is_whole=True)


@routes.delete("/users/{user_id}", auth=CHANGES, response=answers(None, status=204))
def delete_one_user(request: HttpRequest, user_id: Id) -> Any:  # noqa: ANN401
    """Delete a user who has no projects left; for administrators."""
    see_that_admin(request)
    delete_user(row_of(User.objects.humans(), user_id), by=caller(request).as_actor())
    return Status(204, None)


@routes.post("/users/{user_id}/block", auth=CHANGES, response=answers(bool, status=201))
def block_one_user(request: HttpRequest, user_id: Id) -> Any:  # noqa: ANN401
    """Keep a user out; for administrators."""
    own = see_that_admin(request)
    if own.pk == user_id:
        raise forbidden("you cannot block yourself")
    block_user(_changeable_user(user_id, "modified"), by=caller(request).as_actor())
    return Status(201, True)


@routes.post("/users/{user_id}/unblock", auth=CHANGES, response=answers(bool, status=201))
def unblock_one_user(request: HttpRequest, user_id: Id) -> Any:  # noqa: ANN401
    """Let a user in again; for administrators."""
    see_that_admin(request)
    unblock_user(_changeable_user(user_id, "unblocked"), by=caller(request).as_actor())
    return Status(201, True)


@routes.patch("/users/{user_id}/disable_two_factor", auth=CHANGES, response=answers(None, status=204))
def disable_two_factor(request: HttpRequest, user_id: Id) -> Any:  # noqa: ANN401
    """Take away second factors that a user has lost; for administrators, and not of administrators."""
    see_that_admin(request)
    found = row_of(User.objects.humans(), user_id)
    if found.is_admin:
        raise forbidden("Two-factor authentication for admins cannot be disabled via the API. Use the Rails console")
    if not has_second_factor(found):
        raise Refused("Two-factor authentication is not enabled for this user")
    remove_all_factors(found, by=caller(request).as_actor())
    return Status(204, None)


def _changeable_user(user_id: int, change: str) -> User:
    """The user, unless a directory keeps them out; *change*: what cannot be done then."""
    found = row_of(User.objects.humans(), user_id)
    if found.is_blocked_by_directory:
        raise forbidden(f"LDAP blocked users cannot be {change} by the API")
    return found
